"""Ranking of checkpoints for a task before any is trained, by a linear probe and LogME on frozen features."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from nlptl.config.run import RunConfig
from nlptl.errors import ConfigError
from nlptl.evaluation.evaluator import quick_metrics
from nlptl.explore.material import Material, Reader, frozen_classifier, load_material, probe_of
from nlptl.explore.transferability import log_me
from nlptl.runs.lineage import open_checkpoint
from nlptl.training.runtime import Runtime, local_runtime


@dataclass(frozen=True)
class Ranking:
    """The candidate checkpoints, the most promising first."""

    metric: str
    rows: list[dict[str, Any]]
    """A row per candidate: checkpoint, probe (the metric on validation), loss (of the probe on validation), log_me,
    parameters and seconds."""
    sources: list[dict[str, Any]] = field(default_factory=list)
    """A row per data set that might be learned first, the nearest first: `nlptl.explore.sources.rank_sources`."""

    @property
    def order(self) -> list[str]:
        """The checkpoints' names, the most promising first."""
        return [row["checkpoint"] for row in self.rows]


def rank_checkpoints(config: RunConfig, checkpoints: Sequence[str], given: Any = None, most: int = 2000) -> Ranking:
    """Order candidates by the validation loss of a linear probe on their frozen features; LogME stands beside it.

    The order goes by the loss rather than by the metric, because a few hundred validation rows tell close candidates
    apart by their losses. Where the probe and LogME (You et al. 2021) disagree, neither can be relied on, and both
    checkpoints should be trained. The test split is not read.

    Args:
        config: says task, data, seed, `probe.regularisation`, `model.max_length` and, for all candidates alike,
            `model.pooling`.
        checkpoints: names, Hub ids or folders.
        given: Python data, instead of `config.data.source`.
        most: the largest number of rows of each split that are used.

    Raises:
        ConfigError: no candidate, or one named twice.
        NlptlError: data or a checkpoint cannot be used.
    """
    if not checkpoints:
        raise ConfigError("There is no checkpoint to rank. Name some: names, Hub ids or folders.")
    twice = sorted({name for name in checkpoints if list(checkpoints).count(name) > 1})
    if twice:
        raise ConfigError(f"Named twice: {', '.join(twice)}. Name each checkpoint once.")
    candidates = {name: open_checkpoint(name) for name in checkpoints}  # a missing one is told before any work
    runtime = local_runtime(config.runtime.precision, config.runtime.progress)
    material = load_material(config, given, most)
    rows = [_judged(name, candidates[name], config, material, runtime) for name in checkpoints]
    return Ranking(material.task.metric, sorted(rows, key=lambda row: row["loss"]))


def _judged(name: str, checkpoint: Any, config: RunConfig, material: Material, runtime: Runtime) -> dict[str, Any]:
    started = time.perf_counter()
    pooling = config.model.pooling or checkpoint.pooling
    classifier = frozen_classifier(checkpoint, material, pooling, runtime, config)
    reader = Reader.of(checkpoint, classifier, config, runtime, material)
    width, splits = classifier.head.in_features, ("train", "validation")
    features = reader.read(classifier.features, width, material, checkpoint.path.name, splits)
    head = probe_of(features, material, config)
    metrics = quick_metrics(material.task, head.logits(features["validation"]), material.targets["validation"])
    return {
        "checkpoint": name,
        "probe": metrics[material.task.metric],
        "loss": metrics["loss"],
        "log_me": log_me(features["train"], material.targets["train"], material.classes),
        "parameters": sum(p.numel() for p in classifier.encoder.parameters()),
        "seconds": round(time.perf_counter() - started, 2),
    }
