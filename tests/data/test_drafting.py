import pandas as pd
import pytest

from nlptl.config.data import DataConfig
from nlptl.data.drafting import draft_task
from nlptl.data.loading import load_splits
from nlptl.errors import ConfigError, DataError
from nlptl.tasks import load_task


@pytest.fixture
def frame() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "id": [f"{i:04}" for i in range(40)],
            "topic": [f"topic {i % 4}" for i in range(40)],
            "message": [f"a rather long message, number {i}" for i in range(40)],
            "kind": ["spam", "ham"] * 20,
        }
    )


@pytest.fixture
def file(frame, tmp_path):
    frame.to_csv(tmp_path / "mail.csv", index=False)
    return tmp_path / "mail.csv"


def test_a_draft_is_a_task_that_loads_its_data(file, tmp_path):
    draft_task("mail", file, tmp_path / "tasks")
    task = load_task("mail", tmp_path / "tasks")
    assert (task.text_columns, task.label_column, task.labels) == (["message"], "kind", ["ham", "spam"])
    splits = load_splits(task, DataConfig(), 0)
    assert sum(splits.sizes().values()) == 40
    assert sorted(path.name for path in (tmp_path / "tasks").iterdir()) == ["mail"]


def test_a_named_label_column_goes_first(frame, tmp_path):
    frame.rename(columns={"topic": "Label"}).to_parquet(tmp_path / "mail.parquet")
    task = draft_task("mail", tmp_path / "mail.parquet", tmp_path).task
    assert task.label_column == "Label"
    assert len(task.labels) == 4


def test_columns_can_be_given(file, tmp_path):
    task = draft_task("mail", file, tmp_path, text_columns=["topic"], label_columns=["kind"]).task
    assert (task.text_columns, task.label_column) == (["topic"], "kind")
    task = draft_task("mail2", file, tmp_path, label_columns=["topic"]).task
    assert (task.text_columns, task.label_column) == (["message"], "topic")


def test_number_labels_are_names_that_the_data_matches(frame, tmp_path):
    file = tmp_path / "mail.parquet"
    frame.assign(kind=[0.0, 1.0] * 20).to_parquet(file)
    task = draft_task("mail", file, tmp_path, label_columns=["kind"]).task
    assert task.labels == ["0", "1"]
    assert sum(load_splits(task, DataConfig(), 0).sizes().values()) == 40


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"text_columns": ["mesage"]}, r"no column 'mesage'.*Did you mean 'message'\?"),
        ({"label_columns": ["id"], "text_columns": ["nope"]}, "no column 'nope'"),
    ],
)
def test_columns_that_are_not_there(file, tmp_path, columns, message):
    with pytest.raises(DataError, match=message):
        draft_task("mail", file, tmp_path, **columns)
    assert not (tmp_path / "mail").exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"text": ["a", "b", "c"], "label": ["x", "x", "x"]}, "label"),
        ({"n": [1, 2, 3], "m": [1, 2, 3]}, "no column of texts"),
        ({"text": ["a", "b", "c", "d"]}, "no column that could hold labels"),
    ],
)
def test_data_that_cannot_be_understood(tmp_path, content, message):
    pd.DataFrame(content).to_parquet(tmp_path / "mail.parquet")
    with pytest.raises(DataError, match=message):
        draft_task("mail", tmp_path / "mail.parquet", tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mail.parquet"]


def test_what_exists_is_not_overwritten(file, tmp_path):
    (tmp_path / "mail").mkdir()
    with pytest.raises(ConfigError, match="exists already"):
        draft_task("mail", file, tmp_path)


@pytest.mark.parametrize("name", ["My Task", "../mail", "UPPER"])
def test_a_name_no_task_can_have(file, tmp_path, name):
    with pytest.raises(ConfigError, match="name"):
        draft_task(name, file, tmp_path / "tasks")
    assert not list(tmp_path.glob("**/task.yaml"))


TEXTS = [f"a rather long message, number {i}" for i in range(40)]
SEVERAL = {
    "names with a sign between them": (
        {"topics": ["a;b", "b", "", "c; a"] * 10},
        ";",
        "'topics' with ';' between them",
    ),
    "lists written out": ({"topics": ["['a', 'b']", "['b']", "[]", "['c']"] * 10}, "|", "'topics'"),
    "columns": ({"a": [1, 0, 0, 0] * 10, "b": [1, 1, 0, 0] * 10, "c": [0, 0, 0, 1] * 10}, "|", "columns of 0 and 1"),
}


@pytest.mark.parametrize(("columns", "separator", "read_as"), SEVERAL.values(), ids=SEVERAL)
def test_several_labels_a_text_are_recognised_and_said(tmp_path, columns, separator, read_as):
    pd.DataFrame({"message": TEXTS, **columns}).to_csv(tmp_path / "mail.csv", index=False)
    draft = draft_task("mail", tmp_path / "mail.csv", tmp_path)
    assert draft.read_as == f"text 'message', any number of labels a text from {read_as}"
    task = draft.task
    assert (task.kind, task.labels, task.label_separator) == ("multi_label", ["a", "b", "c"], separator)
    assert task.decision.policy == "threshold"
    assert sum(load_splits(task, DataConfig(), 0).sizes().values()) == 40


def test_one_label_a_text_may_have_a_sign_in_it(tmp_path):
    pd.DataFrame({"message": TEXTS, "topics": ["a;b", "b", "a", "a;b"] * 10}).to_csv(tmp_path / "m.csv", index=False)
    task = draft_task("mail", tmp_path / "m.csv", tmp_path, kind="single_label").task
    assert (task.kind, task.labels) == ("single_label", ["a", "a;b", "b"])
    with pytest.raises(DataError, match="with ';' between them, but the task's label_separator is '/'"):
        draft_task("mail2", tmp_path / "m.csv", tmp_path, label_separator="/")


def test_columns_of_labels_can_be_given_beside_a_label_column(tmp_path):
    columns = {"label": ["x", "y"] * 20, "a": [1, 0] * 20, "b": [0, 1] * 20, "stars": [1, 5] * 20}
    pd.DataFrame({"message": TEXTS, **columns}).to_csv(tmp_path / "m.csv", index=False)
    assert draft_task("one", tmp_path / "m.csv", tmp_path).task.labels == ["x", "y"]
    task = draft_task("mail", tmp_path / "m.csv", tmp_path, label_columns=["a", "b"]).task
    assert load_splits(task, DataConfig(), 0).train["label"].explode().isin(["a", "b"]).all()
    with pytest.raises(DataError, match="column 'stars' holds '5', which is neither 0 nor 1"):
        draft_task("bad", tmp_path / "m.csv", tmp_path, label_columns=["a", "stars"])


def test_pairs_are_asked_for_and_offered(tmp_path, caplog):
    rows = {"question": [f"what is {i}?" for i in range(40)], "answer": TEXTS, "label": ["yes", "no"] * 20}
    pd.DataFrame(rows).to_csv(tmp_path / "m.csv", index=False)
    draft = draft_task("pairs", tmp_path / "m.csv", tmp_path, text_columns=["question", "answer"])
    assert draft.read_as == "pairs 'question' + 'answer', label 'label'"
    assert not caplog.records
    assert "text_pair" in load_splits(draft.task, DataConfig(), 0).train
    assert draft_task("one", tmp_path / "m.csv", tmp_path).task.text_columns == ["answer"]
    assert "--text-column question --text-column answer" in caplog.text
    for columns, message in (
        (["answer", "answer"], "asked for twice"),
        (["question", "answer", "label"], "3 are given"),
    ):
        with pytest.raises(ConfigError, match=message):
            draft_task("bad", tmp_path / "m.csv", tmp_path, text_columns=columns)
