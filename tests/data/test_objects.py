import datasets
import pandas as pd
import pyarrow as pa
import pytest

from nlptl.data.objects import object_frame, split_of
from nlptl.errors import DataError

BIG = 2**60 + 1


def frame_of(value):
    return object_frame(value, "data[train]")


def test_names_of_splits():
    assert {split_of(name) for name in ("dev", "VAL", "valid", "Validation")} == {"validation"}
    assert {split_of(name) for name in ("unsupervised", "validation_matched", "", "test2")} == {None}


def test_columns_are_named_by_strings():
    frame = frame_of(pd.DataFrame({0: ["a"], 1: ["x"], 2.5: ["y"]}))
    assert list(frame.columns) == ["0", "1", "2.5"]


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (pd.concat([pd.DataFrame({"text": ["a"]})] * 2, axis=1), "column 'text' occurs twice"),
        (pd.DataFrame([["a", "b"]], columns=[0, "0"]), "column '0' occurs twice"),
        (pd.DataFrame({"text": ["good", "bad \ud83d film"]}, dtype=object), r"'text', about row 2: half a character"),
        (pd.DataFrame([["a"]], columns=pd.Index(["te\ud800xt"], dtype=object)), "column name holds half a character"),
        (
            pd.DataFrame([["a"]], columns=pd.MultiIndex.from_tuples([("text", "raw")])),
            r"names of 2 levels, such as \('text', 'raw'\).*frame\.columns = ",
        ),
        (pd.Series(["a"]), "Cannot read data from a Series"),
        (["a"], "Cannot read data from a list"),
        ([], "Cannot read data from a list"),
        ([{"text": "bad \ud83d"}], "'text', about row 1: half a character"),
        ([{"te\ud800xt": "a"}], "column name holds half a character"),
        (pa.table([["a"], ["b"]], names=["text", "text"]), "column 'text' occurs twice"),
    ],
)
def test_tables_that_cannot_be_used(frame, message):
    with pytest.raises(DataError, match=message) as caught:
        frame_of(frame)
    assert "\n" not in str(caught.value)


def test_a_named_index_is_a_column():
    frame = pd.DataFrame({"text": ["a", "b"], "id": [BIG, 2], "label": ["x", "y"]})
    assert frame_of(frame.set_index("text")).to_dict("records") == frame_of(frame[["id", "label", "text"]]).to_dict(
        "records"
    )
    assert set(frame_of(frame.set_index(["text", "id"])).columns) == {"text", "id", "label"}
    assert list(frame_of(frame.set_index("text", drop=False)).columns) == ["text", "id", "label"]
    assert list(frame_of(frame.set_index(pd.Index([7, 3]))).columns) == ["text", "id", "label"]


def test_values_of_pandas_types():
    frame = frame_of(
        pd.DataFrame(
            {
                "id": pd.array([BIG, None], dtype="Int64"),
                "kind": pd.Categorical(["a", None]),
                "arrow": pd.array([BIG, None], dtype=pd.ArrowDtype(pa.int64())),
            }
        )
    )
    assert frame["id"][0] == BIG
    assert frame.isna().to_numpy().tolist() == [[False] * 3, [True] * 3]


def test_an_arrow_table():
    frame = frame_of(pa.table({"text": ["a", None], "id": pa.array([BIG, None])}))
    assert frame.to_dict("list") == {"text": ["a", None], "id": [BIG, None]}


def test_a_list_of_records():
    frame = frame_of([{"text": "a", "id": BIG}, {"text": "b", 0: "x"}])
    assert list(frame.columns) == ["text", "id", "0"]
    assert frame["id"][0] == BIG
    assert frame.isna().to_numpy().tolist() == [[False, False, True], [False, True, False]]


def made(label, values, **columns):
    features = datasets.Features(
        {"label": label, **{name: datasets.Value("int64") for name in columns}, "text": datasets.Value("string")}
    )
    data = {"label": values, **columns, "text": [f"t{i}" for i in range(len(values))]}
    return datasets.Dataset.from_dict(data, features=features)


CLASSES = datasets.ClassLabel(names=["no", "yes"])


def test_class_ids_beside_missing_ones():
    frame = frame_of(made(CLASSES, [1, None, 0, -1], id=[BIG, None, 3, 4]))
    assert frame["label"].tolist() == ["yes", None, "no", None]
    assert frame["id"].tolist() == [BIG, None, 3, 4]


@pytest.mark.parametrize("kind", [datasets.List, datasets.LargeList, datasets.Sequence])
def test_lists_of_class_ids_beside_missing_ones(kind):
    frame = frame_of(made(kind(CLASSES), [[1, 0], None, [], [None, 1, -1]]))
    assert frame["label"].tolist() == [["yes", "no"], None, [], ["yes"]]


def test_chosen_rows_of_a_data_set_in_their_order():
    dataset = made(CLASSES, [0, 1, 0, 1]).select([3, 0])
    assert frame_of(dataset.with_format("numpy"))["text"].tolist() == ["t3", "t0"]


def test_a_class_without_a_name():
    table = pa.table({"label": pa.array([5]), "text": ["a"]})
    features = datasets.Features({"label": CLASSES, "text": datasets.Value("string")})
    dataset = datasets.Dataset(table.cast(features.arrow_schema), info=datasets.DatasetInfo(features=features))
    with pytest.raises(DataError, match="class 5, but there are names for 2 only"):
        frame_of(dataset)


def test_half_a_character_in_a_frame_of_strings_without_it():
    assert frame_of(pd.DataFrame({"text": ["😀", "naïve"]}))["text"].tolist() == ["😀", "naïve"]
