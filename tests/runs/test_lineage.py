"""A finished run as a checkpoint."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
import torch

import nlptl
from nlptl.checkpoints import check_checkpoint
from nlptl.data.tokens.encoding import collate, encode
from nlptl.errors import ArtifactError, CheckpointError
from nlptl.models.building import build_classifier
from nlptl.models.opening import open_tokenizer
from nlptl.runs import lineage
from nlptl.runs.lineage import open_checkpoint
from nlptl.storage.json_files import read_json
from tests.conftest import LEARN_TINY

TEXTS = ["a good film and more of it in round 0", "awful shop in round 1"]


def features(checkpoint, pooling):
    """(2, H) of the texts under the encoder of a checkpoint."""
    classifier = build_classifier(checkpoint.path, pooling, ["a", "b", "c"], False, 0.0).eval()
    return _features(classifier, open_tokenizer(checkpoint.path, classifier.config))


def _features(classifier, tokenizer):
    import pandas as pd

    encoded = encode(pd.DataFrame({"text": TEXTS}), tokenizer, 64)
    with torch.inference_mode():
        return classifier.features(collate(encoded, np.arange(2), tokenizer.pad_token_id)).numpy()


@pytest.mark.parametrize("mode", ["full", "lora", "feature_extraction"])
@pytest.mark.parametrize("pooling", ["cls", "mean"])
def test_the_encoder_of_a_run_is_opened_as_it_was_trained(trained_tiny, tiny, mode, pooling):
    run = trained_tiny("bert", mode, pooling).run
    found = open_checkpoint(str(run.folder))
    artifact = run.artifact
    np.testing.assert_allclose(
        features(found, pooling), _features(artifact.classifier.eval(), artifact.tokenizer), atol=1e-5
    )
    before = features(open_checkpoint(tiny["bert"]), pooling)
    assert np.allclose(features(found, pooling), before, atol=1e-5) == (mode == "feature_extraction")
    assert found.pooling == ("cls" if mode == "feature_extraction" else pooling)  # the checkpoint's own, or the run's


@pytest.mark.parametrize("mode", ["full", "lora", "feature_extraction"])
def test_every_mode_starts_from_a_run_and_finds_it_again(train, trained_tiny, obvious, tmp_path, mode, monkeypatch):
    home = shutil.copytree(trained_tiny("bert", "lora", "mean").run.folder, tmp_path / "a" / "first")
    learn = LEARN_TINY if mode != "feature_extraction" else {}
    second = train("sentiment", obvious, tmp_path / "a" / "second", learn, mode=mode, checkpoint=home).run
    steps = read_json(second.folder / "manifest.json")["lineage"]
    assert [(step["kind"], step.get("run")) for step in steps] == [("checkpoint", None), ("task", "first")]
    assert all(step["revision"] for step in steps)
    card = (second.folder / "README.md").read_text()
    assert f"task sentiment (lora, 67 rows, run first, `{steps[1]['revision'].rpartition(':')[2][:12]}`)" in card
    expected = second.predict_proba(TEXTS)
    # Both are moved together, and another process has not written the encoder out yet.
    shutil.move(tmp_path / "a", tmp_path / "b")
    monkeypatch.setattr(lineage, "_written", {})
    np.testing.assert_allclose(nlptl.load(tmp_path / "b" / "second").predict_proba(TEXTS), expected, atol=1e-5)
    if mode == "full":
        return
    changed = tmp_path / "b" / "first" / "manifest.json"
    manifest = json.loads(changed.read_text())
    manifest["checkpoint"]["revision"] = "files-sha256:0"
    changed.write_text(json.dumps(manifest))
    with pytest.raises(ArtifactError, match=r"was trained on .* but .* is at"):
        nlptl.load(tmp_path / "b" / "second")


def test_a_third_run_tells_of_both_before_it_and_pre_training_goes_on_from_a_run(
    train, trained_tiny, obvious, tmp_path
):
    first = trained_tiny("bert", "full", "mean").run.folder
    texts = tmp_path / "texts.txt"
    texts.write_text("\n".join(f"a {w} film number {i}" for i in range(60) for w in ("good", "poor")))
    nlptl.pretrain(data=texts, checkpoint=first, output=tmp_path / "pre", steps=2, settings={"runtime.progress": False})
    second = train("sentiment", obvious, tmp_path / "second", mode="full", checkpoint=tmp_path / "pre").run
    third = train("sentiment", obvious, tmp_path / "third", mode="feature_extraction", checkpoint=second.folder).run
    steps = read_json(third.folder / "manifest.json")["lineage"]
    assert [step["kind"] for step in steps] == ["checkpoint", "task", "pre-training", "task"]
    assert len({step["revision"] for step in steps}) == 4


def test_what_is_no_whole_run_is_refused_in_one_sentence(trained_tiny, tmp_path):
    run = trained_tiny("bert", "lora").run.folder
    for refuse in (check_checkpoint, open_checkpoint):
        with pytest.raises(CheckpointError, match=rf"It is a part of the run {run}: give the run's own folder"):
            refuse(str(run / "model"))
    unfinished = shutil.copytree(run, tmp_path / "unfinished")
    (unfinished / "manifest.json").unlink()
    with pytest.raises(CheckpointError, match="is an unfinished run. Finish it first"):
        check_checkpoint(str(unfinished))
    damaged = shutil.copytree(run, tmp_path / "damaged")
    (damaged / "model" / "head.safetensors").write_bytes(b"")
    with pytest.raises(ArtifactError, match="changed or missing since it was saved"):
        open_checkpoint(str(damaged))
    baseline = nlptl.train_baseline("sentiment", output=tmp_path / "words", settings={"data.shots": 10}).folder
    with pytest.raises(CheckpointError, match="is a baseline; it has no encoder"):
        open_checkpoint(str(baseline))


def test_an_encoder_that_is_taken_out_of_a_run_keeps_its_pooling(trained_tiny, tmp_path):
    run = trained_tiny("bert", "full", "mean").run
    alone = shutil.copytree(run.folder / "model" / "encoder", tmp_path / "alone")
    run.artifact.tokenizer.save_pretrained(alone)
    assert open_checkpoint(str(alone)).pooling == "mean"


def test_a_run_on_the_hub_opens_from_its_cache(trained_tiny, tmp_path):
    """Its real code, on files where huggingface_hub keeps them; in a process that may not reach the Hub."""
    run, commit = trained_tiny("bert", "full", "mean").run, "0123456789abcdef0123456789abcdef01234567"
    home = tmp_path / "models--someone--my-run"
    (home / "refs").mkdir(parents=True)
    (home / "refs" / "main").write_text(commit)
    shutil.copytree(run.folder, home / "snapshots" / commit)
    code = (
        "from nlptl.runs.lineage import open_checkpoint, find_checkpoint\n"
        "from pathlib import Path\n"
        "found = open_checkpoint('someone/my-run')\n"
        "again = find_checkpoint(found.record(Path('other')), Path('other'))\n"
        "print(found.name, found.source, found.pooling, (found.path / 'config.json').is_file(), again == found)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "HF_HUB_CACHE": str(tmp_path), "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == ["someone/my-run", "someone/my-run", "mean", "True", "True"]


def test_the_length_of_a_run_is_no_limit_of_its_encoder(trained_tiny, train, obvious, tmp_path):
    first = trained_tiny("bert", "full", "mean").run.folder
    short = train("sentiment", obvious, tmp_path / "short", {"model.max_length": 8}, checkpoint=first).run
    longer = train(
        "sentiment", obvious, tmp_path / "longer", {"model.max_length": 32},
        mode="feature_extraction", checkpoint=short.folder,
    )  # fmt: skip
    assert short.metrics["model"]["max_length"] == 8
    assert longer.run.metrics["model"]["max_length"] == 32
