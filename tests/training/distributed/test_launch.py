"""Two real processes learn what one process learns; one pair is started by accelerate's launcher."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from exact_runs import ALL_ROUNDING
from forked import Group
from safetensors.torch import load_file

import nlptl
from nlptl.storage.paths import bundled

# Dropout is off by default, so losses do not depend on which process sees which row.
SETTINGS = {
    "training.epochs": 2,
    "training.batch_size": 16,
    "training.micro_batch_size": 6,
    "training.learning_rate": 3e-3,
    "model.pooling": "cls",
    "runtime.precision": "fp32",
    "runtime.progress": False,
}
ACCELERATE = [sys.executable, "-m", "accelerate.commands.accelerate_cli", "launch"]


SET = [part for key, value in SETTINGS.items() for part in ("--set", f"{key}={value}")]


def together(arguments: list[str], folder: Path) -> str:
    """What two processes say."""
    group = Group(arguments, folder / "log", folder / "cache", 2)
    assert group.wait() == [0, 0], group.said()
    return group.said()


def assert_same_run(shared: Path, alone: Path) -> None:
    ours, theirs = (json.loads((folder / "metrics.json").read_text()) for folder in (shared, alone))
    assert (ours["runtime"]["processes"], theirs["runtime"]["processes"]) == (2, 1)
    assert ours["training"]["steps"] == theirs["training"]["steps"] == 10
    np.testing.assert_allclose(ours["training"]["losses"], theirs["training"]["losses"], atol=1e-4)
    for split in ("validation", "test"):
        assert ours[split]["accuracy"] == theirs[split]["accuracy"]
        assert ours[split]["confusion_matrix"] == theirs[split]["confusion_matrix"]
        assert ours[split]["loss"] == pytest.approx(theirs[split]["loss"], abs=1e-4)
    weights = [{p.name: load_file(p) for p in (folder / "model").rglob("*.safetensors")} for folder in (shared, alone)]
    assert weights[0].keys() == weights[1].keys()
    for file, tensors in weights[0].items():
        for name, tensor in tensors.items():
            if not name.endswith(ALL_ROUNDING):
                np.testing.assert_allclose(tensor, weights[1][file][name], atol=2e-3, err_msg=name)


def test_two_processes_learn_what_one_learns(train, tiny, obvious, tmp_path):
    arguments = ["--data", str(obvious), "--checkpoint", tiny["bert"], "--output", str(tmp_path / "runs" / "together")]
    said = together(["train", "sentiment", "--compare", *arguments, *SET], tmp_path)
    alone = train("sentiment", obvious, tmp_path / "alone", SETTINGS, checkpoint=tiny["bert"]).run
    assert_same_run(tmp_path / "runs" / "together", alone.folder)
    assert said.count("Run folder:") == 1
    for once in (", 2 processes", "epoch 0/", "Best on words alone"):
        assert said.count(once) == 1
    assert "comparison" in json.loads((tmp_path / "runs" / "together" / "metrics.json").read_text())


def test_the_cpu_config_starts_two_processes_that_share_one_run_folder(train, tiny, obvious, tmp_path):
    arguments = ["--data", str(obvious), "--checkpoint", tiny["distilbert"], "--mode", "lora"]
    own = {name: value for name, value in os.environ.items() if not name.startswith("ACCELERATE_")}
    config = ["--config_file", str(bundled("accelerate_configs") / "cpu.yaml")]
    done = subprocess.run(
        [*ACCELERATE, *config, "-m", "nlptl", "train", "sentiment", *arguments, *SET],
        cwd=tmp_path,
        env={**own, "NLPTL_CACHE": str(tmp_path / "cache"), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (shared,) = (tmp_path / "runs").iterdir()
    assert (shared / "manifest.json").is_file()
    assert not list(shared.rglob("*.part"))
    alone = train("sentiment", obvious, tmp_path / "alone", SETTINGS, mode="lora", checkpoint=tiny["distilbert"]).run
    assert_same_run(shared, alone.folder)


def test_two_processes_pretrain_what_one_pretrains(tiny, obvious, tmp_path):
    """Masks belong to the row and the pass, so without dropout the processes change nothing."""
    config = json.loads((Path(tiny["bert"]) / "config.json").read_text())
    still = tmp_path / "still"
    shutil.copytree(tiny["bert"], still)
    dropouts = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    (still / "config.json").write_text(json.dumps({**config, **dropouts}))
    settings = {
        "corpus.held_out": 0.2,
        "corpus.max_length": 16,
        "training.batch_size": 8,
        "training.learning_rate": 1e-3,
        "evaluations": 2,
        "runtime.precision": "fp32",
        "runtime.progress": False,
    }
    flags = [part for key, value in settings.items() for part in ("--set", f"{key}={value}")]
    asked = ["pretrain", "--data", str(obvious), "--checkpoint", str(still), "--steps", "8", *flags]
    said = together([*asked, "--output", str(tmp_path / "together")], tmp_path)
    assert said.count("Checkpoint folder:") == 1
    nlptl.pretrain(obvious, checkpoint=still, steps=8, output=tmp_path / "alone", settings=settings)
    noted = [json.loads((tmp_path / name / "pretraining.json").read_text()) for name in ("together", "alone")]
    measured = [[entry["loss"] for entry in one["training"]["evaluations"]] for one in noted]
    np.testing.assert_allclose(*measured, atol=1e-3)
    assert measured[0][-1] < measured[0][0]
