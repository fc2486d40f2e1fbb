"""Writing a finished run: model, tasks and decisions, reopened and compared before the manifest makes them a run."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, ClassVar, Protocol

import numpy as np
import pandas as pd
import torch

from nlptl.checkpoints import Checkpoint
from nlptl.config.records import write_yaml
from nlptl.config.run import RunConfig
from nlptl.data.tokens.encoding import Encoded, collate
from nlptl.data.tokens.long_texts import LongText
from nlptl.errors import ArtifactError
from nlptl.evaluation.out_of_scope.scorer import write_scorer
from nlptl.models.classifier import Classifier
from nlptl.models.modes import Mode
from nlptl.runs.artifact import (
    ALONE,
    BASELINE_RUNS,
    STRAIGHT,
    Artifact,
    Head,
    head_folder,
    load_artifact,
    open_folder,
)
from nlptl.runs.lineage import VIA, lineage_of
from nlptl.runs.manifest import FORMAT, MODEL, digests_of
from nlptl.runs.packages import packages_of
from nlptl.storage.json_files import write_json

VERIFIED_WINDOWS = 4
TOLERANCE = 1e-4
"""Of logits after reloading, relative to the largest: the same arithmetic on the same numbers, but for rounding."""


class SavedModel(Protocol):
    """What a run folder keeps under `model/`: one class for each kind of run."""

    @property
    def kind(self) -> str:
        """Its name in the registry PREDICTORS, which opens it again."""

    def facts(self, folder: Path) -> dict[str, Any]:
        """Entries of the manifest of this run folder, without which it cannot be opened."""

    def write(self, folder: Path) -> None:
        """Write it to an empty folder."""

    def compare(self, reopened: Artifact) -> str | None:
        """What differs between it and what was read back; None where nothing does."""


@dataclass(frozen=True)
class SavedEncoder:
    """A classifier on an encoder, or the adapter or head that belongs to its checkpoint."""

    classifier: Classifier
    mode: Mode
    mode_name: str
    tokenizer: Any
    max_length: int
    long_text: LongText
    checkpoint: Checkpoint
    sample: Encoded
    """A few texts whose logits must be the same after reloading."""
    kind: ClassVar[str] = "encoder"

    def facts(self, folder: Path) -> dict[str, Any]:
        return {
            "mode": self.mode_name,
            "whole": self.mode.saves_encoder,
            "pooling": self.classifier.pooling,
            "max_length": self.max_length,
            **self._long_text(),
            "checkpoint": self.checkpoint.record(folder),
            "lineage": lineage_of(self.checkpoint),
        }

    def _long_text(self) -> dict[str, Any]:
        windows = self.classifier.windows
        if windows is None:
            return {"long_text": self.long_text.way}
        overlap = self.long_text.overlap
        return {"long_text": self.long_text.way, "window_overlap": overlap, "window_pooling": windows.way}

    def write(self, folder: Path) -> None:
        self.mode.save(self.classifier, folder)
        self.tokenizer.model_max_length = (
            self.max_length
        )  # plain transformers, truncating, then cuts where training did
        self.tokenizer.save_pretrained(folder)

    def compare(self, reopened: Artifact) -> str | None:
        return _compare_encoders(self.classifier, reopened, self.tokenizer, self.sample)


def save_artifact(folder: Path, config: RunConfig, heads: list[Head], model: SavedModel) -> None:
    """Write model, tasks and decisions, reopen them, compare, and only then write the manifest.

    Args:
        folder: of the run.
        config: of the run.
        heads: one per task, in the order of the logits.
        model: what predicts.

    Raises:
        ArtifactError: what was reloaded differs from what was trained.
    """
    aside = folder / f"{MODEL}.part"
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    model.write(aside)
    shutil.rmtree(folder / MODEL, ignore_errors=True)
    aside.rename(folder / MODEL)
    for head in heads:
        _write_head(head, head_folder(folder, head.task.name, len(heads)))
    names = {"heads": [head.task.name for head in heads]} if len(heads) > 1 else {}
    packages = packages_of(config, [head.task for head in heads], model.kind)
    others = {"packages": packages} if packages else {}
    facts = {**model.facts(folder), "normaliser": config.data.normaliser, **names, **others}
    facts |= {"files": digests_of(folder / MODEL)}
    manifest = {"format": FORMAT, "nlptl": version("nlptl"), "kind": model.kind, **facts}
    _refuse(folder, model.compare(open_folder(folder, config, manifest)))
    write_json(folder / "manifest.json", manifest)


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
    left_out = {MODEL, "manifest.json", "state", "README.md", ALONE, BASELINE_RUNS, STRAIGHT, VIA}
    # Only at the top: a task may have any of these names, and its folder in heads/ too.
    shutil.copytree(artifact.folder, aside, ignore=lambda at, _: left_out if Path(at) == artifact.folder else set())
    artifact.mode.merge(artifact.classifier)
    artifact.classifier.save(aside / MODEL)
    artifact.tokenizer.save_pretrained(aside / MODEL)
    manifest = {**artifact.manifest, "whole": True, "merged": True, "files": digests_of(aside / MODEL)}
    sample = artifact.predictor.prepare(pd.DataFrame({"text": ["a text to compare", "and a longer one " * 200]}))
    sample = sample.at_most(VERIFIED_WINDOWS)
    reopened = open_folder(aside, artifact.config, manifest)
    _refuse(aside, _compare_encoders(artifact.classifier, reopened, artifact.tokenizer, sample))
    write_json(aside / "manifest.json", manifest)


def _write_head(head: Head, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    own_data = {name: data for name, data in head.task.data.items() if data.hub_id is not None}
    write_yaml(folder / "task.yaml", head.task.model_copy(update={"data": own_data}))
    write_decision(head, folder)


def write_decision(head: Head, folder: Path) -> None:
    """Write how a task's probabilities are calibrated and its answers decided.

    Args:
        head: of the task.
        folder: where the task's own files lie.
    """
    if head.scorer is not None:
        write_scorer(folder, head.scorer)
    write_json(folder / "calibration.json", head.calibration.to_json())
    write_json(folder / "decision.json", head.decision.to_json())


def _compare_encoders(trained: Classifier, artifact: Artifact, tokenizer: Any, sample: Encoded) -> str | None:
    """Labels and logits of both classifiers, in float32."""
    reopened = artifact.classifier
    names = [reopened.config.id2label[i] for i in range(reopened.head.out_features)]
    expected = [trained.config.id2label[i] for i in range(trained.head.out_features)]
    if names != expected:
        return f"labels {names} instead of {expected}"
    inputs = collate(sample, np.arange(len(sample)), tokenizer.pad_token_id)
    device = next(trained.parameters()).device
    trained.eval()
    with torch.inference_mode():
        here = trained({name: tensor.to(device) for name, tensor in inputs.items()}).float().cpu().numpy()
        there = reopened(inputs).float().numpy()
    return logit_difference(here, there)


def logit_difference(here: np.ndarray, there: np.ndarray) -> str | None:
    """The largest difference of logits in words, where it is more than rounding."""
    difference = float(np.abs(here - there).max(initial=0.0))
    if difference <= TOLERANCE * max(1.0, float(np.abs(here).max(initial=0.0))):
        return None
    return f"logits that differ by up to {difference:.2g}"


def _refuse(folder: Path, difference: str | None) -> None:
    if difference is not None:
        raise ArtifactError(
            f"The saved model differs from the trained one: it has {difference}. No manifest was written, so {folder} "
            "is no finished run; its state is kept."
        )
