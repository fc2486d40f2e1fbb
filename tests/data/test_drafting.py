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
    task = draft_task("mail", tmp_path / "mail.parquet", tmp_path)
    assert task.label_column == "Label"
    assert len(task.labels) == 4


def test_columns_can_be_given(file, tmp_path):
    task = draft_task("mail", file, tmp_path, text_column="topic", label_column="kind")
    assert (task.text_columns, task.label_column) == (["topic"], "kind")
    task = draft_task("mail2", file, tmp_path, label_column="topic")
    assert (task.text_columns, task.label_column) == (["message"], "topic")


def test_number_labels_are_names_that_the_data_matches(frame, tmp_path):
    file = tmp_path / "mail.parquet"
    frame.assign(kind=[0.0, 1.0] * 20).to_parquet(file)
    task = draft_task("mail", file, tmp_path, label_column="kind")
    assert task.labels == ["0", "1"]
    assert sum(load_splits(task, DataConfig(), 0).sizes().values()) == 40


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"text_column": "mesage"}, r"no column 'mesage'.*Did you mean 'message'\?"),
        ({"label_column": "id", "text_column": "nope"}, "no column 'nope'"),
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
