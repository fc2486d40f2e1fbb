"""Few labels: contrast texts with their labels' prototypes, so that texts of one label move together, then fit a head.

As in SetFit (Tunstall et al. 2022) the encoder is tuned by contrast first and classifies afterwards. SetFit draws
pairs of texts; here each text meets one learned prototype per label, which contrasts it with every label at once, in
memory linear in the texts, and gives each row a loss of its own, whatever batch or process it is in.
"""

from __future__ import annotations

import logging

import numpy as np
import torch

from nlptl.errors import ConfigError
from nlptl.evaluation.evaluator import quick_metrics
from nlptl.models.classifier import Classifier
from nlptl.models.modes import MODES, Mode
from nlptl.models.probe import LinearHead
from nlptl.models.prototypes import PrototypeModel
from nlptl.training.checkpointing import StateFolder
from nlptl.transfer.job import Job, Trained, training_rows
from nlptl.transfer.steps import (
    Features,
    fit_head,
    fresh_classifier,
    frozen_features,
    judge_of,
    refit_head,
    set_head,
    split_logits,
    start,
    train,
    train_again,
    tuned_features,
)

log = logging.getLogger("nlptl")


def learn(job: Job, state: StateFolder) -> Trained:
    """Tune the encoder, then let validation choose the head: the prototypes themselves, or a probe on new features.

    Raises:
        ConfigError: the task gives a text several labels at once; then there is nothing to contrast.
    """
    if job.task.kind == "multi_label":
        raise ConfigError(f"Strategy 'contrastive' needs one label per text; {job.task.name!r} is multi_label.")
    before = frozen_features(job, fresh_classifier(job))
    model, mode = _prepared(job, before["train"], job.targets["train"])
    progress = train(job, model, training_rows(job, "train"), state, judge_of(job, model))
    features = tuned_features(job, model.classifier)
    head, probed = _choose_head(job, model, features)
    classifier = _finished(model, head)
    validation = split_logits(job, classifier, "validation")
    if job.config.training.refit:
        log.info("Training again on train + validation together")
        together = [np.concatenate([part["train"], part["validation"]]) for part in (before, job.targets)]
        model, mode = _prepared(job, *together)
        train_again(job, model, training_rows(job, "both"), state, progress)
        features = tuned_features(job, model.classifier)
        head = refit_head(job, features, head) if probed else model.as_head(_length(features))
        classifier = _finished(model, head)
    notes = {"head": "probe" if probed else "prototypes"}
    return Trained(classifier, mode, validation, split_logits(job, classifier, "test"), progress, notes)


def _prepared(job: Job, features: np.ndarray, targets: np.ndarray) -> tuple[PrototypeModel, Mode]:
    """The untouched encoder in its mode, with the prototypes of these rows."""
    classifier, mode = fresh_classifier(job), MODES.get(job.config.mode)()
    start(job, classifier, None, mode)
    tensors = torch.from_numpy(features), torch.from_numpy(targets)
    model = PrototypeModel(classifier, *tensors, job.config.contrastive.temperature)
    return model.to(job.runtime.device), mode


def _choose_head(job: Job, model: PrototypeModel, features: Features) -> tuple[LinearHead, bool]:
    """The better head on validation, and whether it is the probe."""
    probe, prototypes = fit_head(job, features, job.config.probe.regularisation), model.as_head(_length(features))
    reached = [
        quick_metrics(job.task, head.logits(features["validation"]), job.targets["validation"])[job.task.metric]
        for head in (probe, prototypes)
    ]
    log.info(f"Prototypes as head: {job.task.metric} {reached[1]:.4f} on validation")
    return (probe, True) if reached[0] > reached[1] else (prototypes, False)


def _length(features: Features) -> float:
    """Mean norm of the training rows' features."""
    return float(np.linalg.norm(features["train"], axis=1).mean())


def _finished(model: PrototypeModel, head: LinearHead) -> Classifier:
    """The plain classifier with its head."""
    model.classifier.head.requires_grad_(True)
    set_head(model.classifier, head)
    return model.classifier
