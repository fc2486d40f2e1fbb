"""Multi-task transfer (Caruana 1997): one encoder learns several tasks in mixed batches, with a head for each."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch

from nlptl.checkpoints import resolve_checkpoint
from nlptl.config.run import DataConfig, MultiTaskConfig, RunConfig
from nlptl.data.loading import load_splits
from nlptl.errors import ConfigError, unknown
from nlptl.evaluation.evaluator import check_metrics, quick_metrics
from nlptl.models.classifier import Classifier
from nlptl.models.linear_probe import LinearHead
from nlptl.registry import MODES
from nlptl.runs.artifact import ALONE
from nlptl.runs.folder import buffered_log, join_processes, publish_run, run_folder
from nlptl.strategies.fine_tune import fine_tune, probe_first
from nlptl.strategies.job import Job, Trained, describe, encode_splits, fill_in, start_trackers, training_rows
from nlptl.strategies.saving import save_together
from nlptl.strategies.stages import (
    Features,
    fresh_classifier,
    refit_head,
    set_head,
    split_logits,
    start,
    store_of,
    train,
    train_again,
)
from nlptl.tasks import TaskSpec, joint_labels, load_task, task_names
from nlptl.training.examples.mixed import MixedExamples, shares_of
from nlptl.training.forward import features_of
from nlptl.training.loop import Evaluate
from nlptl.training.resume.states import Progress, StateFolder
from nlptl.training.timing import Clock

log = logging.getLogger("nlptl")
# No task's losses count this many times another's, however well it is solved already.
MOST = 10.0


def multi_task(
    config: RunConfig,
    given: Mapping[str, Any] | None = None,
    resume: bool = False,
    publish: Callable[[Path], object] | None = None,
) -> Path:
    """Train one classifier for several tasks and save it as one run.

    Args:
        config: `task` is `a+b+c`; `multi_task` says where each one's rows come from and how they are mixed.
        given: Python data by task, instead of `config.multi_task.sources`.
        resume: as in `fine_tune`.
        publish: as in `fine_tune`; also called for the runs of `multi_task.compare`.

    Returns:
        The run folder.

    Raises:
        NlptlError: the configuration, the data or the checkpoint cannot be used; nothing is left half-written.
    """
    clock = Clock()
    with buffered_log() as notes:
        tasks = [load_task(name, config.tasks_dir) for name in task_names(config.task)]
        given = given or {}
        _check(config, tasks, given)
        name = config.checkpoint or tasks[0].checkpoint
        checkpoint = resolve_checkpoint(name)
        config = fill_in(config.model_copy(update={"strategy": "fine_tune"}), name, checkpoint, {})
        noted = config.model_copy(update={"output": None})
        with clock.measure("data"):
            loaded = [load_splits(t, _data_of(config, t.name), config.seed, given.get(t.name)) for t in tasks]
        for splits in loaded:
            for warning in splits.audit.warnings:
                log.warning(f"{splits.task.name}: {warning}")
        runtime = join_processes(config)
        with run_folder(runtime, config, noted, resume, notes) as folder:
            if config.multi_task.compare:
                _train_alone(noted, tasks, given, folder, publish)
                runtime = join_processes(config)  # each training has an accelerator of its own
            jobs = [encode_splits(noted, splits.task, checkpoint, runtime, clock, splits) for splits in loaded]
            describe(*jobs)
            start_trackers(jobs[0], folder)
            together = Together(jobs)
            trained = _learn(together, StateFolder(folder / "state"))
        publish_run(runtime, folder, lambda: save_together(jobs, trained, together.rows("train"), folder), publish)
        return folder


class Together:
    """Several jobs on one classifier: whose columns are whose, and what they learn from together."""

    def __init__(self, jobs: list[Job]) -> None:
        self.jobs = jobs
        self.labels = joint_labels([job.task for job in jobs])
        edges = np.cumsum([0, *(len(job.task.label_list()) for job in jobs)])
        self.columns = [slice(int(a), int(b)) for a, b in pairwise(edges)]

    @property
    def lead(self) -> Job:
        """Any of them, for what they share."""
        return self.jobs[0]

    def rows(self, which: str, balance: list[float] | None = None) -> MixedExamples:
        """The rows of train, or of `both` train and validation.

        Args:
            which: train or both.
            balance: factor of each task's losses beside those of the configuration.
        """
        settings = self.lead.config.multi_task
        parts = [training_rows(job, which) for job in self.jobs]
        weights = [
            settings.weights.get(job.task.name, 1.0) * factor
            for job, factor in zip(self.jobs, balance or [1.0] * len(self.jobs), strict=True)
        ]
        return MixedExamples(parts, self.columns, weights, shares_of([len(part.targets) for part in parts], settings))

    def logits(self, model: Any, split: str) -> list[np.ndarray]:
        """(rows, C) of each task."""
        what, width = f"evaluating {split}", len(self.labels)
        return [
            split_logits(job, model, split, f"{what} of {job.task.name}", width)[:, columns]
            for job, columns in zip(self.jobs, self.columns, strict=True)
        ]

    def judge(self, classifier: Classifier) -> Evaluate:
        """Validation metrics: each task's primary one, and their mean, which decides."""

        def judge(model: Any) -> dict[str, float]:
            found = self.logits(model if self.lead.runtime.is_sharded else classifier, "validation")
            values = [
                quick_metrics(job.task, logits, job.targets["validation"])
                for job, logits in zip(self.jobs, found, strict=True)
            ]
            primary = {j.task.name: float(v[j.task.metric]) for j, v in zip(self.jobs, values, strict=True)}
            mean_loss = float(np.mean([v["loss"] for v in values]))
            return {"mean": float(np.mean(list(primary.values()))), "loss": mean_loss, **primary}

        return judge


@dataclass
class _Start:
    """A task's frozen features and the head fitted on them."""

    features: Features
    head: LinearHead | None


def _learn(together: Together, state: StateFolder) -> list[Trained]:
    """Probe each task, then (unless the encoder stays frozen) train from these heads; refit where asked."""
    lead, jobs = together.lead, together.jobs
    classifier = fresh_classifier(lead, together.labels)
    starts = [_Start(*probe_first(job, classifier)) for job in jobs]
    if not lead.mode.trains_encoder:
        return _finish_frozen(together, classifier, starts)
    start(lead, classifier, _joined(starts), lead.mode)
    balance = _balance(jobs, starts)
    progress = train(lead, classifier, together.rows("train", balance), state, together.judge(classifier), "mean")
    validation = together.logits(classifier, "validation")
    mode = lead.mode
    if lead.config.training.refit:
        log.info("Training again on train + validation together")
        classifier, mode = fresh_classifier(lead, together.labels), MODES.get(lead.config.mode)()
        start(lead, classifier, _joined(_refitted(jobs, starts)), mode)
        train_again(lead, classifier, together.rows("both", balance), state, progress, "mean")
    test = together.logits(classifier, "test")
    return [
        Trained(classifier, mode, v, t, progress, {"forgetting": _forgetting(progress, job.task.name), "balance": b})
        for job, v, t, b in zip(jobs, validation, test, balance, strict=True)
    ]


def _balance(jobs: list[Job], starts: list[_Start]) -> list[float]:
    """Factors, 1 on average, that make the tasks' losses on validation alike where training begins."""
    if not jobs[0].config.multi_task.balance or any(s.head is None for s in starts):
        return [1.0] * len(jobs)
    losses = np.array(
        [
            quick_metrics(job.task, s.head.logits(s.features["validation"]), job.targets["validation"])["loss"]
            for job, s in zip(jobs, starts, strict=True)
            if s.head is not None
        ]
    )
    factors = 1 / np.maximum(losses, losses.max() / MOST)
    balance = [float(factor) for factor in factors / factors.mean()]
    said = ", ".join(f"{job.task.name} {factor:.2f}" for job, factor in zip(jobs, balance, strict=True))
    log.info(f"Losses are multiplied by: {said}")
    return balance


def _finish_frozen(together: Together, classifier: Classifier, starts: list[_Start]) -> list[Trained]:
    lead, jobs = together.lead, together.jobs
    lead.mode.apply(classifier, lead.config.lora)
    validation = [s.head.logits(s.features["validation"]) for s in starts if s.head is not None]
    if lead.config.training.refit:
        starts = _refitted(jobs, starts)
    joined = _joined(starts)
    assert joined is not None  # a frozen encoder always has its heads fitted
    set_head(classifier, joined)
    trained = []
    for job, columns, logits in zip(jobs, together.columns, validation, strict=True):
        with lead.clock.measure("features"):
            test, _ = features_of(job.runtime, classifier, job.encoded["test"], job.pad_id, store_of(job))
        trained.append(Trained(classifier, lead.mode, logits, joined.logits(test)[:, columns], Progress(), {}))
    return trained


def _joined(starts: list[_Start]) -> LinearHead | None:
    """The tasks' heads as the rows of one."""
    heads = [s.head for s in starts if s.head is not None]
    if not heads:
        return None
    weight, bias = torch.cat([head.weight for head in heads]), torch.cat([head.bias for head in heads])
    return LinearHead(weight, bias, float("nan"))


def _refitted(jobs: list[Job], starts: list[_Start]) -> list[_Start]:
    return [
        s if s.head is None else _Start(s.features, refit_head(job, s.features, s.head))
        for job, s in zip(jobs, starts, strict=True)
    ]


def _forgetting(progress: Progress, task: str) -> float:
    """How far the kept state lies below the task's own best one on validation (Chaudhry et al. 2018)."""
    kept = next(e[task] for e in progress.epochs if e["epoch"] == progress.best_epoch)
    return float(max(e[task] for e in progress.epochs) - kept)


def _train_alone(
    config: RunConfig,
    tasks: list[TaskSpec],
    given: Mapping[str, Any],
    folder: Path,
    publish: Callable[[Path], object] | None,
) -> None:
    """A run for each task alone, with the same settings; those that are there already stay."""
    for task in tasks:
        home = folder / ALONE / task.name
        if (home / "manifest.json").exists():
            continue
        log.info(f"For comparison: {task.name} alone")
        alone = {
            "task": task.name,
            "data": _data_of(config, task.name),
            "output": str(home),
            "multi_task": MultiTaskConfig(),
        }
        fine_tune(config.model_copy(update=alone), given.get(task.name), publish=publish)


def _data_of(config: RunConfig, task: str) -> DataConfig:
    """The `data` section as one task sees it."""
    settings = config.multi_task
    label_map = settings.label_maps.get(task, config.data.label_map)
    return config.data.model_copy(update={"source": settings.sources.get(task), "label_map": label_map})


def _check(config: RunConfig, tasks: list[TaskSpec], given: Mapping[str, Any]) -> None:
    """Refuse settings that do not fit these tasks.

    Raises:
        ConfigError: names the setting and what to write instead.
    """
    names = [task.name for task in tasks]
    settings = config.multi_task
    if config.strategy not in (None, "fine_tune"):
        raise ConfigError(f"Several tasks are trained by fine_tune; strategy {config.strategy!r} takes one task.")
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
    for task in tasks:
        check_metrics(task)
