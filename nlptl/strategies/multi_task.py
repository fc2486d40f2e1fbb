"""What several tasks on one encoder need beyond one (Caruana 1997): mixed batches, balanced losses, comparisons."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from nlptl.config.data import DataConfig
from nlptl.config.run import RunConfig
from nlptl.config.strategies import MultiTaskConfig
from nlptl.errors import ConfigError, unknown
from nlptl.evaluation.evaluator import quick_metrics
from nlptl.registry import STRATEGIES
from nlptl.runs.artifact import ALONE
from nlptl.storage.json_files import read_json
from nlptl.strategies.job import Answers, Job
from nlptl.strategies.stages import Probe, split_logits
from nlptl.tasks import TaskSpec
from nlptl.training.examples.labelled import LabelledExamples
from nlptl.training.examples.mixed import MixedExamples, shares_of
from nlptl.training.loop import Evaluate
from nlptl.training.resume.states import Progress

log = logging.getLogger("nlptl")
MEAN = "mean"
"""The metric that decides: the mean of the tasks' primary ones on validation."""
LARGEST_FACTOR = 10.0
"""No task's losses are multiplied by more than this many times another's, however well it is solved already."""


def check(config: RunConfig, tasks: list[TaskSpec], given: Mapping[str, Any]) -> None:
    """Refuse settings that do not fit several tasks.

    Args:
        config: the settings as asked for.
        tasks: what is learned together.
        given: Python data by task.

    Raises:
        ConfigError: names the setting and what to write instead.
    """
    names = [task.name for task in tasks]
    settings = config.multi_task
    if config.strategy is not None and not STRATEGIES.get(config.strategy).several_tasks:
        able = ", ".join(name for name in STRATEGIES if STRATEGIES.get(name).several_tasks)
        raise ConfigError(f"Several tasks are trained by {able}; strategy {config.strategy!r} takes one task.")
    for key in ("source", "validation", "test"):
        if getattr(config.data, key) is not None:
            raise ConfigError(f"data.{key} does not say which task it belongs to. Write --data TASK=PATH for each.")
    for what, named in (
        ("multi_task.sources", settings.sources),
        ("multi_task.label_maps", settings.label_maps),
        ("multi_task.weights", settings.weights),
        ("the data", given),
    ):
        for name in named:
            if name not in names:
                raise ConfigError(f"In {what}: {unknown('task', name, names)}")
    wanted = sorted({task.checkpoint for task in tasks})
    if config.checkpoint is None and len(wanted) > 1:
        raise ConfigError(f"These tasks name different checkpoints: {', '.join(wanted)}. Choose with --checkpoint.")


def data_of(config: RunConfig, task: str) -> DataConfig:
    """The `data` section as one of several tasks sees it."""
    settings = config.multi_task
    label_map = settings.label_maps.get(task, config.data.label_map)
    return config.data.model_copy(update={"source": settings.sources.get(task), "label_map": label_map})


def train_alone(
    config: RunConfig,
    given: Mapping[str, Any],
    tasks: list[TaskSpec],
    folder: Path,
    train: Callable[[RunConfig, Any, bool], object],
) -> None:
    """A run for each task alone, with the same settings; one that is finished already is not repeated.

    Args:
        config: of the run of all tasks.
        given: Python data by task.
        tasks: what is learned.
        folder: of the run of all tasks.
        train: trains a run of one task, or with True gives back the one that is finished in its folder.

    Raises:
        ArtifactError: a run that is there is of other settings or data.
    """
    for task in tasks:
        home = folder / ALONE / task.name
        log.info(f"For comparison: {task.name} alone")
        alone = {
            "task": task.name,
            "data": data_of(config, task.name),
            "output": str(home),
            "multi_task": MultiTaskConfig(),
        }
        train(config.model_copy(update=alone), given.get(task.name), True)


def mixed(job: Job, examples: list[LabelledExamples], balance: list[float]) -> MixedExamples:
    """Rows of all tasks in mixed batches.

    Args:
        job: the run; `multi_task` says how rows are mixed and weighted.
        examples: of each task.
        balance: factor of each task's losses beside that of the configuration.
    """
    settings = job.config.multi_task
    weights = [
        settings.weights.get(part.task.name, 1.0) * factor for part, factor in zip(job.parts, balance, strict=True)
    ]
    columns = [part.columns for part in job.parts]
    return MixedExamples(examples, columns, weights, shares_of([len(rows.targets) for rows in examples], settings))


def judge_of(job: Job, classifier: Any) -> Evaluate:
    """Validation metrics after each epoch: each task's primary one, and their mean, which decides."""

    def judge(model: Any) -> dict[str, float]:
        asked = model if job.runtime.is_sharded else classifier
        primary, losses = {}, []
        for part in job.parts:
            logits = split_logits(job, asked, "validation", f"validating {part.task.name}", part)
            values = quick_metrics(part.task, logits, part.targets["validation"])
            primary[part.task.name] = float(values[part.task.metric])
            losses.append(values["loss"])
        return {MEAN: float(np.mean(list(primary.values()))), "loss": float(np.mean(losses)), **primary}

    return judge


def balance(job: Job, probes: list[Probe]) -> list[float]:
    """Factors, 1 on average, that make the tasks' losses on validation alike where training begins.

    Args:
        job: the run.
        probes: where each task begins; none where heads begin at random, which leaves all factors at 1.
    """
    if not job.config.multi_task.balance or len(probes) < 2:
        return [1.0] * len(job.parts)
    losses = np.array(
        [
            quick_metrics(part.task, probe.head.logits(probe.features["validation"]), part.targets["validation"])[
                "loss"
            ]
            for part, probe in zip(job.parts, probes, strict=True)
        ]
    )
    factors = 1 / np.maximum(losses, losses.max() / LARGEST_FACTOR)
    found = [float(factor) for factor in factors / factors.mean()]
    said = ", ".join(f"{part.task.name} {factor:.2f}" for part, factor in zip(job.parts, found, strict=True))
    log.info(f"Losses are multiplied by: {said}")
    return found


def with_notes(job: Job, answers: list[Answers], progress: Progress, factors: list[float]) -> list[Answers]:
    """Answers that also say how far each task was forgotten, and what its losses were multiplied by."""
    return [
        replace(one, notes={**one.notes, "forgetting": _forgetting(progress, part.task.name), "balance": factor})
        for part, one, factor in zip(job.parts, answers, factors, strict=True)
    ]


def _forgetting(progress: Progress, task: str) -> float:
    """How far the chosen state lies below the task's own best one on validation (Chaudhry et al. 2018)."""
    chosen = next(e[task] for e in progress.epochs if e["epoch"] == progress.best_epoch)
    return float(max(e[task] for e in progress.epochs) - chosen)


def difference(task: TaskSpec, together: dict[str, Any], folder: Path) -> dict[str, Any]:
    """The primary metric of the same task trained alone, and what training together added to it.

    Args:
        task: one of the run's.
        together: its reports by split.
        folder: of the run; without a finished run of the task alone in it, there is nothing to say.
    """
    home = folder / ALONE / task.name
    if not (home / "manifest.json").exists():
        return {}
    reports = read_json(home / "metrics.json")
    alone = {split: reports[split][task.metric] for split in ("test", "validation")}
    return {"alone": alone, "difference": {split: together[split][task.metric] - alone[split] for split in alone}}
