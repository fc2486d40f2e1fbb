"""Inductive transfer: a checkpoint becomes a classifier for one task. The straight path of `nlptl train`."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

from nlptl.checkpoints import resolve_checkpoint
from nlptl.config.run import RunConfig
from nlptl.data.domains import load_domains
from nlptl.evaluation.evaluator import check_metrics
from nlptl.models.classifier import Classifier
from nlptl.models.linear_probe import LinearHead
from nlptl.registry import MODES, STRATEGIES
from nlptl.runs.folder import (
    buffered_log,
    finished_before,
    join_processes,
    publish_run,
    run_folder,
)
from nlptl.storage.paths import user_path
from nlptl.strategies.job import Job, Trained, describe, encode_splits, fill_in, start_trackers, training_rows
from nlptl.strategies.saving import save_run
from nlptl.strategies.stages import (
    Features,
    fit_head,
    fresh_classifier,
    frozen_features,
    judge_of,
    refit_head,
    set_head,
    split_logits,
    start,
    store_of,
    train,
    train_again,
)
from nlptl.tasks import load_task
from nlptl.training.forward import features_of
from nlptl.training.resume.states import Progress, StateFolder
from nlptl.training.timing import Clock

log = logging.getLogger("nlptl")


def fine_tune(
    config: RunConfig, given: Any = None, resume: bool = False, publish: Callable[[Path], object] | None = None
) -> Path:
    """Train a classifier for one task, by the strategy of the configuration, and save it as a run.

    Args:
        config: what to train; unset settings take the task's, the strategy's and the mode's defaults.
        given: Python data instead of `config.data.source`.
        resume: go on with the newest unfinished run of these settings (an unfinished run in `config.output` is
            always taken up). A run in `config.output` that has just been finished stays as it is.
        publish: called once with the finished run folder, by the process that writes.

    Returns:
        The run folder.

    Raises:
        NlptlError: the configuration, the data or the checkpoint cannot be used; nothing is left half-written.
    """
    clock = Clock()
    with buffered_log() as notes:
        task = load_task(config.task, config.tasks_dir)
        check_metrics(task)
        checkpoint = resolve_checkpoint(config.checkpoint or task.checkpoint)
        resolved = fill_in(config, task.checkpoint, checkpoint, task.training_defaults(config.mode), task.kind)
        noted = resolved.model_copy(update={"output": None})
        with clock.measure("data"):
            splits = load_domains(task, config.data, config.seed, given)
        for warning in splits.audit.warnings:
            log.warning(warning)
        runtime = join_processes(resolved)
        if resume and config.output and finished_before(runtime, user_path(config.output), noted):
            folder = user_path(config.output)
            publish_run(runtime, folder, StateFolder(folder / "state").remove, publish)
            return folder
        with run_folder(runtime, config, noted, resume, notes) as folder:
            job = encode_splits(
                noted, task=splits.task, checkpoint=checkpoint, runtime=runtime, clock=clock, splits=splits
            )
            describe(job)
            start_trackers(job, folder)
            trained = STRATEGIES.get(resolved.strategy).load()(job, StateFolder(folder / "state"))
        publish_run(runtime, folder, lambda: save_run(job, trained, folder), publish)
        return folder


def learn(job: Job, state: StateFolder) -> Trained:
    """Probe, then (unless the encoder stays frozen) train from it; refit on all labelled rows where asked."""
    classifier = fresh_classifier(job)
    features, head = probe_first(job, classifier)
    if not job.mode.trains_encoder:
        assert head is not None
        return _finish_frozen(job, classifier, features, head)
    start(job, classifier, head, job.mode)
    progress = train(job, classifier, training_rows(job, "train"), state, judge_of(job, classifier))
    validation = split_logits(job, classifier, "validation")
    mode = job.mode
    if job.config.training.refit:
        log.info("Training again on train + validation together")
        classifier, mode = fresh_classifier(job), MODES.get(job.config.mode)()
        if head is not None:
            head = refit_head(job, features, head)
        start(job, classifier, head, mode)
        train_again(job, classifier, training_rows(job, "both"), state, progress)
    notes = {"probe_regularisation": head.regularisation} if head else {}
    return Trained(classifier, mode, validation, split_logits(job, classifier, "test"), progress, notes)


def probe_first(job: Job, classifier: Classifier) -> tuple[Features, LinearHead | None]:
    """Frozen features and the head that training starts from, or ends with where the encoder stays frozen."""
    if job.config.model.head_start != "probe" and job.mode.trains_encoder:
        return {}, None
    features = frozen_features(job, classifier)
    probe = job.config.probe
    if job.mode.trains_encoder:
        return features, fit_head(job, features, [probe.start])
    return features, fit_head(job, features, probe.regularisation, finish=not job.config.training.refit)


def _finish_frozen(job: Job, classifier: Classifier, features: Features, head: LinearHead) -> Trained:
    job.mode.apply(classifier, job.config.lora)
    validation = head.logits(features["validation"])
    if job.config.training.refit:
        head = refit_head(job, features, head)
    set_head(classifier, head)
    with job.clock.measure("features"):
        test, _ = features_of(job.runtime, classifier, job.encoded["test"], job.pad_id, store_of(job))
    notes = {"probe_regularisation": head.regularisation}
    return Trained(classifier, job.mode, validation, head.logits(test), Progress(), notes)
