"""Steps that the strategies share: a fresh classifier, frozen features, the probe on them, training, logits."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from nlptl.config.training import ResolvedTraining
from nlptl.evaluation.evaluator import quick_metrics
from nlptl.models.cached_features import FeatureStore
from nlptl.models.cached_heads import fit_cached
from nlptl.models.classifier import Classifier, build_classifier
from nlptl.models.encoder import compile_layers
from nlptl.models.linear_probe import LinearHead
from nlptl.models.modes import Mode
from nlptl.storage.paths import cache_dir
from nlptl.strategies.job import Job, class_weights
from nlptl.training.examples.labelled import Examples
from nlptl.training.forward import features_of, logits_of
from nlptl.training.loop import Evaluate, fit
from nlptl.training.resume.states import Progress, StateFolder

log = logging.getLogger("nlptl")
Features = dict[str, np.ndarray]


def fresh_classifier(job: Job, labels: list[str] | None = None) -> Classifier:
    """The checkpoint's encoder under a random head, the same one each time.

    Args:
        job: checkpoint, pooling, dropout, seed, packing.
        labels: of the head; None: the task's.
    """
    torch.manual_seed(job.config.seed)
    several = job.task.kind == "multi_label" and labels is None
    labels = labels or job.task.label_list()
    model = job.config.model
    classifier = build_classifier(
        job.checkpoint.path, job.pooling, labels, several, model.dropout, model.weights == "random"
    )
    if job.packs:
        classifier.pack()
    classifier.records = job.records
    return classifier.to(job.runtime.device)


def start(job: Job, classifier: Classifier, head: LinearHead | None, mode: Mode) -> None:
    """Give the head its start and the mode its say over what is trainable."""
    if head is not None:
        set_head(classifier, head)
    torch.manual_seed(job.config.seed)
    mode.apply(classifier, job.config.lora)
    if job.config.runtime.gradient_checkpointing:
        classifier.encoder.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    if job.config.runtime.compile:
        compile_layers(classifier)


def set_head(classifier: Classifier, head: LinearHead) -> None:
    """Copy a fitted head into the classifier."""
    with torch.no_grad():
        classifier.head.weight.copy_(head.weight)
        classifier.head.bias.copy_(head.bias)


def store_of(job: Job) -> FeatureStore | None:
    """Where features of the untouched encoder are kept; None where the run keeps none."""
    if not job.config.probe.cache:
        return None
    identity = f"{job.checkpoint.revision}/{job.checkpoint.path.name}/{job.pooling}/{job.runtime.precision}"
    return FeatureStore(
        cache_dir(), f"{identity}/{job.runtime.device.type}/{job.config.seed if job.pooling == 'cls' else ''}"
    )


def frozen_features(job: Job, classifier: Classifier, splits: Sequence[str] = ("train", "validation")) -> Features:
    """(rows, H) of some splits under the untouched encoder, from the store where it has them."""
    features = {}
    with job.clock.measure("features"):
        for split in splits:
            features[split], computed = features_of(
                job.runtime, classifier, job.encoded[split], job.pad_id, store_of(job)
            )
            known = len(features[split]) - computed
            log.info(f"Features of {split}: {computed} texts encoded, {known} from the cache")
    return features


def tuned_features(job: Job, classifier: Classifier) -> np.ndarray:
    """(rows, H) of train under an encoder that has learned, computed anew."""
    with job.clock.measure("features"):
        return features_of(job.runtime, classifier, job.encoded["train"], job.pad_id, None)[0]


def fit_head(job: Job, features: Features, path: list[float], finish: bool = True) -> LinearHead:
    """The linear probe; validation chooses among several strengths.

    Args:
        job: the run.
        features: of train and validation.
        path: the strengths.
        finish: False where the chosen strength is only to be fitted again, on more rows.
    """
    with job.clock.measure("head"):
        head = fit_cached(
            _heads_of(job),
            features["train"],
            job.targets["train"],
            len(job.task.label_list()),
            path,
            (features["validation"], job.targets["validation"]),
            class_weights(job),
            finish=finish,
        )
    value = quick_metrics(job.task, head.logits(features["validation"]), job.targets["validation"])[job.task.metric]
    log.info(
        f"Linear probe of {job.task.name}: {job.task.metric} {value:.4f} on validation "
        f"(regularisation C={head.regularisation:g})"
    )
    return head


def refit_head(job: Job, features: Features, head: LinearHead) -> LinearHead:
    """A head of the same strength on train and validation together."""
    together = np.concatenate([features["train"], features["validation"]])
    targets = np.concatenate([job.targets["train"], job.targets["validation"]])
    with job.clock.measure("head"):
        classes, weights = len(job.task.label_list()), class_weights(job)
        strength = [head.regularisation]
        return fit_cached(_heads_of(job), together, targets, classes, strength, None, weights, begin=head)


def _heads_of(job: Job) -> Path | None:
    """Where fitted heads are kept; None where the run keeps nothing."""
    return cache_dir() if job.config.probe.cache else None


def train(
    job: Job,
    model: Any,
    rows: Examples,
    state: StateFolder | None,
    judge: Evaluate | None,
    metric: str | None = None,
    seed: int | None = None,
    config: ResolvedTraining | None = None,
    on_step: Callable[[float], object] | None = None,
) -> Progress:
    """The one loop, its seconds noted without those of validation.

    Args:
        job: settings and runtime.
        model: trained in place.
        rows: what is learned from.
        state: where an unfinished training is kept.
        judge: validation metrics after each epoch; None: the last state is kept.
        metric: the one that decides; None: the task's.
        seed: of order and dropout; None: the run's.
        config: settings other than the run's.
        on_step: told before each step the share of all steps that lies behind.
    """
    before = job.clock.seconds.get("evaluation", 0.0)
    with job.clock.measure("training"):
        progress = fit(
            job.runtime,
            model,
            rows,
            config or job.config.training,
            job.config.seed if seed is None else seed,
            judge,
            metric or job.task.metric,
            state,
            on_step,
        )
    job.clock.seconds["training"] -= job.clock.seconds.get("evaluation", 0.0) - before
    return progress


def train_again(
    job: Job,
    model: Any,
    rows: Examples,
    state: StateFolder,
    progress: Progress,
    metric: str | None = None,
    seed: int | None = None,
) -> None:
    """Train a fresh model as before, on rows that now hold validation's as well.

    It goes through all epochs, down to the schedule's end, where the rate is low: validation says whether training
    helps (else nothing is done here), but has no say in a training that it is part of.

    Args:
        job, model, rows, metric, seed: as `train`.
        state: the first training's; this one's lies inside.
        progress: of the first training.
    """
    if progress.best_epoch:
        train(job.remembering(progress), model, rows, StateFolder(state.folder / "refit"), None, metric, seed)


def judge_of(job: Job, classifier: Any) -> Evaluate:
    """What the loop asks after each epoch: the task's metrics on validation."""

    def judge(model: Any) -> dict[str, float]:
        logits = split_logits(job, model if job.runtime.is_sharded else classifier, "validation", "validating")
        return quick_metrics(job.task, logits, job.targets["validation"])

    return judge


def split_logits(job: Job, model: Any, split: str, what: str | None = None, width: int | None = None) -> np.ndarray:
    """(rows, C) of a split; `width` instead of the task's C for a head that serves several tasks."""
    columns = width or len(job.task.label_list())
    with job.clock.measure("evaluation"):
        return logits_of(job.runtime, model, job.encoded[split], job.pad_id, columns, what or f"evaluating {split}")
