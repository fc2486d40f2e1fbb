"""Runs that were written by earlier versions open, predict and merge as they did.

`tests/golden/old_runs` holds small runs of each kind, the checkpoint they started from, and what the version that
wrote them answered to some texts. They recorded their checkpoint as an absolute path that no longer exists, and as its
revision a digest of the weights alone.
"""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

import nlptl
from nlptl.errors import ArtifactError, CheckpointError
from nlptl.runs.artifact import load_artifact
from nlptl.runs.saving import merge_artifact

HOME = Path(__file__).parents[1] / "golden" / "old_runs"
ANSWERS = json.loads((HOME / "answers.json").read_text())
TEXTS, RUNS = ANSWERS["texts"], ANSWERS["runs"]


def check(folder: Path, answers: dict[str, dict[str, list]], tolerance: float = 1e-5) -> None:
    run = nlptl.load(folder, precision="fp32", progress=False)
    assert run.tasks == list(answers)
    for name, expected in answers.items():
        one = run.task(name)
        np.testing.assert_allclose(one.predict_proba(TEXTS), expected["probabilities"], atol=tolerance)
        assert [prediction.label for prediction in one.predict(TEXTS)] == expected["labels"]


def test_there_is_a_run_of_each_kind():
    manifests = [json.loads((HOME / name / "manifest.json").read_text()) for name in RUNS]
    assert {(m.get("mode"), m.get("pooling")) for m in manifests} >= {
        (None, None),
        ("full", "cls"),
        ("full", "mean"),
        ("lora", "cls"),
        ("lora", "mean"),
        ("feature_extraction", "cls"),
        ("feature_extraction", "mean"),
        ("feature_extraction", "unit_mean"),
    }
    assert any("heads" in m for m in manifests)
    assert any(m.get("merged") for m in manifests)
    assert all(m["format"] == 1 for m in manifests)


@pytest.mark.parametrize("name", RUNS)
def test_an_old_run_answers_as_it_did(name):
    check(HOME / name, RUNS[name])


@pytest.mark.parametrize("name", ["lora_cls", "lora_mean"])
def test_an_old_run_merges(tmp_path, name):
    check(merge_artifact(HOME / name, tmp_path / "merged"), RUNS[name])


def test_an_old_run_does_not_open_without_its_checkpoint(tmp_path):
    folder = shutil.copytree(HOME / "lora_cls", tmp_path / "run")
    with pytest.raises(CheckpointError, match="needs the checkpoint that it was trained on"):
        load_artifact(folder)


def test_an_old_run_does_not_open_on_other_weights(tmp_path):
    folder = shutil.copytree(HOME / "lora_cls", tmp_path / "run")
    weights = shutil.copytree(HOME / "checkpoint", tmp_path / "checkpoint") / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-100] ^= 1
    weights.write_bytes(content)
    with pytest.raises(ArtifactError, match="Bring that revision"):
        load_artifact(folder)
