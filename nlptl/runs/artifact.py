"""The run folder: what it promises, how it is written, checked and opened again.

run.yaml          the resolved RunConfig; `nlptl train --config RUN/run.yaml` repeats the run
inputs.json       digests of what the run was made from: rows of each split, task, checkpoint
task.yaml         the task with its labels
model/            tokenizer and weights: whole (full, merged), adapter and head (lora), or head (feature_extraction);
                  of a baseline, its terms and arrays
calibration.json  what makes probabilities of logits, fitted on validation
decision.json     the decision policy, fitted on validation
answers.safetensors  logits and labels of the rows of validation and test
out_of_scope.safetensors  with `decision.scorer`: what it was fitted to
metrics.json      test, validation, time, training
predictions.csv   the test rows with gold label, decision and score
README.md         the model card
log.txt           what the run said
heads/TASK/       with several tasks: each one's task.yaml, calibration.json, decision.json, answers.safetensors and
                  predictions.csv, instead of those above
alone/TASK/       with `multi_task.compare`: the run of each task by itself
baselines/NAME/   with `baseline.compare`: the run of each baseline on the same rows
via/NUMBER-NAME/  with `via.sources`: the training on each source, and the encoder that it gave
straight/         with `via.compare`: the run of the same task without them
manifest.json     format, checkpoint, digests; written last: a folder without it is unfinished
state/            only while training: what a resumed run goes on from
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np

from nlptl.config.records import read_record
from nlptl.config.run import RunConfig
from nlptl.errors import ArtifactError, ConfigError, unknown
from nlptl.evaluation.calibration import UNCALIBRATED, Calibration, open_calibration
from nlptl.evaluation.decisions import Decision, open_decision
from nlptl.evaluation.out_of_scope.scorer import Scorer, read_scorer
from nlptl.models.classifier import Classifier
from nlptl.models.modes import Mode
from nlptl.registry import PREDICTORS
from nlptl.runs.manifest import HEADS, kind_of, read_manifest, task_homes, tasks_of
from nlptl.runs.predictors import EncoderPredictor, FeaturePredictor, Predictor
from nlptl.storage.json_files import read_json
from nlptl.tasks import TaskSpec

ALONE = "alone"
"""Where a multi-task run keeps the runs of its tasks alone."""
BASELINE_RUNS = "baselines"
"""Where a run keeps the baselines that it was compared with."""
STRAIGHT = "straight"
"""Where a run that went via other data keeps the run that did not."""


@dataclass(frozen=True)
class Head:
    """One task of a run, and where its labels lie among the classifier's logits."""

    task: TaskSpec
    decision: Decision
    start: int = 0
    calibration: Calibration = UNCALIBRATED
    scorer: Scorer | None = None
    """How far in scope a text is, where the decision goes by that."""

    def scope(self, features: np.ndarray | None, logits: np.ndarray) -> np.ndarray | None:
        """(N,) what `decide` takes beside probabilities, higher is more in scope; None where there is no scorer.

        Args:
            features: (N, H).
            logits: (N, C) of this task, not calibrated.
        """
        return None if self.scorer is None else self.scorer.scores(features, logits)

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
        return self.encoder.classifier

    @property
    def tokenizer(self) -> Any:
        """The encoder's tokenizer; raises as `classifier` does."""
        return self.encoder.tokenizer

    @property
    def mode(self) -> Mode:
        """The mode of the run; raises as `classifier` does."""
        return self.encoder.mode

    @property
    def max_length(self) -> int:
        """Tokens kept per text; raises as `classifier` does."""
        return self.encoder.max_length

    @property
    def encoder(self) -> EncoderPredictor:
        """What predicts, where it has an encoder; raises as `classifier` does."""
        if isinstance(self.predictor, EncoderPredictor):
            return self.predictor
        if hasattr(self.predictor, "outputs"):
            raise ArtifactError(
                f"{self.folder} is exported ({self.predictor.title}). This takes the run that it is of."
            )
        raise self._without_encoder

    @property
    def with_features(self) -> FeaturePredictor:
        """What predicts, where it gives features beside logits.

        Raises:
            ArtifactError: it does not; a baseline has no encoder.
        """
        if not hasattr(self.predictor, "outputs"):
            raise self._without_encoder
        return cast(FeaturePredictor, self.predictor)

    @property
    def _without_encoder(self) -> ArtifactError:
        return ArtifactError(f"{self.folder} is a baseline ({self.predictor.title}); it has no encoder.")

    @property
    def metrics(self) -> dict[str, Any]:
        """What `metrics.json` holds."""
        return read_json(self.folder / "metrics.json")


def load_artifact(folder: Path) -> Artifact:
    """Open a run folder.

    Raises:
        ArtifactError: not a run folder, unfinished, damaged, or of a newer version.
        CheckpointError: the checkpoint that an adapter or head belongs to is not to be had.
    """
    manifest = read_manifest(folder)
    config = read_record(RunConfig, folder / "run.yaml")
    return open_folder(folder, config, manifest)


def head_folder(folder: Path, task: str, tasks: int) -> Path:
    """Where a task's own files lie: in the run folder itself, unless the run has several tasks."""
    return folder / HEADS / task if tasks > 1 else folder


def open_folder(folder: Path, config: RunConfig, manifest: dict[str, Any]) -> Artifact:
    """Open a run folder whose manifest is known, without checking digests."""
    heads = _read_heads(folder, manifest)
    predictor = PREDICTORS.get(kind_of(manifest)).open(folder, config, [head.task for head in heads], manifest)
    return Artifact(folder, config, heads, predictor, manifest)


def _read_heads(folder: Path, manifest: dict[str, Any]) -> list[Head]:
    heads: list[Head] = []
    for home, task in zip(task_homes(folder, manifest), tasks_of(folder, manifest), strict=True):
        decision = open_decision(read_json(home / "decision.json"))
        noted = home / "calibration.json"  # runs of earlier versions have none
        calibration = open_calibration(read_json(noted)) if noted.is_file() else UNCALIBRATED
        named = getattr(decision, "scorer", None)
        scorer = None if named is None else read_scorer(home, named)
        heads.append(Head(task, decision, heads[-1].columns.stop if heads else 0, calibration, scorer))
    return heads
