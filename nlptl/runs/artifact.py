"""The run folder: what it promises, how it is written, checked and opened again.

run.yaml          the resolved RunConfig; `nlptl train --config RUN/run.yaml` repeats the run
task.yaml         the task with its labels
model/            tokenizer and weights: whole (full, merged), adapter and head (lora), or head (feature_extraction);
                  of a baseline, its terms and arrays
decision.json     the fitted decision policy
metrics.json      test, validation, time, training
predictions.csv   the test rows with gold label, decision and score
README.md         the model card
log.txt           what the run said
heads/TASK/       with several tasks: each one's task.yaml, decision.json and predictions.csv, instead of those above
alone/TASK/       with `multi_task.compare`: the run of each task by itself
manifest.json     format, checkpoint, digests; written last: a folder without it is unfinished
state/            only while training: what a resumed run goes on from
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from nlptl.checkpoints import Checkpoint
from nlptl.config.records import read_record, write_yaml
from nlptl.config.run import RunConfig
from nlptl.data.encoding import Encoded, collate
from nlptl.errors import ArtifactError, ConfigError, unknown
from nlptl.evaluation.decisions import Decision
from nlptl.models.classifier import Classifier
from nlptl.models.modes import Mode
from nlptl.registry import PREDICTORS
from nlptl.runs.manifest import check_manifest, refuse_code
from nlptl.runs.predictors import MODEL, EncoderPredictor, Predictor
from nlptl.storage.json_files import read_json, write_json
from nlptl.tasks import TaskSpec

FORMAT = 1
HEADS = "heads"
# Where a multi-task run keeps the runs of its tasks alone.
ALONE = "alone"
# Reloading repeats the same arithmetic on the same numbers; merging rounds once.
TOLERANCE = 1e-4


@dataclass(frozen=True)
class Head:
    """One task of a run, and where its labels lie among the classifier's logits."""

    task: TaskSpec
    decision: Decision
    start: int = 0

    @property
    def columns(self) -> slice:
        """Its columns of the classifier's logits."""
        return slice(self.start, self.start + len(self.task.label_list()))


@dataclass
class Artifact:
    """An opened run folder."""

    folder: Path
    config: RunConfig
    heads: list[Head]
    predictor: Predictor
    manifest: dict[str, Any]

    def head(self, name: str | None = None) -> Head:
        """The head of a task; None: the only one.

        Raises:
            ConfigError: there is none of that name, or there are several.
        """
        names = [head.task.name for head in self.heads]
        if name is None and len(names) > 1:
            raise ConfigError(f"{self.folder} serves several tasks: {', '.join(names)}. Choose one with --task NAME.")
        if name is not None and name not in names:
            raise ConfigError(unknown("task of this run", name, names))
        return self.heads[names.index(name) if name is not None else 0]

    @property
    def task(self) -> TaskSpec:
        """What the run learned, where it is one task."""
        return self.head().task

    @property
    def decision(self) -> Decision:
        """The fitted decision policy, where there is one task."""
        return self.head().decision

    @property
    def classifier(self) -> Classifier:
        """Encoder and head.

        Raises:
            ArtifactError: the run is a baseline.
        """
        return self._encoder.classifier

    @property
    def tokenizer(self) -> Any:
        """The encoder's tokenizer; raises as `classifier` does."""
        return self._encoder.tokenizer

    @property
    def mode(self) -> Mode:
        """The mode of the run; raises as `classifier` does."""
        return self._encoder.mode

    @property
    def max_length(self) -> int:
        """Tokens kept per text; raises as `classifier` does."""
        return self._encoder.max_length

    @property
    def _encoder(self) -> EncoderPredictor:
        if not isinstance(self.predictor, EncoderPredictor):
            raise ArtifactError(f"{self.folder} is a baseline ({self.predictor.title}); it has no encoder.")
        return self.predictor

    @property
    def metrics(self) -> dict[str, Any]:
        """What `metrics.json` holds."""
        return read_json(self.folder / "metrics.json")


def save_artifact(
    folder: Path,
    config: RunConfig,
    heads: list[Head],
    checkpoint: Checkpoint,
    classifier: Classifier,
    mode: Mode,
    tokenizer: Any,
    max_length: int,
    sample: Encoded,
) -> None:
    """Write model, tasks and decisions, reopen them, compare, and only then sign with the manifest.

    Args:
        heads: one per task, in the order of the classifier's logits.
        sample: a few encoded texts whose logits must be the same after reloading.

    Raises:
        ArtifactError: what was reloaded differs from what was trained.
    """

    def write(target: Path) -> None:
        mode.save(classifier, target)
        tokenizer.model_max_length = max_length  # so that plain transformers, truncating, cuts where training did
        tokenizer.save_pretrained(target)

    facts = {
        "mode": config.mode,
        "whole": mode.saves_encoder,
        "pooling": classifier.pooling,
        "max_length": max_length,
        "checkpoint": checkpoint.record(),
        **({"heads": [head.task.name for head in heads]} if len(heads) > 1 else {}),
    }
    manifest = _write(folder, "encoder", heads, facts, write)
    _verify(folder, config, manifest, classifier, tokenizer, sample)
    write_json(folder / "manifest.json", manifest)


def save_baseline(
    folder: Path, config: RunConfig, task: TaskSpec, model: Any, decision: Decision, sample: pd.DataFrame
) -> None:
    """As `save_artifact`, for a baseline.

    Args:
        sample: a few texts whose logits must be the same after reloading.

    Raises:
        ArtifactError: what was reloaded differs from what was trained.
    """
    manifest = _write(folder, "baseline", [Head(task, decision)], {"model": model.name}, model.save)
    reopened: Any = _open(folder, config, manifest).predictor
    _compare(folder, task.label_list(), task.label_list(), model.logits(sample), reopened.model.logits(sample))
    write_json(folder / "manifest.json", manifest)


def head_folder(folder: Path, task: str, tasks: int) -> Path:
    """Where a task's own files lie: in the run folder itself, unless the run has several tasks."""
    return folder / HEADS / task if tasks > 1 else folder


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
    check_manifest(folder / "manifest.json", manifest)
    lacking = sorted(PREDICTORS.get(_kind(manifest)).needs - manifest.keys())
    if lacking:
        raise ArtifactError(f"{folder / 'manifest.json'} is damaged: it lacks {', '.join(lacking)}.")
    config = read_record(RunConfig, folder / "run.yaml")
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
    left_out = {MODEL, "manifest.json", "state", "README.md", ALONE}
    # Only at the top: a task may have any of these names, and its folder in heads/ too.
    shutil.copytree(artifact.folder, aside, ignore=lambda at, _: left_out if Path(at) == artifact.folder else set())
    artifact.mode.merge(artifact.classifier)
    artifact.classifier.save(aside / MODEL)
    artifact.tokenizer.save_pretrained(aside / MODEL)
    manifest = {**artifact.manifest, "whole": True, "merged": True, "files": _digests(aside / MODEL)}
    text = artifact.tokenizer(["a text to compare", "and another, longer one"], truncation=True)["input_ids"]
    offsets = np.cumsum([0, *map(len, text)])
    sample = Encoded(np.concatenate([np.asarray(ids, np.int32) for ids in text]), offsets, None)
    _verify(aside, artifact.config, manifest, artifact.classifier, artifact.tokenizer, sample)
    write_json(aside / "manifest.json", manifest)


def _kind(manifest: dict[str, Any]) -> str:
    return str(manifest.get("kind", "encoder"))


def _write(
    folder: Path,
    kind: str,
    heads: list[Head],
    facts: dict[str, Any],
    write: Callable[[Path], None],
) -> dict[str, Any]:
    """Write model, tasks and decisions; the manifest that is to be signed once they were compared."""
    aside = folder / f"{MODEL}.part"
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    write(aside)
    shutil.rmtree(folder / MODEL, ignore_errors=True)
    aside.rename(folder / MODEL)
    for head in heads:
        _write_head(head, head_folder(folder, head.task.name, len(heads)))
    return {"format": FORMAT, "nlptl": version("nlptl"), "kind": kind, **facts, "files": _digests(folder / MODEL)}


def _write_head(head: Head, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    own_data = {name: data for name, data in head.task.data.items() if data.hub_id is not None}
    write_yaml(folder / "task.yaml", head.task.model_copy(update={"data": own_data}))
    write_json(folder / "decision.json", head.decision.to_json())


def _read_heads(folder: Path, names: list[str]) -> list[Head]:
    homes = [folder / HEADS / name for name in names] or [folder]
    heads: list[Head] = []
    for home in homes:
        task = read_record(TaskSpec, home / "task.yaml")
        decision = Decision.from_json(read_json(home / "decision.json"))
        heads.append(Head(task, decision, heads[-1].columns.stop if heads else 0))
    return heads


def _open(folder: Path, config: RunConfig, manifest: dict[str, Any]) -> Artifact:
    heads = _read_heads(folder, manifest.get("heads", []))
    predictor = PREDICTORS.get(_kind(manifest)).open(folder, config, [head.task for head in heads], manifest)
    return Artifact(folder, config, heads, predictor, manifest)


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
        here = trained({name: tensor.to(device) for name, tensor in inputs.items()}).float().cpu().numpy()
        there = reopened(inputs).float().numpy()
    _compare(folder, names, expected, here, there)


def _compare(folder: Path, names: list[str], expected: list[str], here: np.ndarray, there: np.ndarray) -> None:
    difference = float(np.abs(here - there).max(initial=0.0))
    if names != expected or not difference <= TOLERANCE * max(1.0, float(np.abs(here).max(initial=0.0))):
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
