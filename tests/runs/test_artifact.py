import json
import shutil

import numpy as np
import pytest
import torch

import nlptl
from nlptl.config.run import RunConfig
from nlptl.errors import ArtifactError
from nlptl.registry import MODES
from nlptl.runs.artifact import load_artifact
from nlptl.runs.claims import is_unfinished, prepare_folder
from nlptl.runs.saving import merge_artifact
from nlptl.storage.json_files import read_json, write_json


@pytest.fixture
def copy(trained_tiny, tmp_path):
    """A run folder that a test may damage."""

    def of(mode: str = "full"):
        return shutil.copytree(trained_tiny("bert", mode).run.folder, tmp_path / mode)

    return of


@pytest.mark.parametrize("mode", MODES.names())
def test_a_run_folder_holds_what_it_promises(trained_tiny, mode):
    folder = trained_tiny("bert", mode).run.folder
    files = {path.name for path in folder.iterdir()}
    promised = {
        "run.yaml",
        "task.yaml",
        "model",
        "decision.json",
        "calibration.json",
        "answers.safetensors",
        "metrics.json",
        "predictions.csv",
    }
    assert files == promised | {"inputs.json", "README.md", "log.txt", "manifest.json"}
    everything = [path for path in folder.rglob("*") if path.is_file()]
    assert not [path for path in everything if path.suffix in (".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt")]
    for path in everything:
        assert path.read_bytes()[:1] != b"\x80", f"{path} looks like a pickle"
    noted = read_json(folder / "manifest.json")["files"]
    assert noted.keys() == {p.relative_to(folder / "model").as_posix() for p in (folder / "model").rglob("*.*")}


def test_the_decision_and_the_task_come_back(trained_tiny):
    artifact = load_artifact(trained_tiny("bert", "full").run.folder)
    assert artifact.decision.policy == "argmax"
    assert artifact.task.name == "sentiment"
    assert artifact.task.label_list() == ["negative", "positive"]
    assert artifact.config.mode == "full"
    assert not artifact.classifier.training


def test_a_folder_that_does_not_exist(tmp_path):
    with pytest.raises(ArtifactError, match="There is no run folder"):
        load_artifact(tmp_path / "nowhere")


def test_a_folder_without_manifest(copy, tmp_path):
    folder = copy()
    (folder / "manifest.json").unlink()
    with pytest.raises(ArtifactError, match=r"unfinished run.*--resume"):
        load_artifact(folder)
    (tmp_path / "empty").mkdir()
    with pytest.raises(ArtifactError, match=r"no run \(manifest\.json is missing\)"):
        load_artifact(tmp_path / "empty")


def test_a_folder_of_a_newer_version(copy):
    folder = copy()
    write_json(folder / "manifest.json", {**read_json(folder / "manifest.json"), "format": 2})
    with pytest.raises(ArtifactError, match=r"newer nlptl \(format 2, known here: 1\)\. Upgrade"):
        load_artifact(folder)


@pytest.mark.parametrize("content", ["{", "[]", '{"format": 1}'])
def test_a_damaged_manifest(copy, content):
    folder = copy()
    (folder / "manifest.json").write_text(content)
    with pytest.raises(ArtifactError, match=r"manifest\.json"):
        load_artifact(folder)


@pytest.mark.parametrize(
    ("mode", "file"),
    [("full", "model.safetensors"), ("lora", "adapter/adapter_model.safetensors"), ("lora", "head.safetensors")],
)
def test_one_flipped_bit_in_the_weights(copy, mode, file):
    folder = copy(mode)
    weights = folder / "model" / file
    content = bytearray(weights.read_bytes())
    content[-100] ^= 1
    weights.write_bytes(content)
    with pytest.raises(ArtifactError, match=f"damaged: {file} changed or missing"):
        load_artifact(folder)


def test_a_missing_file_of_the_model(copy):
    folder = copy()
    (folder / "model" / "tokenizer.json").unlink()
    with pytest.raises(ArtifactError, match=r"tokenizer\.json changed or missing"):
        load_artifact(folder)


def test_a_damaged_decision(copy):
    folder = copy()
    (folder / "decision.json").write_text('{"policy": "argmax", "wisdom": 3}')
    with pytest.raises(ArtifactError, match="decision"):
        load_artifact(folder)


@pytest.mark.parametrize("mode", ["lora", "feature_extraction"])
def test_a_run_moved_together_with_its_checkpoint_opens(train, tiny, obvious, tmp_path, mode):
    home = tmp_path / "here"
    checkpoint = shutil.copytree(tiny["bert"], home / "models" / "encoder")
    run = train("sentiment", obvious, home / "runs" / "one", mode=mode, checkpoint=str(checkpoint)).run
    before = run.predict_proba(["a good film"])
    home.rename(tmp_path / "there")
    moved = nlptl.load(tmp_path / "there" / "runs" / "one", precision="fp32", progress=False)
    np.testing.assert_allclose(moved.predict_proba(["a good film"]), before, atol=1e-6)


def test_a_changed_configuration_of_the_checkpoint_is_refused(train, tiny, obvious, tmp_path):
    checkpoint = shutil.copytree(tiny["bert"], tmp_path / "checkpoint")
    run = train("sentiment", obvious, tmp_path / "run", mode="feature_extraction", checkpoint=str(checkpoint)).run
    config = checkpoint / "config.json"
    config.write_text(config.read_text().replace('"num_hidden_layers": 2', '"num_hidden_layers": 1'))
    with pytest.raises(ArtifactError, match="its weights, config.json or tokenizer changed"):
        load_artifact(run.folder)
    again = train("sentiment", obvious, tmp_path / "again", mode="feature_extraction", checkpoint=str(checkpoint)).run
    texts = ["a good film", "a poor book"]
    reopened = nlptl.load(again.folder, precision="fp32", progress=False)
    assert reopened.evaluate(obvious / "test.csv")["accuracy"] == again.metrics["test"]["accuracy"]
    assert abs(again.predict_proba(texts) - run.predict_proba(texts)).max() > 1e-4, "features of the old encoder"


def test_an_adapter_does_not_open_on_another_revision_of_its_checkpoint(train, tiny, obvious, tmp_path):
    checkpoint = shutil.copytree(tiny["bert"], tmp_path / "checkpoint")
    run = train("sentiment", obvious, tmp_path / "run", mode="feature_extraction", checkpoint=str(checkpoint)).run
    weights = checkpoint / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-100] ^= 1
    weights.write_bytes(content)
    with pytest.raises(ArtifactError, match="was trained on .* at files-sha256:.*, but .* is at files-sha256:"):
        load_artifact(run.folder)


@pytest.mark.parametrize("mode", ["full", "feature_extraction"])
def test_there_is_no_manifest_when_the_saved_model_differs(train, tiny, obvious, tmp_path, monkeypatch, mode):
    from nlptl.runs import saving

    load = saving.open_folder

    def shifted(*arguments):
        artifact = load(*arguments)
        with torch.no_grad():
            artifact.classifier.head.bias[0] += 0.01
        return artifact

    monkeypatch.setattr(saving, "open_folder", shifted)
    with pytest.raises(ArtifactError, match=r"differs from the trained one: it has logits that differ by up to 0\.01"):
        train("sentiment", obvious, tmp_path / "run", mode=mode, checkpoint=tiny["bert"])
    assert not (tmp_path / "run" / "manifest.json").exists()
    with pytest.raises(ArtifactError, match="unfinished"):
        load_artifact(tmp_path / "run")


def test_there_is_no_manifest_when_the_labels_changed(train, tiny, obvious, tmp_path, monkeypatch):
    from nlptl.runs import saving

    load = saving.open_folder

    def renamed(*arguments):
        artifact = load(*arguments)
        artifact.classifier.config.id2label = {0: "positive", 1: "negative"}
        return artifact

    monkeypatch.setattr(saving, "open_folder", renamed)
    with pytest.raises(ArtifactError, match=r"it has labels \['positive', 'negative'\] instead of"):
        train("sentiment", obvious, tmp_path / "run", mode="feature_extraction", checkpoint=tiny["bert"])
    assert not (tmp_path / "run" / "manifest.json").exists()


def test_a_merged_run_stands_alone(train, tiny, obvious, tmp_path):
    checkpoint = shutil.copytree(tiny["bert"], tmp_path / "checkpoint")
    run = train("sentiment", obvious, tmp_path / "run", mode="lora", checkpoint=str(checkpoint)).run
    before = run.predict_proba(["a good film", "bad"])
    merged = merge_artifact(run.folder, tmp_path / "merged")
    shutil.rmtree(checkpoint)
    assert nlptl.load(merged, "fp32").predict_proba(["a good film", "bad"]) == pytest.approx(before, abs=1e-5)
    assert nlptl.load(merged).metrics == run.metrics
    assert not (tmp_path / "merged.part").exists()
    with pytest.raises(ArtifactError, match="exists already"):
        merge_artifact(merged, merged)


CONFIG = RunConfig(task="sentiment", mode="full")


def test_a_new_folder_is_made_and_taken_up_by_the_same_settings_only(tmp_path):
    folder = tmp_path / "deep" / "run"
    assert prepare_folder(folder, CONFIG) is False
    assert is_unfinished(folder, CONFIG)
    assert prepare_folder(folder, CONFIG) is True
    other = CONFIG.model_copy(update={"seed": 3, "training": CONFIG.training.model_copy(update={"epochs": 9})})
    assert not is_unfinished(folder, other)
    with pytest.raises(ArtifactError, match=r"other settings \(seed: 0 -> 3, training\.epochs: None -> 9\)"):
        prepare_folder(folder, other)


def test_finished_runs_and_foreign_folders_are_left_alone(tmp_path):
    (tmp_path / "manifest.json").write_text("{}")
    with pytest.raises(ArtifactError, match="holds a finished run"):
        prepare_folder(tmp_path, CONFIG)
    assert not is_unfinished(tmp_path, CONFIG)
    (tmp_path / "manifest.json").rename(tmp_path / "thesis.txt")
    with pytest.raises(ArtifactError, match="not a run folder"):
        prepare_folder(tmp_path, CONFIG)
    with pytest.raises(ArtifactError, match="not a run folder"):
        prepare_folder(tmp_path / "thesis.txt", CONFIG)


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ArtifactError, match="cannot be written"):
        prepare_folder(tmp_path / "file" / "run", CONFIG)


def test_numbers_that_json_does_not_have_become_null(tmp_path):
    write_json(tmp_path / "x.json", {"a": float("nan"), "b": [float("inf"), 1.5], "c": {"d": -float("inf")}})
    assert json.loads((tmp_path / "x.json").read_text()) == {"a": None, "b": [None, 1.5], "c": {"d": None}}
