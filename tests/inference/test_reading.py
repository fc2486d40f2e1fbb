"""A run reads tables as it was trained, as asked, or says what it reads instead."""

import json
import shutil

import pandas as pd
import pytest

import nlptl
from nlptl.config.data import DataConfig
from nlptl.errors import DataError
from tests.conftest import QUICK
from tests.inference.conftest import LABEL_MAP, foreign_table, labels_in


@pytest.fixture(scope="module")
def run(foreign):
    return nlptl.load(foreign / "run", progress=False)


@pytest.fixture(scope="module")
def gold(foreign):
    return pd.read_csv(foreign / "test.csv", encoding="cp1252")


@pytest.fixture(scope="module")
def right(run, gold):
    """What the run answers to the texts of the test split."""
    return [p.label for p in run.predict(gold["body"])]


def test_predict_reads_the_column_it_was_trained_on_and_says_so(run, foreign, right, tmp_path, said):
    assert run.predict_file(foreign / "test.csv", tmp_path / "out.csv") == len(right)
    assert labels_in(tmp_path / "out.csv") == right
    assert any("read from 'body', as in training, not from 'text'" in line for line in said())


def test_the_column_that_is_asked_for_goes_first(run, foreign, right, tmp_path, said):
    run.predict_file(foreign / "test.csv", tmp_path / "out.csv", data=DataConfig(text_columns=["text"]))
    found = labels_in(tmp_path / "out.csv")
    assert found == [p.label for p in run.predict(pd.read_csv(foreign / "test.csv", encoding="cp1252")["text"])]
    assert found != right
    assert not [line for line in said() if "read from" in line]


def test_where_that_column_is_not_there_the_tasks_own_is_read_and_told(run, gold, right, tmp_path, said):
    gold[["body"]].rename(columns={"body": "text"}).to_csv(tmp_path / "in.csv", index=False, encoding="cp1252")
    run.predict_file(tmp_path / "in.csv", tmp_path / "out.csv")
    assert labels_in(tmp_path / "out.csv") == right
    (line,) = [line for line in said() if "trained on" in line]
    assert "no column 'body'" in line
    assert "read from 'text'" in line
    assert "--text-column" in line


def test_where_neither_is_there_the_columns_are_named(run, tmp_path):
    pd.DataFrame({"bodi": ["fine"]}).to_csv(tmp_path / "in.csv", index=False)
    with pytest.raises(DataError, match=r"no column 'body'.*Its columns: bodi.*Did you mean 'bodi'.*--text-column"):
        run.predict_file(tmp_path / "in.csv", tmp_path / "out.csv")


def test_evaluate_reads_columns_labels_and_encoding_as_training_did(run, foreign):
    assert run.evaluate(foreign / "test.csv")["loss"] == run.metrics["test"]["loss"]


def test_evaluate_reads_a_runs_own_predictions(run):
    report = run.evaluate(run.folder / "predictions.csv")
    assert report["loss"] == pytest.approx(run.metrics["test"]["loss"], abs=1e-6)
    assert report["rows"] == run.metrics["test"]["rows"]


def test_a_label_map_that_exchanges_labels_is_for_the_column_it_was_written_for(run, foreign, tmp_path):
    copied = tmp_path / "run"
    shutil.copytree(run.folder, copied)
    metrics = json.loads((copied / "metrics.json").read_text())
    metrics["data"]["read_as"]["label_map"] = {"positive": "negative", "negative": "positive"}
    (copied / "metrics.json").write_text(json.dumps(metrics))
    exchanged = nlptl.load(copied, progress=False)
    assert exchanged.evaluate(copied / "predictions.csv")["accuracy"] == run.metrics["test"]["accuracy"]
    verdicts = pd.read_csv(foreign / "test.csv", encoding="cp1252")
    verdicts["verdict"] = verdicts["verdict"].map({"+": "negative", "-": "positive"})
    verdicts.to_csv(tmp_path / "exchanged.csv", index=False, encoding="cp1252")
    assert exchanged.evaluate(tmp_path / "exchanged.csv")["accuracy"] == run.metrics["test"]["accuracy"]


def test_a_run_of_before_is_read_by_its_configuration(run, foreign, tmp_path):
    copied = tmp_path / "run"
    shutil.copytree(run.folder, copied)
    metrics = json.loads((copied / "metrics.json").read_text())
    del metrics["data"]["read_as"]
    (copied / "metrics.json").write_text(json.dumps(metrics))
    assert nlptl.load(copied, progress=False).evaluate(foreign / "test.csv")["loss"] == run.metrics["test"]["loss"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_file_that_shows_another_encoding_is_read_in_it(run, gold, right, encoding, tmp_path, said):
    gold.to_csv(tmp_path / "in.csv", index=False, encoding=encoding)
    run.predict_file(tmp_path / "in.csv", tmp_path / "out.csv")
    written = pd.read_csv(tmp_path / "out.csv", encoding="utf-8")
    assert written["body"].tolist() == gold["body"].tolist()
    assert written["predicted"].tolist() == right
    assert run.evaluate(tmp_path / "in.csv")["loss"] == run.metrics["test"]["loss"]
    if encoding == "utf-8":
        assert any("is read as UTF-8" in line and "trained on cp1252" in line for line in said())


def test_the_encoding_that_is_asked_for_goes_first(run, gold, tmp_path):
    gold.to_csv(tmp_path / "in.csv", index=False, encoding="utf-8")
    run.predict_file(tmp_path / "in.csv", tmp_path / "out.csv", data=DataConfig(encoding="cp1252"))
    assert pd.read_csv(tmp_path / "out.csv")["body"].str.endswith("Ã©").all()


def test_columns_of_a_named_data_set_are_those_of_its_file(tiny, obvious, tmp_path):
    folder = tmp_path / "tasks" / "mood"
    folder.mkdir(parents=True)
    for split in ("train", "test"):
        foreign_table(pd.read_csv(obvious / f"{split}.csv")).to_csv(folder / f"{split}.csv", index=False)
    (folder / "task.yaml").write_text(
        "name: mood\ndescription: x\nlabels: [negative, positive]\ndata:\n  reviews:\n"
        "    files: {train: train.csv, test: test.csv}\n    text_columns: [body]\n    label_column: verdict\n"
        "    label_map: {'+': positive, '-': negative}\n"
    )
    settings = {"tasks_dir": str(tmp_path / "tasks"), "runtime.progress": False, "runtime.precision": "fp32"}
    run = nlptl.train(
        "mood",
        data="reviews",
        mode="feature_extraction",
        checkpoint=tiny["bert"],
        output=tmp_path / "run",
        settings=settings,
    )
    for source in (folder / "test.csv", "reviews"):
        assert run.evaluate(source)["loss"] == run.metrics["test"]["loss"]
    shutil.rmtree(tmp_path / "tasks")
    foreign_table(pd.read_csv(obvious / "test.csv")).to_csv(tmp_path / "test.csv", index=False)
    assert run.evaluate(tmp_path / "test.csv")["loss"] == run.metrics["test"]["loss"]


def test_a_run_of_several_tasks_reads_each_ones_data_as_its_own(tiny, obvious, tmp_path):
    plain = pd.read_csv(obvious / "train.csv")
    tables = {"sentiment": {"+": "positive", "-": "negative"}, "fraud-text": {"+": "legitimate", "-": "fraud"}}
    for task in tables:
        foreign_table(plain).to_csv(tmp_path / f"{task}.csv", index=False)
    settings = {
        **QUICK,
        "data.text_columns": ["body"],
        "data.label_column": "verdict",
        "multi_task.label_maps": tables,
    }
    run = nlptl.train(
        "sentiment+fraud-text",
        data={task: str(tmp_path / f"{task}.csv") for task in tables},
        mode="feature_extraction",
        checkpoint=tiny["bert"],
        output=tmp_path / "run",
        settings=settings,
    )
    held_out = foreign_table(pd.read_csv(obvious / "test.csv"))
    held_out.to_csv(tmp_path / "test.csv", index=False)
    for task, names in tables.items():
        one = run.task(task)
        one.predict_file(tmp_path / "test.csv", tmp_path / f"{task}-out.csv")
        assert labels_in(tmp_path / f"{task}-out.csv") == [p.label for p in one.predict(held_out["body"])]
        assert one.evaluate(tmp_path / "test.csv")["rows"] == len(held_out)
        assert set(names.values()) == set(one.labels)


def test_rows_without_text_are_dropped_where_training_did(tiny, foreign, run, tmp_path):
    gold = pd.read_csv(foreign / "test.csv", encoding="cp1252")
    gold.loc[2, "body"] = None
    gold.to_csv(tmp_path / "in.csv", index=False, encoding="cp1252")
    with pytest.raises(DataError, match="bad_rows=drop"):
        run.evaluate(tmp_path / "in.csv")
    report = run.evaluate(tmp_path / "in.csv", DataConfig(bad_rows="drop"))
    assert report["rows"] == len(gold) - 1
    assert report["audit"] == {"test_rows_without_text": 1}


def test_the_label_map_of_the_fixture_is_the_one_recorded(run):
    assert run.metrics["data"]["read_as"] == {
        "text_columns": ["body"],
        "label_column": "verdict",
        "label_map": LABEL_MAP,
    }


@pytest.fixture(scope="module")
def semicolons(tiny, obvious, tmp_path_factory):
    """A run trained on a file with semicolons, in whose header stands a comma."""
    folder = tmp_path_factory.mktemp("semicolons")
    frame = pd.read_csv(obvious / "train.csv").rename(columns={"text": "text, as sent"})
    frame.to_csv(folder / "train.csv", sep=";", index=False)
    settings = {
        "data.text_columns": ["text, as sent"],
        "data.delimiter": ";",
        "data.quotes": "none",
        "runtime.progress": False,
    }
    return nlptl.train(
        "sentiment",
        data=folder / "train.csv",
        mode="feature_extraction",
        checkpoint=tiny["bert"],
        output=folder / "run",
        settings=settings,
    )


def test_delimiter_and_quotes_are_those_of_training(semicolons, tmp_path):
    texts = ['a "good" film', '"bad', "a, b", "fine"]
    (tmp_path / "in.csv").write_text("id;text, as sent\n" + "".join(f"{i};{text}\n" for i, text in enumerate(texts)))
    assert semicolons.predict_file(tmp_path / "in.csv", tmp_path / "out.jsonl") == 4
    found = pd.read_json(tmp_path / "out.jsonl", lines=True)
    assert found["text, as sent"].tolist() == texts
    assert found["predicted"].tolist() == [p.label for p in semicolons.predict(texts)]


def test_a_file_with_another_delimiter_is_read_by_its_own(semicolons, tmp_path, said):
    texts = ['a "good" film', "a, b"]
    pd.DataFrame({"text": texts, "label": ["positive", "negative"]}).to_csv(tmp_path / "in.csv", index=False)
    assert semicolons.predict_file(tmp_path / "in.csv", tmp_path / "out.csv") == 2
    assert pd.read_csv(tmp_path / "out.csv")["text"].tolist() == texts
    assert semicolons.evaluate(tmp_path / "in.csv")["rows"] == 2
    assert any("its delimiter is looked for" in line for line in said())


def test_the_delimiter_that_is_asked_for_goes_first(semicolons, tmp_path):
    (tmp_path / "in.csv").write_text("text|label\na; b|positive\n")
    data = DataConfig(delimiter="|", text_columns=["text"])
    assert semicolons.predict_file(tmp_path / "in.csv", tmp_path / "out.csv", data=data) == 1
    assert pd.read_csv(tmp_path / "out.csv")["text"].tolist() == ["a; b"]


def test_a_compressed_file_is_read_like_its_content(run, gold, right, tmp_path):
    for encoding in ("cp1252", "utf-8"):
        gold.to_csv(tmp_path / "in.csv.gz", index=False, encoding=encoding)
        run.predict_file(tmp_path / "in.csv.gz", tmp_path / "out.csv")
        assert pd.read_csv(tmp_path / "out.csv")["body"].tolist() == gold["body"].tolist()
        assert labels_in(tmp_path / "out.csv") == right
