"""Several tasks on one encoder: what is learned, saved, answered, compared, refused."""

import json
import os
import shutil
import signal
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
import yaml

import nlptl
from nlptl.config.strategies import MultiTaskConfig
from nlptl.errors import ArtifactError, ConfigError
from nlptl.models.linear_probe import LinearHead
from nlptl.runs.artifact import load_artifact
from nlptl.runs.saving import merge_artifact
from nlptl.storage.json_files import read_json
from nlptl.strategies import pipeline
from nlptl.strategies.multi_task import balance as balance_of
from nlptl.strategies.stages import Probe
from nlptl.tasks import load_task
from tests.conftest import QUICK, sample
from tests.strategies.test_fine_tune import KILLED, weights_of
from tests.training.distributed.test_launch import ACCELERATE

TASKS = "sentiment+fraud-text"
SETTINGS = {**QUICK, "training.epochs": 3, "training.learning_rate": 3e-3, "model.pooling": "mean"}


@pytest.fixture(scope="module")
def messages(tmp_path_factory):
    folder = tmp_path_factory.mktemp("messages")
    for split, rows in (("train", 40), ("validation", 16), ("test", 17)):
        sample("fraud-text", split, rows).to_csv(folder / f"{split}.csv", index=False)
    return folder


@pytest.fixture(scope="module")
def data(obvious, messages):
    return {"sentiment": obvious, "fraud-text": messages}


@pytest.fixture(scope="module")
def compared(tiny, data, tmp_path_factory):
    """A finished full run, with its tasks alone beside it."""
    settings = {**SETTINGS, "multi_task.compare": True}
    folder = tmp_path_factory.mktemp("together") / "run"
    return nlptl.train(TASKS, data=data, checkpoint=tiny["bert"], output=folder, settings=settings)


def test_each_task_answers_with_its_own_labels(compared, obvious):
    assert compared.tasks == ["sentiment", "fraud-text"]
    texts = pd.read_csv(obvious / "test.csv")["text"].tolist()
    assert compared.task("sentiment").labels == ["negative", "positive"]
    assert {p.label for p in compared.task("fraud-text").predict(texts)} <= {"legitimate", "fraud"}
    probabilities = compared.task("sentiment").predict_proba(texts)
    np.testing.assert_allclose(probabilities.sum(1), 1.0, atol=1e-5)
    told = compared.task("sentiment").metrics["test"]["accuracy"]
    gold = pd.read_csv(obvious / "test.csv")["label"]
    right = [p.label == label for p, label in zip(compared.task("sentiment").predict(texts), gold, strict=True)]
    assert np.mean(right) == pytest.approx(told)
    assert told > 0.7


def test_a_run_of_several_tasks_wants_to_know_which(compared):
    with pytest.raises(ConfigError, match=r"several tasks: sentiment, fraud-text\. Choose one with --task"):
        compared.predict(["a text"])
    with pytest.raises(ConfigError, match="Did you mean 'sentiment'"):
        compared.task("sentimant")


def test_differences_from_training_alone_are_told(compared):
    for name, metric in (("sentiment", "accuracy"), ("fraud-text", "macro_f1")):
        facts = compared.metrics["tasks"][name]
        alone = nlptl.load(compared.folder / "alone" / name).metrics
        assert facts["metric"] == metric
        for split in ("test", "validation"):
            assert facts["alone"][split] == alone[split][metric]
            assert facts["difference"][split] == pytest.approx(facts[split][metric] - alone[split][metric])
        history = [epoch[name] for epoch in compared.metrics["training"]["epochs"]]
        kept = history[compared.metrics["training"]["best_epoch"]]
        assert facts["forgetting"] == pytest.approx(max(history) - kept)
    card = (compared.folder / "README.md").read_text()
    assert "| sentiment | accuracy |" in card and "| fraud-text | macro_f1 |" in card


def test_a_task_that_is_nearly_solved_weighs_more_up_to_ten_times():
    truth = np.arange(40) % 2
    features = {"validation": np.stack([1.0 - truth, truth], 1).astype(np.float32)}

    def factors(sizes, balance=True):
        config = SimpleNamespace(multi_task=MultiTaskConfig(balance=balance))
        task = load_task("sentiment")
        parts = [SimpleNamespace(task=task, targets={"validation": truth}) for _ in sizes]
        heads = [LinearHead(size * torch.eye(2), torch.zeros(2), 1.0) for size in sizes]
        return balance_of(SimpleNamespace(config=config, parts=parts), [Probe(features, head) for head in heads])

    unsure, sure = factors([0.0, 2.0])  # losses log(2) and log(1 + exp(-2))
    assert unsure + sure == pytest.approx(2)
    assert sure / unsure == pytest.approx(np.log(2) / np.log1p(np.exp(-2.0)), rel=1e-4)
    unsure, sure = factors([0.0, 50.0])
    assert sure / unsure == pytest.approx(10)
    assert factors([0.0, 2.0], balance=False) == [1.0, 1.0]


def test_resuming_a_finished_run_gives_it_back(tiny, data, tmp_path, monkeypatch):
    given = {"task": TASKS, "data": data, "checkpoint": tiny["bert"], "mode": "feature_extraction"}
    given |= {"settings": SETTINGS, "output": tmp_path / "run"}
    run = nlptl.train(**given)
    written = (run.folder / "manifest.json").stat().st_mtime_ns
    monkeypatch.setattr(pipeline, "task_rows", None)  # nothing is learned again
    again = nlptl.train(**given, resume=True)
    assert again.metrics == run.metrics
    assert (again.folder / "manifest.json").stat().st_mtime_ns == written
    with pytest.raises(ArtifactError, match="finished run"):
        nlptl.train(**given)


def test_a_task_alone_of_other_settings_or_data_is_refused(compared, tiny, data, messages, tmp_path):
    """A run that was stopped after its tasks were trained alone: they are taken up only where they are the same."""
    folder = tmp_path / "run"
    shutil.copytree(compared.folder / "alone", folder / "alone")
    shutil.copy(compared.folder / "run.yaml", folder / "run.yaml")
    given = {"checkpoint": tiny["bert"], "output": folder}
    settings = {**SETTINGS, "multi_task.compare": True}
    other = messages.with_name("fewer")
    shutil.copytree(messages, other)
    pd.read_csv(messages / "train.csv").head(30).to_csv(other / "train.csv", index=False)
    noted = yaml.safe_load((folder / "run.yaml").read_text())
    noted["multi_task"]["sources"]["fraud-text"] = str(other)
    (folder / "run.yaml").write_text(yaml.safe_dump(noted))
    with pytest.raises(ArtifactError, match=r"alone/fraud-text holds a finished run with other settings \(data"):
        nlptl.train(TASKS, data={**data, "fraud-text": other}, settings=settings, **given)


def test_the_balance_of_losses_is_recorded(compared):
    found = [compared.metrics["tasks"][name]["balance"] for name in ("sentiment", "fraud-text")]
    assert sum(found) == pytest.approx(2)
    assert found[0] != found[1]


def test_the_best_state_has_the_best_mean_of_the_primary_metrics(compared):
    epochs = compared.metrics["training"]["epochs"]
    for epoch in epochs:
        assert epoch["mean"] == pytest.approx((epoch["sentiment"] + epoch["fraud-text"]) / 2)
    best = compared.metrics["training"]["best_epoch"]
    assert epochs[best]["mean"] == max(epoch["mean"] for epoch in epochs)
    validation = compared.metrics["validation"]
    assert validation["mean"] == pytest.approx(epochs[best]["mean"], abs=1e-6)


@pytest.mark.parametrize("mode", ["lora", "feature_extraction"])
def test_adapters_and_heads_alone_serve_all_tasks_and_merge(tiny, data, tmp_path, mode):
    settings = {**SETTINGS, "training.epochs": 1}
    given = {**data, "fraud-text": {s: pd.read_csv(data["fraud-text"] / f"{s}.csv") for s in ("train", "test")}}
    run = nlptl.train(
        TASKS, data=given, mode=mode, checkpoint=tiny["roberta"], output=tmp_path / "run", settings=settings
    )
    assert not list((run.folder / "model").rglob("model.safetensors"))
    texts = ["a good film", "win a prize"]
    merged = nlptl.load(merge_artifact(run.folder, tmp_path / "merged"), "fp32")
    for name in run.tasks:
        expected = run.task(name).predict_proba(texts)
        np.testing.assert_allclose(merged.task(name).predict_proba(texts), expected, atol=1e-4)


def test_a_frozen_encoder_gives_what_each_task_has_alone(tiny, data, tmp_path):
    settings = {**SETTINGS, "multi_task.compare": True}
    run = nlptl.train(
        TASKS,
        data=data,
        mode="feature_extraction",
        checkpoint=tiny["bert"],
        output=tmp_path / "run",
        settings=settings,
    )
    for facts in run.metrics["tasks"].values():
        assert facts["difference"] == {"test": 0.0, "validation": 0.0}


def test_a_killed_run_goes_on_to_the_same_end(compared, tiny, data, tmp_path):
    sources = {name: str(folder) for name, folder in data.items()}
    given = {"task": TASKS, "data": sources, "checkpoint": tiny["bert"], "settings": SETTINGS}
    folder = tmp_path / "killed"
    command = [sys.executable, "-c", KILLED, json.dumps({**given, "output": str(folder)})]
    done = subprocess.run(command, env=os.environ, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    newest = sorted((folder / "state").glob("step-*"))[-1]
    assert read_json(newest / "progress.json")["progress"]["step"] == 7
    resumed = nlptl.train(**given, output=folder)
    np.testing.assert_allclose(resumed.metrics["training"]["losses"], compared.metrics["training"]["losses"], atol=1e-5)
    expected = weights_of(compared.folder)
    for name, tensor in weights_of(folder).items():
        np.testing.assert_allclose(tensor, expected[name], atol=1e-5, err_msg=name)


def test_two_processes_learn_what_one_learns(compared, tiny, data, tmp_path):
    own = {name: value for name, value in os.environ.items() if not name.startswith("ACCELERATE_")}
    settings = [part for key, value in SETTINGS.items() for part in ("--set", f"{key}={value}")]
    sources = [part for name, folder in data.items() for part in ("--data", f"{name}={folder}")]
    more = ["--checkpoint", tiny["bert"], "--output", "together"]
    launcher = ["--multi_gpu", "--num_processes", "2", "--main_process_port", "0"]
    done = subprocess.run(
        [*ACCELERATE, *launcher, "-m", "nlptl", "train", TASKS, *sources, *settings, *more],
        cwd=tmp_path,
        env={**own, "ACCELERATE_USE_CPU": "1", "NLPTL_CACHE": str(tmp_path / "cache"), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    ours = load_artifact(tmp_path / "together").metrics
    assert ours["runtime"]["processes"] == 2
    np.testing.assert_allclose(ours["training"]["losses"], compared.metrics["training"]["losses"], atol=1e-3)
    assert ours["test"] == pytest.approx(compared.metrics["test"], abs=0.07)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"task": "sentiment+sentiment"}, "names sentiment twice"),
        ({"task": "sentiment+"}, "empty name"),
        ({"task": "sentiment+fraudtext"}, "Did you mean 'fraud-text'"),
        ({"data": {"fraud": "x.csv"}}, "In multi_task.sources.*Did you mean 'fraud-text'"),
        ({"data": "x.csv"}, "dict by task"),
        ({"settings": {"multi_task.weights": {"sentimant": 2.0}}}, "Did you mean 'sentiment'"),
        ({"settings": {"data.test": "x.csv"}}, "does not say which task"),
        ({"strategy": "soup"}, "takes one task"),
    ],
)
def test_mistakes_are_told_before_a_folder_is_made(tmp_path, given, message):
    with pytest.raises(ConfigError, match=message):
        nlptl.train(**{"task": TASKS, **given}, output=tmp_path / "run")
    assert not (tmp_path / "run").exists()
