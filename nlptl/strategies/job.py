"""What the steps of one run share, and what its training gives."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field, replace
from functools import cached_property, reduce
from pathlib import Path
from typing import Any

import numpy as np

from nlptl.checkpoints import Checkpoint
from nlptl.config.run import ResolvedBaselineRun, ResolvedRun
from nlptl.data.loading import Splits, label_targets
from nlptl.data.ordered_splits import along_sentence
from nlptl.data.tokens.encoding import LONGEST_FILLER, Encoded
from nlptl.errors import ConfigError
from nlptl.kernels import KernelSettings, packing
from nlptl.models.classifier import Classifier
from nlptl.models.modes import ADAPTER, Mode
from nlptl.models.opening import encoder_config
from nlptl.registry import MODES
from nlptl.runs.manifest import MODEL
from nlptl.runs.saving import SavedModel
from nlptl.storage.sizes import show_size
from nlptl.tasks import TaskSpec
from nlptl.training.forward import concatenate, subset
from nlptl.training.resume.states import Progress
from nlptl.training.runtime import Runtime
from nlptl.training.timing import Clock

log = logging.getLogger("nlptl")
WORTH_TELLING = 50_000_000
"""Bytes."""
VERIFIED_ROWS = 16
VERIFIED_WINDOWS = 4


@dataclass(frozen=True)
class TaskRows:
    """One task of a run: its audited rows, and where its labels lie among the model's logits."""

    splits: Splits
    targets: dict[str, np.ndarray]
    """Split -> (rows,) class ids, or (rows, C) 0/1 for several labels at once; of each split that has labels."""
    columns: slice
    """The task's columns of the logits."""
    encoded: dict[str, Encoded] = field(default_factory=dict)
    """Split -> token ids; empty where no encoder reads them."""

    @property
    def task(self) -> TaskSpec:
        """What is learned, its labels fixed."""
        return self.splits.task

    @property
    def several_labels(self) -> bool:
        """Whether one text may have several labels at once."""
        return self.task.kind == "multi_label"


def task_rows(loaded: list[Splits]) -> list[TaskRows]:
    """The rows of each task, their labels side by side in the order of the tasks."""
    found: list[TaskRows] = []
    for splits in loaded:
        labels = splits.task.label_list()
        start = found[-1].columns.stop if found else 0
        targets = {name: label_targets(f, labels) for name, f in splits.frames().items() if "label" in f}
        found.append(TaskRows(splits, targets, slice(start, start + len(labels))))
    return found


@dataclass(frozen=True)
class RunContext:
    """What every kind of run has: settings, the rows of its tasks, where it runs, and where its time goes."""

    config: ResolvedRun | ResolvedBaselineRun
    parts: list[TaskRows]
    """One for each task; one task is the ordinary case."""
    runtime: Runtime
    clock: Clock

    @property
    def part(self) -> TaskRows:
        """The only task's rows.

        Raises:
            ConfigError: there are several tasks.
        """
        if len(self.parts) > 1:
            names = ", ".join(part.task.name for part in self.parts)
            raise ConfigError(f"Several tasks ({names}) are trained together by strategy 'fine_tune' only.")
        return self.parts[0]

    @property
    def task(self) -> TaskSpec:
        """The only task; raises as `part` does."""
        return self.part.task

    @property
    def targets(self) -> dict[str, np.ndarray]:
        """The only task's targets by split; raises as `part` does."""
        return self.part.targets


def tell_held(what: str, *held: int | np.ndarray | None) -> None:
    """Say how much memory something takes that stays there until the run ends; small things are not worth a line.

    Args:
        what: is held.
        held: sizes in bytes, or the arrays themselves; those that are mapped from the cache are told apart, since the
            system takes their memory back where others want it.
    """
    mapped = sum(part.nbytes for part in held if isinstance(part, np.memmap))
    size = sum(part if isinstance(part, int) else part.nbytes for part in held if part is not None) - mapped
    if size >= WORTH_TELLING:
        log.info(f"Held in memory: {show_size(size)} of {what}")
    if mapped >= WORTH_TELLING:
        log.info(f"Mapped from the cache: {show_size(mapped)} of {what}")


def tell_rows(context: RunContext) -> None:
    """Say what is learned, and from how many rows of which data."""
    settings = context.config
    for part in context.parts:
        name = part.task.name
        source = settings.multi_task.sources.get(name) if len(context.parts) > 1 else settings.data.source
        rows = ", ".join(f"{split} {rows}" for split, rows in part.splits.sizes().items())
        log.info(f"Task {name}: {len(part.task.label_list())} labels; data: {source or 'sample'}; rows: {rows}")
        if part.splits.along:
            log.info(along_sentence(part.splits.along))


@dataclass(frozen=True)
class Job(RunContext):
    """The context of a run that trains on an encoder."""

    config: ResolvedRun
    mode: Mode
    checkpoint: Checkpoint
    tokenizer: Any
    max_length: int
    """Tokens of the longest input."""

    @property
    def encoded(self) -> dict[str, Encoded]:
        """The only task's encoded rows by split; raises as `part` does."""
        return self.part.encoded

    @property
    def pooling(self) -> str:
        """How token states become one vector."""
        return self.config.model.pooling

    @property
    def window_pooling(self) -> str | None:
        """How a text's windows become one answer; None: each text is one input."""
        return self.config.model.window_pooling if self.config.model.in_windows else None

    @property
    def pad_id(self) -> int:
        """The tokenizer's padding id."""
        return int(self.tokenizer.pad_token_id)

    @property
    def adapter(self) -> Path | None:
        """The earlier run's adapter that training goes on with; None: a new one, or none at all."""
        goes_on = self.config.lora.adapter == "continue" and self.mode.has_adapters
        return self.checkpoint.run / MODEL / ADAPTER if goes_on and self.checkpoint.run is not None else None

    @cached_property
    def kernels(self) -> KernelSettings:
        """The faster computations that the run's classifiers use."""
        encoder = encoder_config(self.checkpoint.path)
        pays = packing.pays(encoder, self.runtime.device, self.runtime.dtype, self.config.model.dropout)
        fillers_fit = getattr(encoder, "max_position_embeddings", 0) > LONGEST_FILLER + 1
        # Steps over windows have another number of inputs each, so that their shapes do not recur.
        recurs = fillers_fit and not self.runtime.is_sharded and not self.config.model.in_windows
        return KernelSettings.for_training(self.config.runtime, pays, recurs)

    def fresh_mode(self) -> Mode:
        """The run's mode, not applied to any model yet."""
        mode: Mode = MODES.get(self.config.mode)()
        return mode

    def with_rows(self, encoded: dict[str, Encoded], targets: dict[str, np.ndarray]) -> Job:
        """The same job of one task on other rows; splits that are not given stay."""
        part = replace(self.part, encoded={**self.encoded, **encoded}, targets={**self.targets, **targets})
        return replace(self, parts=[part], mode=self.fresh_mode())

    def remembering(self, progress: Progress) -> Job:
        """The job of a further training, which starts with the micro-batch that memory allowed before."""
        if progress.micro_batch_size is None:
            return self
        training = self.config.training.model_copy(update={"micro_batch_size": progress.micro_batch_size})
        return replace(self, config=self.config.model_copy(update={"training": training}))


def sample_of(job: Job) -> Encoded:
    """A few test texts of each task, whose logits must be the same once the run was saved and opened again."""
    samples = []
    for part in job.parts:
        test = part.encoded["test"]
        samples.append(subset(test, np.arange(min(VERIFIED_ROWS, len(test)))).at_most(VERIFIED_WINDOWS))
    return reduce(concatenate, samples)


@dataclass(frozen=True)
class Seen:
    """What the finished model computes of rows, for scorers of out of scope."""

    train: np.ndarray
    """Numbers (rows,) of the training rows that it was asked about."""
    train_logits: np.ndarray
    """(rows, C) of them."""
    features: dict[str, np.ndarray]
    """Split -> (rows, H), of train those rows alone; empty where features must not be used."""


@dataclass(frozen=True)
class Answers:
    """What a model says of one task's held-out rows."""

    validation: np.ndarray
    """(rows, C) logits."""
    test: np.ndarray
    """(rows, C) logits."""
    notes: dict[str, Any] = field(default_factory=dict)
    """What is to be noted of this task's training."""
    seen: Seen | None = None
    """What scorers of out of scope are fitted on, where the decision asks for one."""


@dataclass(frozen=True)
class Trained:
    """The outcome of a strategy: the model and what it says of the held-out rows."""

    classifier: Classifier
    mode: Mode
    answers: list[Answers]
    """One for each task, in the job's order."""
    progress: Progress = field(default_factory=Progress)
    facts: dict[str, Any] = field(default_factory=dict)
    """Further sections of `metrics.json`."""

    @property
    def validation_logits(self) -> np.ndarray:
        """(rows, C) of the only task's validation rows."""
        (answers,) = self.answers
        return answers.validation

    @property
    def test_logits(self) -> np.ndarray:
        """(rows, C) of the only task's test rows."""
        (answers,) = self.answers
        return answers.test


@dataclass(frozen=True)
class Learned:
    """What a run has to save, whatever kind it is."""

    model: SavedModel
    answers: list[Answers]
    """One for each task."""
    facts: dict[str, Any]
    """Sections of `metrics.json`: training, model, runtime, time, and further ones."""
