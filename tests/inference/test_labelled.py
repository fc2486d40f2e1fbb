"""What `evaluate` takes: files, folders, named data sets, and data in Python."""

import datasets
import pandas as pd
import pytest

import nlptl
from nlptl.errors import DataError


@pytest.fixture(scope="module")
def run(trained_tiny):
    return nlptl.load(trained_tiny("bert", "full", "mean").run.folder, precision="fp32", progress=False)


@pytest.fixture(scope="module")
def split(obvious):
    return {name: pd.read_csv(obvious / f"{name}.csv") for name in ("train", "validation", "test")}


def test_paths_are_strings_or_paths(run, obvious):
    report = run.evaluate(str(obvious / "test.csv"))
    assert report == run.evaluate(obvious / "test.csv")
    assert report["loss"] == pytest.approx(run.metrics["test"]["loss"], abs=1e-6)


def test_data_in_python_is_measured_like_its_file(run, obvious, split, tmp_path, said):
    expected = run.evaluate(obvious / "test.csv")
    dataset = datasets.Dataset.from_pandas(split["test"])
    assert run.evaluate(split["test"]) == run.evaluate(dataset) == expected
    named = datasets.ClassLabel(names=run.labels)
    assert run.evaluate(dataset.cast_column("label", named)) == expected
    several = datasets.DatasetDict({name: datasets.Dataset.from_pandas(frame) for name, frame in split.items()})
    assert run.evaluate(several) == run.evaluate(split) == expected
    assert said().count("the data: its test split is evaluated") == 2
    several.save_to_disk(tmp_path / "saved")
    assert run.evaluate(tmp_path / "saved") == expected
    assert run.evaluate({"test": split["test"]}) == expected


def test_of_a_folder_the_test_file_is_measured_and_told(run, obvious, said):
    assert run.evaluate(obvious) == run.evaluate(obvious / "test.csv")
    assert any(line.endswith("test.csv is evaluated") for line in said())


def test_a_folder_with_one_table_is_that_table(run, obvious, split, tmp_path):
    split["test"].to_csv(tmp_path / "held_out.csv", index=False)
    assert run.evaluate(tmp_path) == run.evaluate(obvious / "test.csv")


def test_of_a_named_data_set_the_test_split_is_measured(run, said):
    from nlptl.storage.paths import bundled

    assert run.evaluate("sample") == run.evaluate(bundled("tasks") / "sentiment" / "sample" / "test.csv")
    assert "sample: its test split is evaluated" in said()


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("sampel", "Unknown data source 'sampel'.*sample.*Did you mean 'sample'"),
        ("nowhere.csv", "nowhere.csv does not exist"),
        (3, "Cannot read data from a int"),
        ({"train": pd.DataFrame({"text": ["a"]}), "validation": pd.DataFrame({"text": ["a"]})}, "no test split"),
    ],
)
def test_what_cannot_be_measured_is_refused(run, source, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match=message):
        run.evaluate(source)


def test_a_folder_of_several_tables_must_name_one(run, split, tmp_path):
    split["train"].to_csv(tmp_path / "train.csv", index=False)
    split["train"].to_csv(tmp_path / "more.csv", index=False)
    with pytest.raises(DataError, match=r"no test.csv.*it holds more.csv, train.csv. Name one file"):
        run.evaluate(tmp_path)


def test_the_file_that_was_trained_on_is_told(foreign, said):
    run = nlptl.load(foreign / "run", progress=False)
    run.evaluate(foreign / "train.csv")
    assert any("is the file that the run was trained on" in line for line in said())
