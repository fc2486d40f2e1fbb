import datasets
import numpy as np
import pandas as pd
import pytest

from nlptl.config.data import DataConfig
from nlptl.data.files.tables import frame_size
from nlptl.data.loading import label_targets, load_labelled, load_splits
from nlptl.data.sources import Source
from nlptl.data.text_keys import keys_of
from nlptl.errors import DataError
from nlptl.tasks import SPLITS, TaskSpec

TASK = TaskSpec(name="mail", description="d", labels=["bad", "good"])
OPEN = TaskSpec(name="mail", description="d")
SEVERAL = TaskSpec(name="mail", description="d", kind="multi_label", labels=["a", "b"])
PAIRS = TaskSpec(name="mail", description="d", labels=["bad", "good"], text_columns=["q", "p"])


def table(rows=100, labels=("bad", "good"), start=0) -> pd.DataFrame:
    """Distinct texts, sorted by label."""
    names = sorted(labels[i % len(labels)] for i in range(rows))
    return pd.DataFrame({"text": [f"text {start + i}" for i in range(rows)], "label": names})


def load(given, task=TASK, seed=0, **config):
    return load_splits(task, DataConfig(source="(python data)", **config), seed, given)


def texts(splits):
    return {name: getattr(splits, name)["text"].tolist() for name in SPLITS}


def save(frame, path):
    frame.to_csv(path, index=False)
    return path


# splitting


def test_a_file_sorted_by_label_is_split_stratified(tmp_path):
    file = save(table(100, ("bad", "bad", "bad", "good")), tmp_path / "a.csv")
    splits = load_splits(TASK, DataConfig(source=str(file)), 0)
    assert splits.sizes() == {"train": 72, "validation": 8, "test": 20}
    for name in SPLITS:
        share = (getattr(splits, name)["label"] == "good").mean()
        assert share == pytest.approx(0.25, abs=0.01)
    assert splits.audit.counts == {}
    assert len({text for part in texts(splits).values() for text in part}) == 100


def test_rows_know_where_they_came_from(tmp_path):
    file = save(table(20), tmp_path / "a.csv")
    test = load_splits(TASK, DataConfig(source=str(file)), 0).test
    assert set(test["file"]) == {str(file)}
    assert [f"text {row - 1}" for row in test["row"]] == test["text"].tolist()


def test_rows_are_held_end_to_end_and_share_what_is_the_same(tmp_path):
    """Of two million rows, an object for each text, label and file name would be most of the memory."""
    train = load_splits(TASK, DataConfig(source=str(save(table(100), tmp_path / "a.csv"))), 0).train
    assert train["text"].dtype == "str"
    for column, different in (("label", 2), ("file", 1)):
        assert len({id(cell) for cell in train[column].to_numpy()}) == different
    assert frame_size(train) < len(train) * 50 + 500


def test_the_same_seed_gives_the_same_splits():
    assert texts(load(table(), seed=3)) == texts(load(table(), seed=3))
    assert texts(load(table(), seed=3)) != texts(load(table(), seed=4))


def test_runs_of_several_seeds_can_share_their_test_rows():
    first, second = (texts(load(table(), seed=seed, test_seed=7)) for seed in (3, 4))
    assert first["test"] == second["test"] != texts(load(table(), seed=3))["test"]
    assert first["validation"] != second["validation"]
    assert texts(load(table(), seed=3)) == texts(load(table(), seed=3, test_seed=3))


def test_given_splits_stay_as_they_are():
    given = {"train": table(30), "validation": table(10, start=100), "test": table(20, start=200)}
    splits = load(given)
    assert texts(splits) == {name: frame["text"].tolist() for name, frame in given.items()}


def test_fractions():
    splits = load(table(200), test_fraction=0.5, validation_fraction=0.2)
    assert splits.sizes() == {"train": 80, "validation": 20, "test": 100}


def test_shots_take_validation_from_themselves():
    splits = load(table(200), shots=10, label_names=False)
    assert splits.sizes() == {"train": 16, "validation": 4, "test": 40}
    assert splits.train["label"].value_counts().to_dict() == {"bad": 8, "good": 8}
    assert texts(splits)["test"] == texts(load(table(200)))["test"]


def test_shots_hold_for_a_validation_split_that_the_data_bring():
    given = {"train": table(100), "validation": table(60).assign(text=lambda t: "v " + t["text"]), "test": table(30)}
    given["test"]["text"] = "t " + given["test"]["text"]
    splits = load(given, shots=8, label_names=False)
    assert splits.sizes() == {"train": 16, "validation": 16, "test": 30}
    assert splits.validation["label"].value_counts().to_dict() == {"bad": 8, "good": 8}


def test_rows_whose_label_has_no_name_in_the_map_are_left_out_and_counted():
    given = pd.concat([table(100, ("1", "5")), table(10, ("3",), start=100)])
    splits = load(given, label_map={"1": "bad", "3": "", "5": "good"})
    assert sum(map(len, texts(splits).values())) == 100
    assert splits.audit.counts["train_rows_left_out_by_label_map"] == 10
    with pytest.raises(DataError, match=r"unknown label '3'.*--label-map 1=bad,5=good,3=\.\.\."):
        load(given, label_map={"1": "bad", "5": "good"})


def test_a_label_without_a_name_leaves_the_other_labels_of_its_row():
    given = pd.DataFrame({"text": [f"text {i}" for i in range(60)], "label": [["a"], ["b"], ["a", "old"]] * 20})
    splits = load(given, SEVERAL, label_map={"old": ""})
    assert sum(map(len, texts(splits).values())) == 60
    assert all("old" not in names for names in splits.train["label"])


def test_repeated_texts_never_stand_in_two_splits():
    twice = pd.concat([table(60), table(60).assign(text=lambda t: t["text"].str.upper() + "!")])
    splits = load(twice)
    keys = [set(keys_of(getattr(splits, name))) for name in SPLITS]
    assert not keys[0] & keys[1] | keys[0] & keys[2] | keys[1] & keys[2]
    assert splits.audit.counts == {"train_duplicates": 60}
    assert sum(splits.sizes().values()) == 120
    assert sum(load(twice, duplicates="drop").sizes().values()) == 60


@pytest.mark.parametrize(("leaks", "train"), [("drop", 29), ("keep", 30)])
def test_leaks_between_given_splits(leaks, train):
    given = {"train": table(30), "validation": table(10, start=100), "test": table(20, start=200)}
    given["test"].loc[0, "text"] = "TEXT  3."
    splits = load(given, leaks=leaks)
    assert splits.sizes() == {"train": train, "validation": 10, "test": 20}
    assert splits.audit.counts == {"train_leaks": 1}
    assert any("data[train] row 4" in warning for warning in splits.audit.warnings)


def test_conflicts_are_counted():
    frame = table(40)
    frame.loc[39, "text"] = "text 0"
    assert load(frame).audit.counts == {"train_conflicting_texts": 1}


def test_ignored_files_are_told(tmp_path):
    for name in ("train", "other"):
        save(table(40), tmp_path / f"{name}.csv")
    warnings = load_splits(TASK, DataConfig(source=str(tmp_path)), 0).audit.warnings
    assert warnings == [f"{tmp_path}: ignored other.csv (only train, validation and test are read)"]


# splits without labels


def unlabelled(form, rows=10):
    frame = table(rows, start=500)
    if form == "no column":
        return frame.drop(columns="label")
    return frame.assign(label=pd.Series([form] * rows, dtype=object))


@pytest.mark.parametrize("form", ["no column", None, "", -1, "-1", -1.0, float("nan")])
@pytest.mark.parametrize("split", ["validation", "test"])
def test_a_split_without_any_label_is_cut_from_train(form, split):
    splits = load({"train": table(100), split: unlabelled(form)})
    assert getattr(splits, split)["text"].str[5:].astype(int).max() < 500
    assert sum(splits.sizes().values()) == 100
    assert splits.audit.counts == {f"{split}_rows_left_out": 10}
    assert f"data[{split}]: left out" in splits.audit.warnings[0]


@pytest.mark.parametrize("kind", ["folder", "saved", "frames", "dict"])
def test_every_kind_of_source_leaves_the_same_out(tmp_path, kind):
    parts = {"train": table(100), "dev": table(20, start=200), "test": unlabelled(None), "unsupervised": table(10)}
    given = None
    if kind == "folder":
        for name, frame in parts.items():
            save(frame, tmp_path / f"{name}.csv")
    elif kind == "frames":
        given = parts
    else:
        given = datasets.DatasetDict({name: datasets.Dataset.from_pandas(frame) for name, frame in parts.items()})
        if kind == "saved":
            given.save_to_disk(tmp_path / "saved")
    source = {"folder": str(tmp_path), "saved": str(tmp_path / "saved")}.get(kind, "(python data)")
    splits = load_splits(TASK, DataConfig(source=source), 0, None if kind == "saved" else given)
    assert splits.sizes() == {"train": 80, "validation": 20, "test": 20}
    assert splits.audit.counts == {"test_rows_left_out": 10}
    assert "ignored unsupervised" in splits.audit.warnings[0]


def test_what_was_asked_for_by_name_is_not_left_out(tmp_path):
    file = save(unlabelled("no column"), tmp_path / "t.csv")
    with pytest.raises(DataError, match=r"t\.csv has no column 'label'"):
        load(table(100), test=str(file))


def test_a_split_with_its_labels_under_another_name_is_a_fault():
    renamed = table(10, start=500).rename(columns={"label": "sentiment"})
    with pytest.raises(DataError, match=r"data\[test\] has no column 'label'.*sentiment"):
        load({"train": table(100), "test": renamed})
    other = renamed.assign(sentiment=[f"public {i}" for i in range(10)])
    assert load({"train": table(100), "test": other}).audit.counts == {"test_rows_left_out": 10}


def test_a_split_with_one_label_is_not_left_out():
    test = unlabelled("", 10)
    test.loc[3, "label"] = "good"
    with pytest.raises(DataError, match="label is missing or empty"):
        load({"train": table(100), "test": test})
    assert len(load({"train": table(100), "test": test}, bad_rows="drop").test) == 1


def test_minus_one_may_be_a_label():
    given = {"train": table(40, ("-1", "1")), "test": table(10, ("-1",), start=100)}
    assert len(load(given, task=OPEN).test) == 10


# labels


def test_labels_from_data_are_those_of_train_sorted():
    splits = load(table(60, ("c", "a", "b")), task=OPEN)
    assert splits.task.label_list() == ["a", "b", "c"]
    assert load(table(60, ("10", "9")), task=OPEN).task.label_list() == ["10", "9"]


def test_a_label_that_train_lacks_is_a_fault():
    given = {"train": table(40), "test": table(10, ("bad", "ugly"), start=100)}
    with pytest.raises(DataError, match=r"data\[test\] row .*unknown label 'ugly'"):
        load(given, task=OPEN)


@pytest.mark.parametrize("task", [OPEN, TASK])
@pytest.mark.parametrize("split", ["validation", "test"])
def test_rows_with_labels_that_train_lacks_can_be_left_out(task, split):
    given = {"train": table(40), split: table(10, ("bad", "good", "ugly"), start=100)}
    with pytest.raises(DataError, match=r"unknown label 'ugly'.*--set data\.bad_rows=drop"):
        load(given, task=task)
    splits = load(given, task=task, bad_rows="drop")
    assert len(getattr(splits, split)) == 7
    assert splits.audit.counts == {f"{split}_rows_with_unknown_label": 3}
    assert any(f"data[{split}] row 8, 9, 10" in warning for warning in splits.audit.warnings)


def test_a_label_of_train_that_the_task_lacks_stays_a_fault():
    given = {"train": table(40, ("bad", "good", "ugly")), "test": table(10, start=100)}
    with pytest.raises(DataError, match="--label-map ugly=") as caught:
        load(given, bad_rows="drop")
    assert "leave such rows out" not in str(caught.value)


def test_a_split_with_foreign_labels_only_is_empty():
    given = {"train": table(40), "test": table(10, ("ugly",), start=100)}
    with pytest.raises(DataError, match="the test split has no rows"):
        load(given, task=OPEN, bad_rows="drop")


def test_rows_of_several_labels_of_which_one_is_foreign():
    given = {"train": table(40, ("a", "b", "a|b")), "test": table(9, ("a", "a|c", "b"), start=100)}
    splits = load(given, task=SEVERAL, bad_rows="drop")
    assert [names for names in splits.test["label"] if "c" in names] == []
    assert splits.audit.counts == {"test_rows_with_unknown_label": 3}


def test_labels_of_the_task_that_train_lacks_are_told():
    task = TaskSpec(name="mail", description="d", labels=["bad", "good", "ugly"])
    splits = load(table(40), task=task)
    assert splits.audit.counts == {"labels_without_rows": 1}
    assert "no row has the label 'ugly'" in splits.audit.warnings[0]
    decision = {"policy": "out_of_scope", "label": "ugly"}
    task = TaskSpec(name="mail", description="d", labels=["bad", "good", "ugly"], decision=decision)
    assert load(table(40), task=task).audit.counts == {}


@pytest.mark.parametrize("values", [[0, 1], [0.0, 1.0], ["0", " 1 "], [False, True]])
def test_labels_of_any_type_are_names(values):
    frame = table(40).assign(label=lambda t: [values[name == "good"] for name in t["label"]])
    names = ["False", "True"] if values[0] is False else ["0", "1"]
    assert load(frame, task=OPEN).task.label_list() == names
    mapped = load(frame, label_map=dict(zip(names, ["bad", "good"], strict=True)))
    assert mapped.train["label"].tolist() == load(table(40)).train["label"].tolist()


def test_unknown_labels_show_both_lists_and_the_flag():
    with pytest.raises(DataError) as caught:
        load(table(40, ("Bad", "great")))
    for part in ("Labels in the data: Bad, great.", "Labels of the task: bad, good.", "--label-map Bad=bad,great=..."):
        assert part in str(caught.value)


def test_one_label_only():
    with pytest.raises(DataError, match="one label only"):
        load(table(40, ("good",)))


def test_several_labels(tmp_path):
    frame = table(60, ("a", "a|b", "b", ""))
    file = save(frame, tmp_path / "a.csv")
    splits = load_splits(SEVERAL, DataConfig(source=str(file)), 0)
    seen = {tuple(names) for name in SPLITS for names in getattr(splits, name)["label"]}
    assert seen == {("a",), ("a", "b"), ("b",), ()}
    from_data = load(frame, task=SEVERAL.model_copy(update={"labels": "from_data"}))
    assert from_data.task.label_list() == ["a", "b"]
    assert from_data.audit.counts == {}


@pytest.mark.parametrize(
    ("cell", "names"),
    [
        ("b| a |b", ["b", "a"]),
        ("x;y", ["a"]),
        (["b", "a"], ["b", "a"]),
        (np.array(["b"]), ["b"]),
        ([], []),
        (None, []),
        (float("nan"), []),
        (pd.NA, []),
        (1, ["b"]),
    ],
)
def test_cells_with_several_labels(cell, names):
    frame = table(40, ("a", "b")).astype(object)
    frame.at[0, "label"] = cell
    splits = load(
        {"train": frame, "test": frame.iloc[:1]}, task=SEVERAL, label_map={"x;y": "a", "1": "b"}, leaks="keep"
    )
    assert splits.test["label"].tolist() == [names]


def test_targets():
    assert label_targets(table(3, ("a", "b")), ["b", "a"]).tolist() == [1, 1, 0]
    matrix = label_targets(pd.DataFrame({"label": [["a"], [], ["b", "a"]]}), ["a", "b"])
    assert matrix.tolist() == [[1, 0], [0, 0], [1, 1]]
    assert matrix.dtype == np.float32
    assert label_targets(pd.DataFrame({"label": []}), ["a"]).shape == (0,)


# columns


def test_pairs():
    frame = table(40).rename(columns={"text": "q"}).assign(p=[f"answer {i}" for i in range(40)])
    splits = load(frame, task=PAIRS)
    assert {"text", "text_pair", "label", "file", "row"} == set(splits.train.columns)
    assert splits.train["text_pair"].tolist() == [f"answer {row - 1}" for row in splits.train["row"]]


def test_columns_of_the_configuration_go_first():
    frame = table(40).rename(columns={"text": "words", "label": "y"}).assign(text="no", label="no")
    splits = load(frame, text_columns=["words"], label_column="y")
    assert {"text 0", "text 39"} <= {text for part in texts(splits).values() for text in part}


def test_numbers_as_texts():
    assert load(table(40).assign(text=range(40))).train["text"].map(type).eq(str).all()


# faults


def test_every_missing_column_is_told_at_once():
    given = {"train": table(40).rename(columns={"text": "texts"}), "test": table(4).rename(columns={"label": "y"})}
    with pytest.raises(DataError, match=r"\(2 faults\)") as caught:
        load(given)
    assert "data[train] has no column 'text'. Its columns: texts, label. Did you mean 'texts'?" in str(caught.value)
    assert "data[test] has no column 'label'. Its columns: text, y. Choose with --label-column" in str(caught.value)


def test_all_faults_of_all_splits_at_once():
    train, test = table(40), table(10, start=100)
    train.loc[3, "text"] = " "
    train.loc[5, "label"] = None
    train.loc[7, "label"] = "ugly"
    test.loc[0, "label"] = "odd"
    with pytest.raises(DataError, match=r"\(4 faults\)") as caught:
        load({"train": train, "test": test})
    for part in ("[train] row 4, column 'text'", "[train] row 6, column 'label'", "'ugly'", "'odd'"):
        assert part in str(caught.value)


def test_bad_rows_can_be_dropped():
    frame = table(42)
    frame.loc[[3, 30], "text"] = None
    frame.loc[5, "label"] = ""
    splits = load(frame, bad_rows="drop")
    assert sum(splits.sizes().values()) == 39
    assert splits.audit.counts == {"train_rows_without_text": 2, "train_rows_without_label": 1}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (table(0), r"data\[train\] has no rows"),
        ({"train": table(40), "test": table(0)}, r"data\[test\] has no rows"),
        (table(2), "the test split has no rows"),
    ],
)
def test_nothing_to_learn_from(given, message):
    with pytest.raises(DataError, match=message):
        load(given)


def test_labelled_rows_for_a_finished_run():
    frame = table(10)
    frame.loc[1, "text"] = "text 0"

    def source(label_column: str = "label") -> Source:
        return Source({"test": frame}, {"test": "a.csv"}, ["text"], label_column, {})

    rows, audit = load_labelled(source(), TASK, DataConfig())
    assert rows["text"].tolist() == frame["text"].tolist()
    assert audit.faults == []
    with pytest.raises(DataError, match="unknown label 'bad', 'good'"):
        load_labelled(source(), SEVERAL, DataConfig())
    with pytest.raises(DataError, match="has no column 'y'"):
        load_labelled(source("y"), TASK, DataConfig())


def test_rows_of_a_labelled_file_that_the_run_cannot_answer_are_left_out():
    frame = table(9, ("bad", "good", "ugly"))
    rows, audit = load_labelled(
        Source({"test": frame}, {"test": "a.csv"}, ["text"], "label", {}), TASK, DataConfig(bad_rows="drop")
    )
    assert set(rows["label"]) == {"bad", "good"}
    assert audit.counts == {"test_rows_with_unknown_label": 3}
