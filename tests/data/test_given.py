import datasets
import numpy as np
import pandas as pd
import pytest

from nlptl.data.given import (
    PYTHON_DATA,
    data_by_task,
    data_of_one_task,
    list_of_texts,
    named_domains,
    table_of,
    texts_table,
)
from nlptl.errors import ConfigError

FRAME = pd.DataFrame({"text": ["a", "b"], "label": ["x", "y"]})


def test_paths_become_settings(tmp_path):
    settings, given = data_of_one_task(tmp_path / "a.csv", "b.csv", tmp_path / "c.csv")
    assert settings == {
        "data.source": str(tmp_path / "a.csv"),
        "data.validation": "b.csv",
        "data.test": str(tmp_path / "c.csv"),
    }
    assert given is None
    assert (
        data_of_one_task({"train": tmp_path / "a.csv", "validation": "b.csv", "test": tmp_path / "c.csv"})[0]
        == settings
    )


def test_a_table_is_handed_on(tmp_path):
    settings, given = data_of_one_task(FRAME)
    assert settings == {"data.source": PYTHON_DATA}
    assert given is FRAME
    settings, given = data_of_one_task(FRAME, test="test.csv")
    assert (settings["data.test"], given is FRAME) == ("test.csv", True)


def test_tables_of_splits_stand_beside_a_table_a_dict_or_a_file(tmp_path):
    FRAME.to_csv(tmp_path / "train.csv", index=False)
    for data in (FRAME, {"train": FRAME}, tmp_path / "train.csv"):
        settings, given = data_of_one_task(data, validation=FRAME)
        assert settings == {"data.source": PYTHON_DATA}
        assert list(given["train"]["text"]) == ["a", "b"]
        assert given["validation"] is FRAME
    with pytest.raises(ConfigError, match="need a train split that is a table or a file"):
        data_of_one_task("owner/name", test=FRAME)


def test_a_split_is_given_once_and_by_its_name():
    with pytest.raises(ConfigError, match="The test split is given twice"):
        data_of_one_task({"train": "a.csv", "test": "b.csv"}, test="c.csv")
    with pytest.raises(ConfigError, match=r"Unknown split 'tets'.*Did you mean 'test'"):
        data_of_one_task({"train": "a.csv", "tets": "b.csv"})


def test_records_are_a_table():
    records = [{"text": "a", "label": 1}, {"text": "b", "label": 0}]
    pd.testing.assert_frame_equal(table_of(records), pd.DataFrame(records))
    assert table_of("a.csv") is None
    for wrong in ([], ["text"], [1]):
        with pytest.raises(ConfigError, match="labelled data is a path, a pandas DataFrame"):
            table_of(wrong)


def test_texts_of_a_target_are_a_table():
    for texts in (["a", "b"], ("a", "b"), pd.Series(["a", "b"])):
        assert texts_table(texts, "review")["review"].tolist() == ["a", "b"]
    assert texts_table(FRAME, "review") is FRAME
    assert texts_table("a.csv", "review") is None


def test_texts_of_any_kind_of_table():
    for data in (FRAME, datasets.Dataset.from_pandas(FRAME), {"train": FRAME}, FRAME["text"]):
        assert list_of_texts(data) == ["a", "b"]
    assert list_of_texts(FRAME, "label") == ["x", "y"]
    assert list_of_texts(datasets.DatasetDict({"train": datasets.Dataset.from_pandas(FRAME)})) == ["a", "b"]
    for paths in (None, "a.txt", ["a.txt", "b.txt"]):
        assert list_of_texts(paths) is None
    with pytest.raises(ConfigError, match=r"Unknown column 'txt'.*Did you mean 'text'.*text_column"):
        list_of_texts(FRAME, "txt")
    with pytest.raises(ConfigError, match="data is a ndarray, which holds no texts"):
        list_of_texts(np.zeros(3))


def test_several_tasks_have_data_each():
    assert data_by_task({"a": "a.csv", "b": FRAME})[0] == {"a": "a.csv", "b": PYTHON_DATA}
    assert data_by_task({"a": "a.csv", "b": FRAME})[1]["b"] is FRAME
    with pytest.raises(ConfigError, match="a dict by task"):
        data_by_task(FRAME)


def test_domains_are_called_after_their_files(tmp_path):
    assert named_domains(["x/books.csv", tmp_path / "kitchen"]) == {
        "books": "x/books.csv",
        "kitchen": tmp_path / "kitchen",
    }
    assert named_domains({"books": FRAME})["books"] is FRAME
    with pytest.raises(ConfigError, match="these repeat: books, books"):
        named_domains(["a/books.csv", "b/books.csv"])
    with pytest.raises(ConfigError, match="a dict by name"):
        named_domains("books.csv")
