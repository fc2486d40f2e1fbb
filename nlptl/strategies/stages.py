"""Stages that the strategies share: a fresh classifier, frozen features, the probe on them, training, logits."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from nlptl import kernels
from nlptl.config.training import ResolvedTraining
from nlptl.evaluation.evaluator import quick_metrics
from nlptl.models.building import build_classifier
from nlptl.models.cached_features import NUMERICS, FeatureStore, drawn_weights
from nlptl.models.cached_heads import fit_cached
from nlptl.models.classifier import Classifier
from nlptl.models.encoder import compile_layers
from nlptl.models.linear_probe import LinearHead
from nlptl.models.modes import Mode, continue_adapter
from nlptl.objectives.classification import Classification, balanced_weights
from nlptl.runs.manifest import digests_of
from nlptl.storage.cache import Cache, open_cache
from nlptl.storage.identity import identity, versions
from nlptl.strategies.job import Job, TaskRows, tell_held
from nlptl.tasks import joint_labels
from nlptl.training.examples.labelled import Examples, LabelledExamples
from nlptl.training.forward import concatenate, features_of, logits_of
from nlptl.training.loop import Evaluate, fit
from nlptl.training.resume.states import Progress, StateFolder

log = logging.getLogger("nlptl")
Features = dict[str, np.ndarray]
"""Split -> (rows, H) float32."""


@dataclass(frozen=True)
class Probe:
    """A task's frozen features and the head fitted on them: where training starts, or ends if the encoder is frozen."""

    features: Features
    head: LinearHead


def fresh_classifier(job: Job) -> Classifier:
    """The checkpoint's encoder under a random head for the labels of all tasks, the same one each time."""
    torch.manual_seed(job.config.seed)
    several = len(job.parts) == 1 and job.part.several_labels
    labels = joint_labels([part.task for part in job.parts])
    model = job.config.model
    classifier = build_classifier(
        job.checkpoint.path, job.pooling, labels, several, model.dropout, model.weights == "random", job.window_pooling
    )
    if job.adapter is not None:
        continue_adapter(classifier, job.adapter)
    kernels.enable(classifier, job.kernels)
    return classifier.to(job.runtime.device)


def start(job: Job, classifier: Classifier, head: LinearHead | None, mode: Mode) -> None:
    """Give the head its start and the mode its say over what is trainable."""
    if head is not None:
        set_head(classifier, head)
    torch.manual_seed(job.config.seed)
    mode.apply(classifier, job.config.lora)
    kernels.enable(classifier, job.kernels)  # of adapters, if the mode added some
    if job.config.runtime.gradient_checkpointing:
        classifier.encoder.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    if job.config.runtime.compile:
        compile_layers(classifier)


def set_head(classifier: Classifier, head: LinearHead) -> None:
    """Copy a fitted head into the classifier."""
    with torch.no_grad():
        classifier.head.weight.copy_(head.weight)
        classifier.head.bias.copy_(head.bias)


def starts_from_probe(job: Job) -> bool:
    """Whether the head is fitted on frozen features before training, or instead of it."""
    return job.config.model.head_start == "probe" or not job.mode.trains_encoder


def _store_of(job: Job, classifier: Classifier) -> FeatureStore | None:
    """Where features of an encoder that has not learned are cached; None where the run caches none."""
    cache = _cache_of(job)
    return None if cache is None else FeatureStore(cache, _features_identity(job, classifier))


def _features_identity(job: Job, classifier: Classifier) -> str:
    """Digest of everything besides a text's tokens that decides its features."""
    return identity(
        numerics=NUMERICS,
        versions=versions(),
        checkpoint=job.checkpoint.revision,
        model=job.config.model.deciding("features"),
        runtime={**job.config.runtime.deciding("features"), "precision": job.runtime.precision},
        device=job.runtime.device.type,
        adapter=None if job.adapter is None else digests_of(job.adapter),
        drawn=drawn_weights(classifier, checkpoint_is_used=job.config.model.weights == "pretrained"),
    )


def _cache_of(job: Job) -> Cache | None:
    """Where features and heads are cached; None where the run caches none."""
    return open_cache(job.config.runtime.cache_limit) if job.config.probe.cache else None


def frozen_features(
    job: Job, classifier: Classifier, part: TaskRows, splits: Sequence[str] = ("train", "validation")
) -> Features:
    """(rows, H) of some splits under an encoder that has not learned, from the cache where it has them."""
    features = {}
    with job.clock.measure("features"):
        store = _store_of(job, classifier)
        for split in splits:
            features[split], computed = features_of(job.runtime, classifier, part.encoded[split], job.pad_id, store)
            known = len(part.encoded[split].offsets) - 1 - computed
            log.debug(f"Features of {split}: {computed} texts encoded, {known} from the cache")
    tell_held("features", *features.values())
    return features


def tuned_features(job: Job, classifier: Classifier) -> np.ndarray:
    """(rows, H) of train under an encoder that has learned, computed anew."""
    with job.clock.measure("features"):
        return features_of(job.runtime, classifier, job.encoded["train"], job.pad_id, None)[0]


def fit_head(job: Job, part: TaskRows, features: Features, path: list[float], finish: bool = True) -> LinearHead:
    """The linear probe of one task; validation chooses among several strengths.

    Args:
        job: the run.
        part: the task's rows.
        features: of train and validation.
        path: the inverse L2 strengths.
        finish: False where the chosen strength is only to be fitted again, on more rows.
    """
    task, targets = part.task, part.targets["validation"]
    held_out = (features["validation"], targets)
    # A label without training rows, such as out of scope, is wrong at any strength: its loss must not choose one.
    if targets.ndim == 1 and not (learned := np.isin(targets, part.targets["train"])).all():
        held_out = (held_out[0][learned], targets[learned])
    with job.clock.measure("head"):
        head = fit_cached(
            _cache_of(job),
            features["train"],
            part.targets["train"],
            len(task.label_list()),
            path,
            held_out,
            class_weights(job, part),
            finish=finish,
        )
    value = quick_metrics(task, head.logits(features["validation"]), part.targets["validation"])[task.metric]
    log.log(
        # Where the encoder learns as well, this is how things stand before training, which the loop says.
        logging.DEBUG if job.mode.trains_encoder else logging.INFO,
        f"Linear probe of {task.name}: {task.metric} {value:.4f} on validation "
        f"(regularisation C={head.regularisation:g})",
    )
    return head


def refit_head(job: Job, part: TaskRows, features: Features, head: LinearHead) -> LinearHead:
    """A head of the same strength on train and validation together."""
    together = [features["train"], features["validation"]]
    targets = np.concatenate([part.targets["train"], part.targets["validation"]])
    with job.clock.measure("head"):
        classes, weights = len(part.task.label_list()), class_weights(job, part)
        strength = [head.regularisation]
        return fit_cached(_cache_of(job), together, targets, classes, strength, None, weights, begin=head)


def class_weights(job: Job, part: TaskRows) -> torch.Tensor | None:
    """(C,) weights of a task's labels by their rows in train, where the run asks for them."""
    if job.config.training.class_weights == "none":
        return None
    return balanced_weights(part.targets["train"], len(part.task.label_list()))


def objective_of(job: Job, part: TaskRows) -> Classification:
    """The classification loss that the run asks for, weighted by the labels' rows in train where it does."""
    settings = job.config.training
    gamma = settings.focal_gamma if settings.loss == "focal" else 0.0
    return Classification(settings.label_smoothing, class_weights(job, part), gamma)


def labelled_examples(job: Job, part: TaskRows, which: str = "train") -> LabelledExamples:
    """The rows of train, or of `both` train and validation, with their loss."""
    encoded, targets = part.encoded["train"], part.targets["train"]
    if which == "both":
        encoded = concatenate(encoded, part.encoded["validation"])
        targets = np.concatenate([targets, part.targets["validation"]])
    # CUDA graphs want batches of as many tokens each, and packed ones have no padding to save.
    return LabelledExamples(
        encoded.at_most(job.config.model.max_windows),
        targets,
        job.pad_id,
        objective_of(job, part),
        by_length=not job.kernels.cuda_graphs,
        balanced=job.config.training.sampling == "balanced",
    )


def train(
    job: Job,
    model: Any,
    examples: Examples,
    state: StateFolder | None,
    judge: Evaluate | None,
    metric: str,
    seed: int | None = None,
    config: ResolvedTraining | None = None,
    on_step: Callable[[float], object] | None = None,
) -> Progress:
    """The one loop, its seconds noted without those of validation.

    Args:
        job: settings and runtime.
        model: trained in place.
        examples: what is learned from.
        state: where an unfinished training is kept.
        judge: validation metrics after each epoch; None: the last state is kept.
        metric: the one that decides.
        seed: of order and dropout; None: the run's.
        config: settings other than the run's.
        on_step: told before each step the share of all steps that lies behind.
    """
    with job.clock.measure("training"):
        return fit(
            job.runtime,
            model,
            examples,
            config or job.config.training,
            job.config.seed if seed is None else seed,
            judge,
            metric,
            state,
            on_step,
            sum(len(part.targets["validation"]) for part in job.parts),
        )


def train_again(
    job: Job,
    model: Any,
    examples: Examples,
    state: StateFolder,
    progress: Progress,
    metric: str,
    seed: int | None = None,
) -> None:
    """Train a fresh model as before, on examples that now hold validation's as well.

    It goes through all epochs, down to the schedule's end, where the rate is low: validation says whether training
    helps (else nothing is done here), but has no say in a training that it is part of.

    Args:
        job, model, examples, metric, seed: as `train`.
        state: the first training's; this one's lies inside.
        progress: of the first training.
    """
    if progress.best_epoch:
        train(job.remembering(progress), model, examples, StateFolder(state.folder / "refit"), None, metric, seed)


def judge_of(job: Job, classifier: Any) -> Evaluate:
    """What the loop asks after each epoch of a single task: its metrics on validation."""

    def judge(model: Any) -> dict[str, float]:
        logits = split_logits(job, model if job.runtime.is_sharded else classifier, "validation", "validating")
        return quick_metrics(job.task, logits, job.targets["validation"])

    return judge


def split_logits(job: Job, model: Any, split: str, what: str | None = None, part: TaskRows | None = None) -> np.ndarray:
    """(rows, C) of a split: the columns of one task.

    Args:
        job: the run.
        model: answers with the logits of all tasks.
        split: which rows.
        what: the progress bar's words.
        part: the task; None: the only one.
    """
    part = part or job.part
    width = job.parts[-1].columns.stop
    with job.clock.measure("evaluation"):
        logits = logits_of(job.runtime, model, part.encoded[split], job.pad_id, width, what or f"evaluating {split}")
    return logits[:, part.columns]
