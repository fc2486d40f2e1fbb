"""What the steps of one run share, and what its training gives."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch

from nlptl.checkpoints import Checkpoint
from nlptl.config.run import ResolvedRun, RunConfig
from nlptl.data.cached_tokens import encode_cached
from nlptl.data.encoding import LONGEST_FILLER, Encoded
from nlptl.data.loading import Splits, label_targets
from nlptl.errors import ConfigError
from nlptl.kernels import packing
from nlptl.models.classifier import Classifier, encoder_config, load_tokenizer, longest_input
from nlptl.models.modes import Mode
from nlptl.objectives.classification import Classification, balanced_weights
from nlptl.registry import MODES, STRATEGIES
from nlptl.storage.paths import cache_dir
from nlptl.strategies.catalogue import usual_strategy
from nlptl.strategies.from_scratch import from_scratch_defaults
from nlptl.tasks import TaskSpec
from nlptl.training.examples.labelled import LabelledExamples
from nlptl.training.forward import concatenate
from nlptl.training.resume.states import Progress
from nlptl.training.runtime import Runtime
from nlptl.training.timing import Clock

log = logging.getLogger("nlptl")


@dataclass
class Job:
    """What the steps of one run share."""

    config: ResolvedRun
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

    @property
    def packs(self) -> bool:
        """Whether batches are computed without padding."""
        return self._packing_pays if self.config.runtime.packing == "auto" else self.config.runtime.packing == "on"

    @property
    def records(self) -> bool:
        """Whether training passes are recorded."""
        asked = self.config.runtime.cuda_graphs and not self.config.runtime.gradient_checkpointing
        able = getattr(self._encoder_config, "max_position_embeddings", 0) > LONGEST_FILLER + 1
        return asked and able and self.packs and self._packing_pays and not self.runtime.is_sharded

    @property
    def _packing_pays(self) -> bool:
        dropout = self.config.model.dropout
        return packing.pays(self._encoder_config, self.runtime.device, self.runtime.dtype, dropout)

    @cached_property
    def _encoder_config(self) -> Any:
        return encoder_config(self.checkpoint.path)

    def remembering(self, progress: Progress) -> Job:
        """The job of a further training, which starts with the micro-batch that memory allowed before."""
        if progress.micro_batch_size is None:
            return self
        training = self.config.training.model_copy(update={"micro_batch_size": progress.micro_batch_size})
        return replace(self, config=self.config.model_copy(update={"training": training}))


@dataclass
class Trained:
    """The outcome of training: the model and what it says of the held-out splits."""

    classifier: Classifier
    mode: Mode
    validation_logits: np.ndarray
    test_logits: np.ndarray
    progress: Progress
    notes: dict[str, Any]
    facts: dict[str, Any] = field(default_factory=dict)
    """Further sections of `metrics.json`."""


def fill_in(
    config: RunConfig, name: str, checkpoint: Checkpoint, task: dict[str, Any], kind: str = "single_label"
) -> ResolvedRun:
    """The configuration with every open setting filled: by what training from random weights needs, the task, the
    strategy and the mode, in this order.

    Args:
        config: as the user gave it.
        name: the checkpoint, where the configuration names none.
        checkpoint: gives its pooling.
        task: the task's own defaults.
        kind: of the task.

    Raises:
        ConfigError: an unknown mode, or one that the strategy cannot take, or a setting it needs is missing, or an
            architecture that cannot be packed where the run asks for it.
    """
    mode = MODES.get(config.mode)
    if config.runtime.packing == "on":
        packing.check(encoder_config(checkpoint.path))
    chosen = config.strategy or usual_strategy(config.mode, config.data.shots, kind)
    strategy = STRATEGIES.get(chosen)
    strategy.check_mode(chosen, config.mode)
    for key, message in strategy.needs.items():
        section, _, setting = key.partition(".")
        if getattr(getattr(config, section), setting) is None:
            raise ConfigError(message)
    pooling = mode.pools.get(checkpoint.pooling, checkpoint.pooling)
    defaults = {"strategy": chosen, "checkpoint": name, "model.pooling": pooling, **mode.defaults}
    if config.data.shots:  # few rows: those of validation are needed too
        defaults["training.refit"] = True
    scratch = from_scratch_defaults(config) if config.model.weights == "random" else {}
    return config.resolved(scratch, task, strategy.defaults.get(config.mode, {}), defaults)


def encode_splits(
    config: ResolvedRun, task: TaskSpec, checkpoint: Checkpoint, runtime: Runtime, clock: Clock, splits: Splits
) -> Job:
    tokenizer = load_tokenizer(checkpoint.path)
    max_length = longest_input(tokenizer, encoder_config(checkpoint.path), config.model.max_length)
    frames = splits.frames()
    with clock.measure("data"):
        encoded = {
            name: encode_cached(frame, tokenizer, max_length, _bar(runtime, name), cache_dir())
            for name, frame in frames.items()
        }
    targets = {name: label_targets(f, task.label_list()) for name, f in frames.items() if "label" in f}
    mode = MODES.get(config.mode)()
    pooling = config.model.pooling
    return Job(config, task, mode, checkpoint, runtime, clock, splits, encoded, targets, tokenizer, max_length, pooling)


def _bar(runtime: Runtime, split: str) -> Callable[[Iterable[int]], Iterable[int]]:
    return lambda chunks: runtime.track(chunks, f"tokenising {split}")


def objective_of(job: Job) -> Classification:
    """The classification loss that the run asks for, weighted by the labels' rows in train where it does."""
    return Classification(job.config.training.label_smoothing or 0.0, class_weights(job))


def class_weights(job: Job) -> torch.Tensor | None:
    """(C,) weights of the labels by their rows in train, where the run asks for them."""
    if job.config.training.class_weights == "none":
        return None
    return balanced_weights(job.targets["train"], len(job.task.label_list()))


def training_rows(job: Job, which: str) -> LabelledExamples:
    encoded, targets = job.encoded["train"], job.targets["train"]
    if which == "both":
        encoded = concatenate(encoded, job.encoded["validation"])
        targets = np.concatenate([targets, job.targets["validation"]])
    # Recordings want batches of as many tokens each, and packed ones have no padding to save.
    return LabelledExamples(encoded, targets, job.pad_id, objective_of(job), by_length=not job.records)


def describe(job: Job, *others: Job) -> None:
    """Say what is about to be learned, by what, and where; jobs of one run share all but task and rows."""
    if not job.runtime.is_main:
        return
    for each in (job, *others):
        sizes = ", ".join(f"{name} {rows}" for name, rows in each.splits.sizes().items())
        log.info(f"Task {each.task.name}: {len(each.task.label_list())} labels; rows: {sizes}")
    start = ", random weights instead of its own" if job.config.model.weights == "random" else ""
    log.info(
        f"Checkpoint {job.checkpoint.name} ({job.checkpoint.source}){start}, {job.pooling} pooling, "
        f"mode {job.config.mode}"
    )
    log.info(f"Device {job.runtime.device.type}, precision {job.runtime.precision}, processes {job.runtime.processes}")


def start_trackers(job: Job, folder: Path) -> None:
    if not job.config.runtime.trackers:
        return
    job.runtime.accelerator.project_configuration.logging_dir = str(folder / "trackers")
    settings = job.config.model_dump(mode="json")
    flat = {f"{s}.{k}": str(v) for s, inner in settings.items() if isinstance(inner, dict) for k, v in inner.items()}
    job.runtime.accelerator.init_trackers("nlptl", config=flat)
