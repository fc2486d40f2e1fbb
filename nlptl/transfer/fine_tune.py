"""Inductive transfer: a checkpoint becomes a classifier for one task. The straight path of `nlptl train`."""

from __future__ import annotations

import logging
import logging.handlers
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from nlptl.artifacts import prepare_folder
from nlptl.checkpoints import resolve_checkpoint
from nlptl.config import RunConfig
from nlptl.data.loading import load_splits
from nlptl.evaluation.evaluator import check_metrics, quick_metrics
from nlptl.models.classifier import Classifier, build_classifier
from nlptl.models.features import FeatureStore
from nlptl.models.modes import MODES, Mode
from nlptl.models.probe import LinearHead, fit_probe
from nlptl.objectives.classification import balanced_weights
from nlptl.resources import cache_dir
from nlptl.tasks import load_task
from nlptl.training.checkpointing import Progress, StateFolder
from nlptl.training.forward import features_of, logits_of
from nlptl.training.loop import fit
from nlptl.training.rows import Rows
from nlptl.training.runtime import start_runtime
from nlptl.training.timing import Clock
from nlptl.transfer.folder import (
    agree_on_folder,
    describe,
    keep_log,
    noted_log,
    removed_if_nothing_was_learned,
    start_trackers,
)
from nlptl.transfer.job import Job, Trained, encode_splits, training_rows
from nlptl.transfer.saving import save_run

log = logging.getLogger("nlptl")


def fine_tune(
    config: RunConfig, given: Any = None, resume: bool = False, publish: Callable[[Path], object] | None = None
) -> Path:
    """Train a classifier and save it as a run.

    Args:
        config: what to train; unset settings take the task's and the mode's defaults.
        given: Python data instead of `config.data.source`.
        resume: go on with the newest unfinished run of these settings (an unfinished run in `config.output` is
            always taken up).
        publish: called once with the finished run folder, by the process that writes.

    Returns:
        The run folder.

    Raises:
        NlptlError: the configuration, the data or the checkpoint cannot be used; nothing is left half-written.
    """
    clock = Clock()
    with noted_log() as notes:
        task = load_task(config.task, config.tasks_dir)
        check_metrics(task)
        mode_class = MODES.get(config.mode)
        checkpoint = resolve_checkpoint(config.checkpoint or task.checkpoint)
        defaults = {"checkpoint": task.checkpoint, "model.pooling": checkpoint.pooling, **mode_class.defaults}
        if config.data.shots:  # few rows: those of validation are needed too
            defaults["training.refit"] = True
        config = config.filled(task.training_defaults(config.mode), defaults)
        noted = config.model_copy(update={"output": None})
        with clock.measure("data"):
            splits = load_splits(task, config.data, config.seed, given)
        for warning in splits.audit.warnings:
            log.warning(warning)
        runtime = start_runtime(
            config.runtime.precision,
            config.runtime.trackers,
            config.runtime.deterministic,
            config.runtime.progress,
        )
        folder = agree_on_folder(runtime, config, noted, resume)
        # From here on only the main process writes; a failure of its own stops it, and the launcher stops the others.
        taken_up = True
        if runtime.is_main:
            taken_up = prepare_folder(folder, noted)
            if taken_up:
                log.info(f"Going on with the unfinished run in {folder}")
            keep_log(notes, folder)
        runtime.barrier()
        with removed_if_nothing_was_learned(folder, taken_up):
            job = encode_splits(
                noted, task=splits.task, checkpoint=checkpoint, runtime=runtime, clock=clock, splits=splits
            )
            describe(job)
            start_trackers(job, folder)
            trained = _train(job, StateFolder(folder / "state"))
        if runtime.is_main:
            save_run(job, trained, folder)
            if publish is not None:
                publish(folder)
        runtime.barrier()
        if runtime.accelerator.trackers:
            runtime.accelerator.end_training()
        return folder


def _train(job: Job, state: StateFolder) -> Trained:
    """Probe, then (unless the encoder stays frozen) train from it; refit on all labelled rows where asked."""
    classifier = _fresh_classifier(job)
    head, features = None, {}
    if job.config.model.head_start == "probe" or not job.mode.trains_encoder:
        features = _features(job, classifier)
        probe = job.config.probe
        head = _probe(job, features, [probe.start] if job.mode.trains_encoder else probe.regularisation)
    if not job.mode.trains_encoder:
        assert head is not None
        return _finish_frozen(job, classifier, features, head)
    _start(job, classifier, head, job.mode)
    progress = _fit(job, classifier, training_rows(job, "train"), state, evaluate=True)
    validation = _logits(job, classifier, "validation")
    mode = job.mode
    if job.config.training.refit:
        log.info(f"Training again on train + validation together, for {progress.best_epoch} epochs")
        classifier, mode = _fresh_classifier(job), MODES.get(job.config.mode)()
        if head is not None:
            head = _refit_probe(job, features, head)
        _start(job, classifier, head, mode)
        if progress.best_epoch:
            _fit(job, classifier, training_rows(job, "both"), None, evaluate=False, stop_after=progress.best_epoch)
    notes = {"probe_regularisation": head.regularisation} if head else {}
    return Trained(classifier, mode, validation, _logits(job, classifier, "test"), progress, notes)


def _finish_frozen(job: Job, classifier: Classifier, features: dict[str, np.ndarray], head: LinearHead) -> Trained:
    job.mode.apply(classifier, job.config.lora)
    validation = head.logits(features["validation"])
    if job.config.training.refit:
        head = _refit_probe(job, features, head)
    _set_head(classifier, head)
    with job.clock.measure("features"):
        test, _ = features_of(job.runtime, classifier, job.encoded["test"], job.pad_id, _store(job))
    notes = {"probe_regularisation": head.regularisation}
    return Trained(classifier, job.mode, validation, head.logits(test), Progress(), notes)


def _fresh_classifier(job: Job) -> Classifier:
    torch.manual_seed(job.config.seed)
    several = job.task.kind == "multi_label"
    labels = job.task.label_list()
    dropout = job.config.model.dropout
    return build_classifier(job.checkpoint.path, job.pooling, labels, several, dropout).to(job.runtime.device)


def _start(job: Job, classifier: Classifier, head: LinearHead | None, mode: Mode) -> None:
    """Give the head its start and the mode its say over what is trainable."""
    if head is not None:
        _set_head(classifier, head)
    torch.manual_seed(job.config.seed)
    mode.apply(classifier, job.config.lora)
    if job.config.runtime.gradient_checkpointing:
        classifier.encoder.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})


def _set_head(classifier: Classifier, head: LinearHead) -> None:
    with torch.no_grad():
        classifier.head.weight.copy_(head.weight)
        classifier.head.bias.copy_(head.bias)


def _store(job: Job) -> FeatureStore | None:
    if not job.config.probe.cache:
        return None
    identity = f"{job.checkpoint.revision}/{job.checkpoint.path.name}/{job.pooling}/{job.runtime.precision}"
    return FeatureStore(
        cache_dir(), f"{identity}/{job.runtime.device.type}/{job.config.seed if job.pooling == 'cls' else ''}"
    )


def _features(job: Job, classifier: Classifier) -> dict[str, np.ndarray]:
    features = {}
    with job.clock.measure("features"):
        for split in ("train", "validation"):
            features[split], computed = features_of(
                job.runtime, classifier, job.encoded[split], job.pad_id, _store(job)
            )
            known = len(features[split]) - computed
            log.info(f"Features of {split}: {computed} texts encoded, {known} from the cache")
    return features


def _probe(job: Job, features: dict[str, np.ndarray], path: list[float]) -> LinearHead:
    with job.clock.measure("head"):
        head = fit_probe(
            features["train"],
            job.targets["train"],
            len(job.task.label_list()),
            path,
            (features["validation"], job.targets["validation"]),
            _class_weights(job),
        )
    accuracy = quick_metrics(job.task, head.logits(features["validation"]), job.targets["validation"])[job.task.metric]
    log.info(f"Linear probe: {job.task.metric} {accuracy:.4f} on validation (regularisation C={head.regularisation:g})")
    return head


def _refit_probe(job: Job, features: dict[str, np.ndarray], head: LinearHead) -> LinearHead:
    together = np.concatenate([features["train"], features["validation"]])
    targets = np.concatenate([job.targets["train"], job.targets["validation"]])
    with job.clock.measure("head"):
        return fit_probe(
            together, targets, len(job.task.label_list()), [head.regularisation], None, _class_weights(job)
        )


def _fit(
    job: Job,
    classifier: Classifier,
    rows: Rows,
    state: StateFolder | None,
    evaluate: bool,
    stop_after: int | None = None,
) -> Progress:
    training = job.config.training

    def judge(model: Any) -> dict[str, float]:
        with job.clock.measure("evaluation"):
            logits = logits_of(
                job.runtime,
                model if job.runtime.is_sharded else classifier,
                job.encoded["validation"],
                job.pad_id,
                len(job.task.label_list()),
                "validating",
            )
        return quick_metrics(job.task, logits, job.targets["validation"])

    before = job.clock.seconds.get("evaluation", 0.0)
    with job.clock.measure("training"):
        progress = fit(
            job.runtime,
            classifier,
            rows,
            training,
            job.config.seed,
            judge if evaluate else None,
            job.task.metric,
            state,
            stop_after,
        )
    job.clock.seconds["training"] -= job.clock.seconds.get("evaluation", 0.0) - before
    return progress


def _class_weights(job: Job) -> torch.Tensor | None:
    if job.config.training.class_weights == "none":
        return None
    return balanced_weights(job.targets["train"], len(job.task.label_list()))


def _logits(job: Job, classifier: Classifier, split: str) -> np.ndarray:
    with job.clock.measure("evaluation"):
        return logits_of(
            job.runtime, classifier, job.encoded[split], job.pad_id, len(job.task.label_list()), f"evaluating {split}"
        )
