import json
import logging
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from safetensors.torch import load_file
from transformers import AlbertConfig, AutoModel

import nlptl
from nlptl.errors import ArtifactError, CheckpointError, ConfigError, DataError, NlptlError
from nlptl.runs.artifact import load_artifact
from nlptl.storage.json_files import read_json
from nlptl.strategies import stages as steps
from tests.conftest import QUICK
from tests.exact_runs import ALL_ROUNDING

# Saves after every step, and is killed in the middle of the eighth save: 7 of 15 steps are safe.
KILLED = """
import json, os, signal, sys
import nlptl
from nlptl.training.resume import states

states.SHARE = 1e9
write, written = states._write_tensors, []

def dying(path, tensors):
    written.append(path)
    if len(written) == 3 * 7 + 2:
        os.kill(os.getpid(), signal.SIGKILL)
    write(path, tensors)

states._write_tensors = dying
nlptl.train(**json.loads(sys.argv[1]))
"""
SETTINGS = {
    "training.epochs": 3,
    "training.batch_size": 16,
    "training.micro_batch_size": 8,
    "training.learning_rate": 3e-3,
    "model.dropout": 0.1,
    "model.head_start": "random",
    "runtime.precision": "fp32",
    "runtime.progress": False,
}


def weights_of(folder) -> dict[str, np.ndarray]:
    files = sorted((folder / "model").rglob("*.safetensors"))
    return {f"{file.name}/{name}": t.numpy() for file in files for name, t in load_file(file).items()}


@pytest.mark.parametrize("mode", ["full", "lora"])
def test_a_killed_run_goes_on_to_the_same_end(tiny, obvious, tmp_path, mode):
    given = {"task": "sentiment", "data": str(obvious), "checkpoint": tiny["bert"], "mode": mode, "settings": SETTINGS}
    whole = nlptl.train(**given, output=tmp_path / "whole")
    folder = tmp_path / "killed"
    command = [sys.executable, "-c", KILLED, json.dumps({**given, "output": str(folder)})]
    done = subprocess.run(command, env=os.environ, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    newest = sorted((folder / "state").glob("step-*"))[-1]
    assert read_json(newest / "progress.json")["progress"]["step"] == 7
    assert "Task sentiment: 2 labels" in (folder / "log.txt").read_text()
    with pytest.raises(ArtifactError, match=r"unfinished run.*--resume"):
        nlptl.load(folder)
    with pytest.raises(ArtifactError, match=r"unfinished run with other settings \(seed: 0 -> 1\)"):
        nlptl.train(**given, output=folder, seed=1)
    resumed = nlptl.train(**given, output=folder)
    ours, theirs = resumed.metrics, whole.metrics
    assert len(ours["training"]["losses"]) == 15
    np.testing.assert_allclose(ours["training"]["losses"], theirs["training"]["losses"], atol=1e-6)
    assert ours["training"]["best_epoch"] == theirs["training"]["best_epoch"]
    assert [e["accuracy"] for e in ours["training"]["epochs"]] == [e["accuracy"] for e in theirs["training"]["epochs"]]
    assert ours["test"]["confusion_matrix"] == theirs["test"]["confusion_matrix"]
    expected, found = weights_of(whole.folder), weights_of(folder)
    assert expected.keys() == found.keys()
    for name, tensor in expected.items():
        if not name.endswith(ALL_ROUNDING):
            np.testing.assert_allclose(found[name], tensor, atol=1e-6, err_msg=name)
    assert not (folder / "state").exists()
    assert "Going on with the unfinished run" in (folder / "log.txt").read_text()
    with pytest.raises(ArtifactError, match="holds a finished run"):
        nlptl.train(**given, output=folder)


class Stopped(Exception):
    pass


def stop(*_, **__):
    raise Stopped


def test_resume_finds_the_newest_unfinished_run_of_the_same_settings(tiny, obvious, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    given = {"task": "sentiment", "data": str(obvious), "checkpoint": tiny["bert"]}
    quick = {"settings": {"training.epochs": 1, "runtime.precision": "fp32", "runtime.progress": False}}
    with monkeypatch.context() as patch:
        patch.setattr(steps, "fit", stop)
        for seed in (0, 1):
            with pytest.raises(Stopped):
                nlptl.train(**given, **quick, seed=seed, output=f"runs/sentiment-full-2026010{seed}-000000")
    resumed = nlptl.train(**given, **quick, seed=0, resume=True)
    assert resumed.folder.name == "sentiment-full-20260100-000000"
    fresh = nlptl.train(**given, **quick, seed=0, resume=True)
    assert fresh.folder.name not in ("sentiment-full-20260100-000000", "sentiment-full-20260101-000000")
    assert fresh.metrics["test"] == resumed.metrics["test"]


@pytest.mark.parametrize("mode", ["full", "lora", "feature_extraction"])
def test_run_yaml_repeats_the_run(trained_tiny, tmp_path, mode):
    run = trained_tiny("distilbert", mode).run
    again = nlptl.train(config=run.folder / "run.yaml", output=tmp_path / "again")
    assert again.metrics["test"] == run.metrics["test"]
    assert again.metrics["training"] == run.metrics["training"]
    assert (again.folder / "run.yaml").read_text() == (run.folder / "run.yaml").read_text()


def test_run_yaml_states_every_setting_that_was_used(trained_tiny):
    noted = yaml.safe_load((trained_tiny("distilbert", "full").run.folder / "run.yaml").read_text())
    training = noted["training"]
    open_ones = {name for name, value in training.items() if value is None}
    assert open_ones == {"micro_batch_size", "patience", "save_every"}
    assert noted["model"]["pooling"] == "cls"
    assert noted["output"] is None


@pytest.mark.parametrize("mode", ["full", "lora", "feature_extraction"])
def test_metrics_hold_fractions_times_and_counts(trained_tiny, mode):
    metrics = trained_tiny("bert", mode).run.metrics
    for split, rows in (("validation", 21), ("test", 31)):
        assert metrics[split]["rows"] == rows
        for name in ("accuracy", "macro_f1", "roc_auc"):
            assert 0.0 <= metrics[split][name] <= 1.0
        assert metrics[split]["loss"] > 0
        assert sum(map(sum, metrics[split]["confusion_matrix"])) == rows
        assert metrics[split]["per_class"].keys() == {"negative", "positive"}
    time = metrics["time"]
    parts = {"data_seconds"} | ({"training_seconds"} if mode != "feature_extraction" else {"head_seconds"})
    assert parts <= time.keys()
    assert all(time[name] >= 0 for name in time if name.endswith("_seconds"))
    inside = {"total_seconds", "forward_backward_seconds", "optimizer_seconds"}  # the last two are parts of training
    assert sum(time[name] for name in time if name.endswith("_seconds") and name not in inside) <= (
        time["total_seconds"] + 0.01
    )
    assert time["train_examples_per_second"] > 0
    if mode != "feature_extraction":
        assert 0 <= time["padding_share"] < 0.5
    assert metrics["data"]["train"] == 67
    assert 0 < metrics["model"]["trainable_parameters"] <= metrics["model"]["parameters"]
    assert (metrics["model"]["trainable_parameters"] == metrics["model"]["parameters"]) is (mode == "full")
    assert metrics["runtime"]["precision"] == "fp32"
    assert {"nlptl", "torch", "transformers"} <= metrics["versions"].keys()


def test_predictions_are_those_of_the_test_rows(trained_tiny, obvious):
    run = trained_tiny("bert", "lora").run
    table = pd.read_csv(run.folder / "predictions.csv")
    frame = pd.read_csv(obvious / "test.csv")
    assert table["text"].tolist() == frame["text"].tolist()
    assert table["label"].tolist() == frame["label"].tolist()
    assert (table["label"] == table["most_probable"]).mean() == pytest.approx(run.metrics["test"]["accuracy"])
    decided = run.metrics["test"]["decided"]["accuracy"]
    assert (table["label"] == table["predicted"]).mean() == pytest.approx(decided)


def test_the_encoder_modes_start_from_the_probe(trained_tiny, train, tiny, obvious, tmp_path):
    settings = {"model.head_start": "probe", "model.pooling": "mean", "probe.start": 3.0}
    run = train("sentiment", obvious, tmp_path / "run", settings, mode="full", checkpoint=tiny["bert"]).run
    probe = train(
        "sentiment",
        obvious,
        tmp_path / "probe",
        {"model.pooling": "mean", "probe.regularisation": [3.0]},
        mode="feature_extraction",
        checkpoint=tiny["bert"],
    ).run
    first = run.metrics["training"]["epochs"][0]
    assert first["accuracy"] == probe.metrics["validation"]["accuracy"]
    assert first["loss"] == pytest.approx(probe.metrics["validation"]["loss"], abs=1e-4)
    assert trained_tiny("bert", "full", "mean").run.metrics["training"]["epochs"][0]["accuracy"] < first["accuracy"]


def test_few_shots_are_refitted_on_train_and_validation(train, tiny, obvious, tmp_path, monkeypatch):
    sizes = []
    fit = steps.fit

    def counting(runtime, classifier, rows, *rest):
        sizes.append(len(rows.targets))
        return fit(runtime, classifier, rows, *rest)

    monkeypatch.setattr(steps, "fit", counting)
    settings = {"data.shots": 8, "training.epochs": 6, "training.learning_rate": 1e-2}
    run = train("sentiment", obvious, tmp_path / "run", settings, mode="full", checkpoint=tiny["roberta"]).run
    rows = 16 + 2  # and the names of both labels
    assert run.metrics["data"]["train"] == rows
    assert run.metrics["training"]["best_epoch"] > 0
    assert sizes == [rows, rows + 16]


def test_bf16_runs_and_is_saved_in_float32(train, tiny, obvious, tmp_path):
    run = train("sentiment", obvious, tmp_path / "run", {"runtime.precision": "bf16"}, checkpoint=tiny["bert"]).run
    assert run.metrics["runtime"]["precision"] == "bf16"
    weights = load_file(run.folder / "model" / "model.safetensors")
    assert {tensor.dtype for tensor in weights.values()} == {torch.float32}


def test_gradient_checkpointing_changes_no_loss(train, tiny, obvious, tmp_path):
    losses = []
    for on in (False, True):
        settings = {"runtime.gradient_checkpointing": on}
        run = train("sentiment", obvious, tmp_path / str(on), settings, mode="lora", checkpoint=tiny["bert"]).run
        losses.append(run.metrics["training"]["losses"])
    np.testing.assert_allclose(losses[0], losses[1], atol=1e-5)


def test_balanced_weights_and_smoothing_change_what_is_learned(train, tiny, obvious, tmp_path):
    losses = {}
    for name, settings in {
        "plain": {},
        "smooth": {"training.label_smoothing": 0.2},
        "balanced": {"training.class_weights": "balanced"},
    }.items():
        run = train("sentiment", obvious, tmp_path / name, settings, mode="full", checkpoint=tiny["bert"]).run
        losses[name] = tuple(run.metrics["training"]["losses"])
    assert len(set(losses.values())) == 3


def test_nan_ends_the_run_unsigned(train, tiny, obvious, tmp_path, monkeypatch):
    class Broken(steps.Classification):
        def __call__(self, logits, targets):
            return super().__call__(logits, targets) * float("nan")

    monkeypatch.setattr(steps, "Classification", Broken)
    with pytest.raises(NlptlError, match=r"NaN or infinite.*Training rows of this batch: \d+, "):
        train("sentiment", obvious, tmp_path / "run", checkpoint=tiny["bert"])
    assert not (tmp_path / "run" / "manifest.json").exists()


def test_a_failed_run_takes_its_log_with_it(tiny, obvious, tmp_path, monkeypatch):
    before = list(logging.getLogger("nlptl").handlers)
    monkeypatch.setattr(steps, "fit", stop)
    with pytest.raises(Stopped):
        nlptl.train("sentiment", data=obvious, checkpoint=tiny["bert"], output=tmp_path / "run")
    assert logging.getLogger("nlptl").handlers == before
    logging.getLogger("nlptl").warning("said by another run")
    assert "said by another run" not in (tmp_path / "run" / "log.txt").read_text()


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({"task": "sentimant"}, ConfigError, "Did you mean 'sentiment'"),
        ({"mode": "lorra"}, ConfigError, "Did you mean 'lora'"),
        ({"checkpoint": "minilm2"}, CheckpointError, "Did you mean 'minilm'"),
        ({"data": "nowhere.csv"}, DataError, "nowhere.csv"),
        ({"settings": {"training.epochs": 0}}, ConfigError, r"training\.epochs"),
        ({"settings": {"runtime.trackers": ["tensorbord"]}}, ConfigError, "Did you mean 'tensorboard'"),
    ],
)
def test_mistakes_are_told_before_a_folder_is_made(tmp_path, given, error, message):
    with pytest.raises(error, match=message):
        nlptl.train(**{"task": "sentiment", **given}, output=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_packing_changes_no_number_and_leaves_no_padding(train, tiny, obvious, tmp_path):
    found = {}
    for way in ("off", "on"):
        settings = {"runtime.packing": way, "training.epochs": 2, "probe.cache": False}
        found[way] = train("sentiment", obvious, tmp_path / way, settings, checkpoint=tiny["roberta"]).run
    padded, packed = (found[way].metrics for way in ("off", "on"))
    np.testing.assert_allclose(packed["training"]["losses"], padded["training"]["losses"], atol=1e-4)
    assert packed["test"]["loss"] == pytest.approx(padded["test"]["loss"], abs=1e-4)
    assert packed["time"]["padding_share"] == 0 < padded["time"]["padding_share"]
    frame = pd.read_csv(obvious / "test.csv")
    answers = [run.predict_proba(frame["text"].tolist()) for run in found.values()]
    np.testing.assert_allclose(*answers, atol=1e-4)


def test_what_cannot_be_packed_is_told_before_a_folder_is_made(tiny, obvious, tmp_path):
    checkpoint = Path(shutil.copytree(tiny["bert"], tmp_path / "albert"))  # for its tokenizer
    config = AlbertConfig(vocab_size=60, embedding_size=16, hidden_size=32, num_attention_heads=2)
    AutoModel.from_config(config).save_pretrained(checkpoint)
    with pytest.raises(ConfigError, match=r"albert.*cannot be packed.*distilbert.*runtime\.packing=off"):
        nlptl.train(
            "sentiment",
            data=obvious,
            checkpoint=str(checkpoint),
            output=tmp_path / "run",
            settings={"runtime.packing": "on"},
        )
    assert not (tmp_path / "run").exists()


def test_tensorboard_gets_losses_rates_and_validation(train, tiny, obvious, tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    settings = {"runtime.trackers": ["tensorboard"], "training.epochs": 2}
    run = train("sentiment", obvious, tmp_path / "run", settings, checkpoint=tiny["bert"]).run
    (events,) = (run.folder / "trackers" / "nlptl").glob("events.out.tfevents.*")
    seen = EventAccumulator(str(events)).Reload()
    losses = [event.value for event in seen.Scalars("train/loss")]
    assert losses == pytest.approx(run.metrics["training"]["losses"], abs=1e-5)
    assert [event.step for event in seen.Scalars("validation/accuracy")] == [5, 10]
    assert "train/learning_rate" in seen.Tags()["scalars"]
    load_artifact(run.folder)


@pytest.mark.parametrize("mode", ["full", "feature_extraction"])
def test_metrics_say_where_the_time_went(train, tiny, obvious, tmp_path, mode):
    settings = {"runtime.measure_peak": True}
    told = train("sentiment", obvious, tmp_path / "run", settings, mode=mode, checkpoint=tiny["bert"]).run.metrics[
        "time"
    ]
    parts = ["data_seconds", "features_seconds", "head_seconds", "saving_seconds"]
    if mode == "full":
        parts += ["training_seconds", "evaluation_seconds", "forward_backward_seconds", "optimizer_seconds"]
        assert told["forward_backward_seconds"] + told["optimizer_seconds"] <= told["training_seconds"]
        assert 0 <= told["padding_share"] < 1
    assert all(told[name] > 0 for name in [*parts, "train_examples_per_second", "peak_memory_gigabytes"])
    assert 0 < told["share_of_peak"] < 1
    assert told["train_tokens_per_second"] > told["train_examples_per_second"]


def test_what_large_data_holds_is_told(obvious, tiny, tmp_path, monkeypatch, caplog):
    def told(folder):
        caplog.clear()
        with caplog.at_level("INFO", "nlptl"):
            nlptl.train("sentiment", data=obvious, checkpoint=tiny["bert"], output=tmp_path / folder, settings=QUICK)
        lines = [line for line in caplog.messages if line.startswith(("Held in memory: ", "Mapped from the cache: "))]
        return [(line.partition(" ")[0], line.partition(" of ")[2]) for line in lines]

    assert told("small") == []
    monkeypatch.setattr("nlptl.strategies.job.WORTH_TELLING", 100)
    assert told("large") == [("Held", "texts"), ("Held", "tokens"), ("Mapped", "features")]
    monkeypatch.setattr("nlptl.data.tokens.cached_tokens.WORTH_CACHING", 1)
    assert told("larger")[1][0] == "Mapped"
    monkeypatch.setenv("NLPTL_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("NLPTL_CACHE_LIMIT", "0")
    assert told("not cached") == [("Held", "texts"), ("Held", "tokens"), ("Held", "features")]
