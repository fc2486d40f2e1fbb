"""What the steps of one run share, and what its training gives."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from nlptl.checkpoints import Checkpoint
from nlptl.config import RunConfig
from nlptl.data.encoding import Encoded, encode
from nlptl.data.loading import Splits, label_targets
from nlptl.models.classifier import Classifier, encoder_config, load_tokenizer, longest_input
from nlptl.models.modes import MODES, Mode
from nlptl.objectives.classification import Classification, balanced_weights
from nlptl.tasks import TaskSpec
from nlptl.training.checkpointing import Progress
from nlptl.training.forward import concatenate
from nlptl.training.rows import LabelledRows
from nlptl.training.runtime import Runtime
from nlptl.training.timing import Clock


@dataclass
class Job:
    """What the steps of one run share."""

    config: RunConfig
    task: TaskSpec
    mode: Mode
    checkpoint: Checkpoint
    runtime: Runtime
    clock: Clock
    splits: Splits
    encoded: dict[str, Encoded]
    targets: dict[str, np.ndarray]
    tokenizer: Any
    max_length: int
    pooling: str

    @property
    def pad_id(self) -> int:
        return int(self.tokenizer.pad_token_id)


@dataclass
class Trained:
    """The outcome of training: the model and what it says of the held-out splits."""

    classifier: Classifier
    mode: Mode
    validation_logits: np.ndarray
    test_logits: np.ndarray
    progress: Progress
    notes: dict[str, Any]


def encode_splits(
    config: RunConfig, task: TaskSpec, checkpoint: Checkpoint, runtime: Runtime, clock: Clock, splits: Splits
) -> Job:
    tokenizer = load_tokenizer(checkpoint.path)
    max_length = longest_input(tokenizer, encoder_config(checkpoint.path), config.model.max_length)
    frames = {"train": splits.train, "validation": splits.validation, "test": splits.test}
    with clock.measure("data"):
        encoded = {name: encode(frame, tokenizer, max_length, _bar(runtime, name)) for name, frame in frames.items()}
    targets = {name: label_targets(frame, task.label_list()) for name, frame in frames.items()}
    mode = MODES.get(config.mode)()
    pooling = str(config.model.pooling)
    return Job(config, task, mode, checkpoint, runtime, clock, splits, encoded, targets, tokenizer, max_length, pooling)


def _bar(runtime: Runtime, split: str) -> Callable[[Iterable[int]], Iterable[int]]:
    return lambda chunks: runtime.track(chunks, f"tokenising {split}")


def training_rows(job: Job, which: str) -> LabelledRows:
    training = job.config.training
    balanced = training.class_weights == "balanced"
    weights = balanced_weights(job.targets["train"], len(job.task.label_list())) if balanced else None
    encoded, targets = job.encoded["train"], job.targets["train"]
    if which == "both":
        encoded = concatenate(encoded, job.encoded["validation"])
        targets = np.concatenate([targets, job.targets["validation"]])
    return LabelledRows(encoded, targets, job.pad_id, Classification(training.label_smoothing or 0.0, weights))
