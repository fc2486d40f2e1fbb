"""Collections of texts, and tables in memory."""

import datasets
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import nlptl
from nlptl.config.data import DataConfig
from nlptl.errors import DataError
from nlptl.inference.texts import texts_frame

TEXTS = ["a good film", "a bad book", "and a meal"]
COLLECTIONS = {
    "tuple": tuple(TEXTS),
    "generator": (text for text in TEXTS),
    "Series": pd.Series(TEXTS, index=[7, 8, 9]),
    "Series of strings": pd.Series(TEXTS, dtype="string"),
    "numpy array": np.array(TEXTS),
    "numpy array of objects": np.array(TEXTS, dtype=object),
    "Arrow array": pa.array(TEXTS),
    "Arrow column": pa.chunked_array([TEXTS[:1], TEXTS[1:]]),
    "datasets column": datasets.Dataset.from_dict({"text": TEXTS})["text"],
}


@pytest.fixture(scope="module")
def run(trained_tiny):
    return nlptl.load(trained_tiny("bert", "full", "mean").run.folder, precision="fp32", progress=False)


@pytest.mark.parametrize("given", COLLECTIONS.values(), ids=COLLECTIONS)
def test_any_ordered_collection_of_texts(given):
    found = texts_frame(given, 1)["text"].tolist()
    assert found == TEXTS
    assert {type(text) for text in found} == {str}


@pytest.mark.parametrize("given", [np.array([TEXTS[:2]]), [TEXTS[:2]], [tuple(TEXTS[:2])], (t for t in [TEXTS[:2]])])
def test_pairs(given):
    assert texts_frame(given, 2).to_numpy().tolist() == [TEXTS[:2]]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (pd.DataFrame({"text": TEXTS}), "predict_frame"),
        (datasets.Dataset.from_dict({"text": TEXTS}), "predict_frame"),
        ({"text": TEXTS}, "not a dict"),
        (set(TEXTS), "not a set"),
        (b"a good film", r"predict\(\[text\]\)"),
        (3, "not a int"),
        (np.array("a good film"), r"predict\(\[text\]\)"),
        (["a", None], "Item 1 is None"),
        (pd.Series(["a", np.nan], dtype=object), "Item 1 is nan"),
        (pd.Series([1, 2]), "Item 0 is 1"),
        ((t for t in ["a", 1]), "Item 1 is 1"),
    ],
)
def test_what_is_no_such_collection_is_refused(given, message):
    with pytest.raises(DataError, match=message):
        texts_frame(given, 1)


def test_a_table_comes_back_with_answers_added(run):
    table = pd.DataFrame(
        {"id": pd.array([2**60 + 1, None, 3], "Int64"), "text": ["a good film", None, "bad"]}, [5, 3, 4]
    )
    before = table.copy()
    found = run.predict_frame(table, all_scores=True)
    pd.testing.assert_frame_equal(table, before)
    pd.testing.assert_frame_equal(found[["id", "text"]], before)
    expected = run.predict(["a good film", "", "bad"])
    assert found["predicted"].tolist() == [p.label for p in expected]
    assert found["score"].tolist() == pytest.approx([p.score for p in expected], abs=1e-6)
    assert list(found)[2:] == ["predicted", "score", "score_negative", "score_positive"]


def test_a_dataset_comes_back_as_a_table(run):
    table = datasets.Dataset.from_dict({"review": TEXTS, "n": [1, 2, 3]})
    found = run.predict_frame(table, data=DataConfig(text_columns=["review"]))
    assert found["review"].tolist() == TEXTS
    assert found["predicted"].tolist() == [p.label for p in run.predict(TEXTS)]


def test_columns_without_names_are_named_by_their_numbers(run):
    found = run.predict_frame(pd.DataFrame([[1, TEXTS[0]], [2, TEXTS[1]]]), data=DataConfig(text_columns=["1"]))
    assert found["predicted"].tolist() == [p.label for p in run.predict(TEXTS[:2])]


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (pd.DataFrame({"review": TEXTS}), "no column 'text'.*review"),
        (pd.DataFrame({"text": TEXTS, "score": 1}), "'score' already"),
        (pd.DataFrame([["a", "b"]], columns=["text", "text"]), "'text' occurs twice"),
        (TEXTS, "takes a DataFrame"),
    ],
)
def test_a_table_that_cannot_be_answered_is_refused(run, table, message):
    with pytest.raises(DataError, match=message):
        run.predict_frame(table)


def test_files_are_named_by_strings_as_well(run, tmp_path):
    pd.DataFrame({"text": TEXTS}).to_csv(tmp_path / "in.csv", index=False)
    assert run.predict_file(str(tmp_path / "in.csv"), str(tmp_path / "out.csv")) == 3
    assert pd.read_csv(tmp_path / "out.csv")["predicted"].tolist() == [p.label for p in run.predict(TEXTS)]
