"""The settings `decision.*` of a run, from the call to the saved policy."""

import re
import shutil

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

import nlptl
from nlptl import cli
from nlptl.config.records import read_record
from nlptl.config.run import RunConfig
from nlptl.errors import ConfigError, NlptlError
from nlptl.runs.answers import read_answers
from nlptl.runs.artifact import load_artifact
from nlptl.storage.json_files import read_json
from tests.conftest import sample

SMALL = {"training.refit": False, "data.validation_fraction": 0.3}


@pytest.fixture(scope="module")
def intents():
    rows = sample("chatbot-intent", "train", 900)
    return rows[rows["label"] != "out_of_scope"]


def fitted(intents, folder, **settings):
    run = nlptl.train_baseline(
        "chatbot-intent", data=intents, output=folder, settings={**SMALL, "baseline.features": ["words"], **settings}
    )
    return run, read_json(run.folder / "decision.json")


def test_data_without_out_of_scope_rows_are_answered_by_the_most_probable_label(intents, tmp_path):
    run, decision = fitted(intents, tmp_path / "plain")
    assert decision["policy"] == "argmax"
    note = run.metrics["validation"]["decided"]["note"]
    assert "--set decision.reject=always" in note
    assert note in (run.folder / "README.md").read_text()
    rejecting, decision = fitted(intents, tmp_path / "rejecting", **{"decision.reject": "always"})
    assert (decision["policy"], decision["label"]) == ("out_of_scope", "out_of_scope")
    lost = 1 - rejecting.metrics["validation"]["decided"]["in_scope_kept"]
    assert 0 < lost <= 0.05
    stricter, decision = fitted(intents, tmp_path / "stricter", **{"decision.reject": "always", "decision.keep": 0.8})
    assert 1 - stricter.metrics["validation"]["decided"]["in_scope_kept"] > lost


def test_a_task_with_another_policy_has_no_such_settings(tmp_path):
    with pytest.raises(ConfigError, match="decision.reject would have no effect: no task of the run has a decision"):
        nlptl.train("sentiment", output=tmp_path / "run", settings={"decision.reject": "always"})
    with pytest.raises(ConfigError, match="decision.keep would have no effect: decision.reject=never answers"):
        nlptl.train(
            "chatbot-intent", output=tmp_path / "run", settings={"decision.reject": "never", "decision.keep": 0.5}
        )
    assert not (tmp_path / "run").exists()


@pytest.fixture(scope="module")
def messages(tmp_path_factory):
    """A run on fraud texts, by a classical model; tests decide anew in copies of it."""
    folder = tmp_path_factory.mktemp("messages") / "run"
    settings = {"training.refit": False, "baseline.features": ["words"]}
    return nlptl.train_baseline("fraud-text", output=folder, settings=settings).folder


def test_a_run_is_decided_anew_without_training_as_if_it_had_been_trained_so(messages, tmp_path):
    again = nlptl.decide(shutil.copytree(messages, tmp_path / "again"), "precision", floor=0.7, confidence=0.8)
    settings = {
        "training.refit": False,
        "baseline.features": ["words"],
        "decision.policy": "precision",
        "decision.floor": 0.7,
        "decision.confidence": 0.8,
    }
    trained = nlptl.train_baseline("fraud-text", output=tmp_path / "trained", settings=settings)
    for name in ("decision.json", "calibration.json", "predictions.csv", "task.yaml", "README.md"):
        theirs = (trained.folder / name).read_text().replace("/trained", "/again").replace("trained", "again", 1)
        assert name == "README.md" or (again.folder / name).read_text() == theirs, name
    for split in ("validation", "test"):
        assert again.metrics[split]["decided"] == trained.metrics[split]["decided"]
    assert "`precision`" in (again.folder / "README.md").read_text()
    texts = ["You have won a prize, call now", "See you at eight"]
    assert again.predict(texts) == trained.predict(texts)
    config = read_record(RunConfig, again.folder / "run.yaml")
    assert config.decision == read_record(RunConfig, trained.folder / "run.yaml").decision


def test_what_cannot_be_kept_leaves_the_run_as_it_was(messages, tmp_path):
    folder = shutil.copytree(messages, tmp_path / "run")
    before = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    refused = {
        "No threshold reaches a precision of 0.99": {"policy": "precision", "floor": 0.99},
        "needs decision.floor": {"policy": "recall"},
        "Did you mean 'precision'": {"policy": "precison"},
        "policy argmax does not read coverage; it reads": {"policy": "argmax", "coverage": 0.9},
        "is not among": {"policy": "cost", "costs": {"fraud>honest": 3}},
        "Say what is to be decided otherwise": {},
        "has no task 'sentiment'": {"policy": "argmax", "task": "sentiment"},
        "less than 1": {"policy": "precision", "floor": 95},
    }
    for sentence, asked in refused.items():
        with pytest.raises(NlptlError, match=re.escape(sentence)):
            nlptl.decide(folder, **asked)
    assert before == {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def test_sets_of_labels_are_written_and_read(messages, tmp_path):
    run = nlptl.decide(shutil.copytree(messages, tmp_path / "run"), "conformal", coverage=0.95, sets="aps")
    assert all(isinstance(each.label, list) for each in run.predict(["See you at eight", "Call now"]))
    table = pd.read_csv(run.folder / "predictions.csv", keep_default_na=False)
    assert set(table["predicted"]) <= {"legitimate", "fraud", "legitimate|fraud", "fraud|legitimate"}
    held = [label in cell.split("|") for label, cell in zip(table["label"], table["predicted"], strict=True)]
    assert np.mean(held) == pytest.approx(run.metrics["test"]["decided"]["coverage"])
    assert run.evaluate("sample")["decided"] == run.metrics["test"]["decided"]
    back = nlptl.decide(run, "threshold")
    assert back.metrics["test"]["decided"]["policy"] == "threshold"


@pytest.mark.parametrize("method", ["none", "temperature", "vector", "isotonic"])
def test_a_calibration_is_applied_wherever_the_run_answers(messages, tmp_path, method):
    run = nlptl.decide(shutil.copytree(messages, tmp_path / "run"), calibration=method)
    test = read_answers(run.folder)["test"]
    table = pd.read_csv(run.folder / "predictions.csv", keep_default_na=False)
    probabilities = run.predict_proba(table["text"])
    expected = load_artifact(run.folder).head().calibration.probabilities(test.logits, False)
    np.testing.assert_allclose(probabilities, expected, atol=1e-5)
    assert run.metrics["test"]["calibration"]["method"] == method
    said = run.metrics["test"]["calibration"]["after"]["brier"]
    wanted = np.eye(2)[test.targets]
    assert said == pytest.approx(float(((probabilities - wanted) ** 2).sum(1).mean()), abs=1e-5)


def test_the_command_decides(messages, tmp_path):
    folder = str(shutil.copytree(messages, tmp_path / "run"))
    said = CliRunner().invoke(cli.app, ["decide", folder, "--policy", "cost", "--cost", "fraud>legitimate=20"])
    assert said.exit_code == 0, said.output
    assert "Decision policy cost" in said.output
    assert "mean cost" in said.output
    said = CliRunner().invoke(cli.app, ["decide", folder, "--policy", "cost", "--cost", "fraud=dear"])
    assert "is not GOLD>ANSWER=COST" in str(said.exception)


def test_a_run_of_several_tasks_is_decided_one_by_one(tiny, tmp_path):
    settings = {"training.epochs": 1, "runtime.progress": False}
    data = {"sentiment": sample("sentiment", "train", 80), "fraud-text": sample("fraud-text", "train", 200)}
    run = nlptl.train(
        "sentiment+fraud-text", data=data, checkpoint=tiny["bert"], output=tmp_path / "run", settings=settings
    )
    with pytest.raises(ConfigError, match="Choose one with --task NAME"):
        nlptl.decide(run, "argmax")
    again = nlptl.decide(run, "recall", task="fraud-text", floor=0.5)
    assert again.task("fraud-text").metrics["test"]["decided"]["policy"] == "recall"
    assert again.task("sentiment").metrics["test"]["decided"] == run.task("sentiment").metrics["test"]["decided"]
