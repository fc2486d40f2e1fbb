"""The run folder: what it promises, how it is written, checked and opened again.

run.yaml          the resolved RunConfig; `nlptl train --config RUN/run.yaml` repeats the run
task.yaml         the task with its labels
model/            tokenizer and weights: whole (full, merged), adapter and head (lora), or head (feature_extraction)
decision.json     the fitted decision policy
metrics.json      test, validation, time, training
predictions.csv   the test rows with gold label, decision and score
README.md         the model card
log.txt           what the run said
manifest.json     format, checkpoint, digests; written last: a folder without it is unfinished
state/            only while training: what a resumed run goes on from
"""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch

from nlptl.checkpoints import Checkpoint, resolve_checkpoint
from nlptl.config import RunConfig
from nlptl.data.encoding import Encoded, collate
from nlptl.errors import ArtifactError
from nlptl.evaluation.decisions import Decision
from nlptl.models.classifier import Classifier, build_classifier, load_classifier, load_tokenizer
from nlptl.models.modes import MODES, Mode
from nlptl.schema import read_yaml, validate, write_yaml
from nlptl.signed import check_manifest, refuse_code
from nlptl.tasks import TaskSpec

FORMAT = 1
MODEL = "model"
# Reloading repeats the same arithmetic on the same numbers; merging rounds once.
TOLERANCE = 1e-4


@dataclass
class Artifact:
    """An opened run folder."""

    folder: Path
    config: RunConfig
    task: TaskSpec
    classifier: Classifier
    tokenizer: Any
    decision: Decision
    manifest: dict[str, Any]
    mode: Mode

    @property
    def max_length(self) -> int:
        """Tokens kept per text."""
        return int(self.manifest["max_length"])

    @property
    def metrics(self) -> dict[str, Any]:
        """What `metrics.json` holds."""
        return read_json(self.folder / "metrics.json")


def prepare_folder(folder: Path, config: RunConfig) -> bool:
    """Make a run folder, or take up an unfinished one of the same settings.

    Returns:
        Whether the folder holds an unfinished run to go on with.

    Raises:
        ArtifactError: the folder holds a finished run, another run, or something else.
    """
    if (folder / "manifest.json").exists():
        raise ArtifactError(f"{folder} holds a finished run. Choose another --output, or remove that folder.")
    noted = folder / "run.yaml"
    if noted.exists():
        before = validate(RunConfig, read_yaml(noted), str(noted))
        if before != config:
            raise ArtifactError(
                f"{folder} holds an unfinished run with other settings ({_differences(before, config)}). "
                "Choose another --output, or remove that folder."
            )
        return True
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ArtifactError(f"{folder} exists and is not a run folder. Choose another --output.")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_yaml(noted, config)
    except OSError as error:
        raise ArtifactError(f"The run folder {folder} cannot be written: {error.strerror or error}.") from error
    return False


def is_unfinished(folder: Path, config: RunConfig) -> bool:
    """Whether the folder holds an unfinished run of these settings."""
    noted = folder / "run.yaml"
    if not noted.is_file() or (folder / "manifest.json").exists():
        return False
    return validate(RunConfig, read_yaml(noted), str(noted)) == config


def save_artifact(
    folder: Path,
    config: RunConfig,
    task: TaskSpec,
    checkpoint: Checkpoint,
    classifier: Classifier,
    mode: Mode,
    tokenizer: Any,
    decision: Decision,
    max_length: int,
    sample: Encoded,
) -> None:
    """Write model, task and decision, reopen them, compare, and only then sign with the manifest.

    Args:
        sample: a few encoded texts whose logits must be the same after reloading.

    Raises:
        ArtifactError: what was reloaded differs from what was trained.
    """
    aside = folder / f"{MODEL}.part"
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    mode.save(classifier, aside)
    tokenizer.model_max_length = max_length  # so that plain transformers, truncating, cuts where training did
    tokenizer.save_pretrained(aside)
    shutil.rmtree(folder / MODEL, ignore_errors=True)
    aside.rename(folder / MODEL)
    own_data = {name: data for name, data in task.data.items() if data.hub_id is not None}
    write_yaml(folder / "task.yaml", task.model_copy(update={"data": own_data}))
    write_json(folder / "decision.json", decision.to_json())
    manifest = {
        "format": FORMAT,
        "nlptl": version("nlptl"),
        "mode": config.mode,
        "whole": mode.saves_encoder,
        "pooling": classifier.pooling,
        "max_length": max_length,
        "checkpoint": checkpoint.record(),
        "files": _digests(folder / MODEL),
    }
    _verify(folder, config, manifest, classifier, tokenizer, sample)
    write_json(folder / "manifest.json", manifest)


def load_artifact(folder: Path) -> Artifact:
    """Open a run folder.

    Raises:
        ArtifactError: not a run folder, unfinished, damaged, or of a newer version.
        CheckpointError: the checkpoint that an adapter or head belongs to is not to be had.
    """
    if not folder.is_dir():
        raise ArtifactError(f"There is no run folder {folder}.")
    if not (folder / "manifest.json").is_file():
        state = "an unfinished run" if (folder / "run.yaml").is_file() else "no run (manifest.json is missing)"
        raise ArtifactError(f"{folder} holds {state}. Finish it with: nlptl train ... --output {folder} --resume")
    manifest = read_json(folder / "manifest.json")
    if isinstance(manifest.get("format"), int) and manifest["format"] > FORMAT:
        raise ArtifactError(
            f"{folder} was written by a newer nlptl (format {manifest.get('format')}, known here: {FORMAT}). "
            "Upgrade nlptl."
        )
    lacking = sorted({"whole", "pooling", "max_length", "checkpoint", "files"} - manifest.keys())
    if lacking:
        raise ArtifactError(f"{folder / 'manifest.json'} is damaged: it lacks {', '.join(lacking)}.")
    check_manifest(folder / "manifest.json", manifest)
    config = validate(RunConfig, read_yaml(folder / "run.yaml"), str(folder / "run.yaml"))
    refuse_code(folder / MODEL)
    found = _digests(folder / MODEL)
    wrong = sorted(name for name, digest in manifest["files"].items() if found.get(name) != digest)
    if wrong:
        raise ArtifactError(f"{folder / MODEL} is damaged: {', '.join(wrong)} changed or missing since it was saved.")
    return _open(folder, config, manifest)


def merge_artifact(folder: Path, output: Path) -> Path:
    """Write a run whose weights stand alone: adapters folded in, encoder included.

    Raises:
        ArtifactError: the run cannot be opened, or the output exists.
    """
    if output.exists():
        raise ArtifactError(f"{output} exists already. Choose another --output.")
    if output.resolve().is_relative_to(folder.resolve()):
        raise ArtifactError(f"{output} lies inside the run itself. Choose another --output.")
    artifact = load_artifact(folder)
    artifact.classifier.eval()
    aside = output.with_name(output.name + ".part")
    try:
        _write_merged(artifact, aside)
        aside.rename(output)
    except OSError as error:  # shutil.Error is one as well
        raise ArtifactError(f"The merged run {output} cannot be written: {error.strerror or error}.") from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return output


def _write_merged(artifact: Artifact, aside: Path) -> None:
    shutil.rmtree(aside, ignore_errors=True)
    shutil.copytree(artifact.folder, aside, ignore=shutil.ignore_patterns(MODEL, "manifest.json", "state", "README.md"))
    artifact.mode.merge(artifact.classifier)
    artifact.classifier.save(aside / MODEL)
    artifact.tokenizer.save_pretrained(aside / MODEL)
    manifest = {**artifact.manifest, "whole": True, "merged": True, "files": _digests(aside / MODEL)}
    text = artifact.tokenizer(["a text to compare", "and another, longer one"], truncation=True)["input_ids"]
    offsets = np.cumsum([0, *map(len, text)])
    sample = Encoded(np.concatenate([np.asarray(ids, np.int32) for ids in text]), offsets, None)
    _verify(aside, artifact.config, manifest, artifact.classifier, artifact.tokenizer, sample)
    write_json(aside / "manifest.json", manifest)


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object from a run folder.

    Raises:
        ArtifactError: missing or damaged.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ArtifactError(f"{path} cannot be read: {error}") from error
    if not isinstance(content, dict):
        raise ArtifactError(f"{path} is damaged: expected a JSON object.")
    return content


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write a JSON object aside and rename it; NaN, which JSON has not, becomes null."""
    aside = path.with_name(path.name + ".part")
    try:
        aside.write_text(json.dumps(_finite(content), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        aside.replace(path)
    except OSError as error:
        with suppress(OSError):
            aside.unlink(missing_ok=True)
        raise ArtifactError(f"Cannot write {path}: {error.strerror or error}.") from error


def environment() -> dict[str, str]:
    """Versions that decide what a run computes."""
    names = ("nlptl", "torch", "transformers", "datasets", "accelerate", "peft", "evaluate", "tokenizers", "numpy")
    return {"python": sys.version.split()[0], **{name: version(name) for name in names}}


def _open(folder: Path, config: RunConfig, manifest: dict[str, Any]) -> Artifact:
    task = validate(TaskSpec, read_yaml(folder / "task.yaml"), str(folder / "task.yaml"))
    several, labels = task.kind == "multi_label", task.label_list()
    mode = MODES.get(config.mode)()
    if manifest["whole"]:
        classifier = load_classifier(folder / MODEL, manifest["pooling"], labels, several)
    else:
        noted = manifest["checkpoint"]
        checkpoint = resolve_checkpoint(noted["name"], noted["revision"])
        if checkpoint.revision != noted["revision"]:
            raise ArtifactError(
                f"{folder} was trained on {noted['name']} at {noted['revision'][:19]}, but here it is at "
                f"{checkpoint.revision[:19]}. Bring that revision, or merge the run where it was trained."
            )
        classifier = build_classifier(checkpoint.path, manifest["pooling"], labels, several, 0.0)
        mode.load(classifier, folder / MODEL)
    classifier.eval()
    decision = Decision.from_json(read_json(folder / "decision.json"))
    return Artifact(folder, config, task, classifier, load_tokenizer(folder / MODEL), decision, manifest, mode)


def _verify(
    folder: Path, config: RunConfig, manifest: dict[str, Any], trained: Classifier, tokenizer: Any, sample: Encoded
) -> None:
    """Reopen what was written and compare labels and logits with the classifier in memory, in float32."""
    reopened = _open(folder, config, manifest).classifier
    names = [reopened.config.id2label[i] for i in range(reopened.head.out_features)]
    expected = [trained.config.id2label[i] for i in range(trained.head.out_features)]
    inputs = collate(sample, np.arange(len(sample)), tokenizer.pad_token_id)
    device = next(trained.parameters()).device
    trained.eval()
    with torch.inference_mode():
        here = trained({name: tensor.to(device) for name, tensor in inputs.items()}).float().cpu()
        there = reopened(inputs).float()
    difference = float((here - there).abs().max()) if here.numel() else 0.0
    if names != expected or not difference <= TOLERANCE * max(1.0, float(here.abs().max())):
        raise ArtifactError(
            f"The saved model differs from the trained one (labels equal: {names == expected}, largest difference of "
            f"logits: {difference:.2g}). Nothing was signed; the state in {folder} is kept."
        )


def _digests(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    digests = {}
    for path in files:
        with path.open("rb") as stream:
            digests[path.relative_to(folder).as_posix()] = hashlib.file_digest(stream, "sha256").hexdigest()
    return digests


def _differences(before: RunConfig, now: RunConfig) -> str:
    old, new = before.model_dump(), now.model_dump()
    changed = []
    for key, value in new.items():
        if isinstance(value, dict) and key != "label_map":
            changed += [
                f"{key}.{name}: {old[key][name]!r} -> {v!r}" for name, v in value.items() if old[key][name] != v
            ]
        elif old[key] != value:
            changed.append(f"{key}: {old[key]!r} -> {value!r}")
    return ", ".join(changed)


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in value]
    if isinstance(value, float) and not np.isfinite(value):
        return None
    return value
