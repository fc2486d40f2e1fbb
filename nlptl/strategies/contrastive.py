"""Few labels: contrast texts with their labels' prototypes, so that texts of one label move together.

As in SetFit (Tunstall et al. 2022) the encoder is tuned by contrast. SetFit draws pairs of texts and fits a head
afterwards; here each text meets one learned prototype per label, which contrasts it with every label at once, in memory
linear in the texts, and gives each row a loss of its own, whatever batch or process it is in. The prototypes then are
the head.
"""

from __future__ import annotations

import logging

import numpy as np
import torch

from nlptl.errors import ConfigError
from nlptl.models.classifier import Classifier
from nlptl.models.modes import Mode
from nlptl.models.prototypes import PrototypeModel
from nlptl.strategies.job import Answers, Job, Trained
from nlptl.strategies.stages import (
    fresh_classifier,
    frozen_features,
    judge_of,
    labelled_examples,
    set_head,
    split_logits,
    start,
    train,
    train_again,
    tuned_features,
)
from nlptl.training.resume.states import StateFolder

log = logging.getLogger("nlptl")


def learn(job: Job, state: StateFolder) -> Trained:
    """Tune the encoder; the tuned prototypes are the head.

    Raises:
        ConfigError: the task gives a text several labels at once; then there is nothing to contrast.
    """
    if job.part.several_labels:
        raise ConfigError(f"Strategy 'contrastive' needs one label per text; {job.task.name!r} is multi_label.")
    before = frozen_features(job, fresh_classifier(job), job.part)
    model, mode = _prepared(job, before["train"], job.targets["train"])
    metric = job.task.metric
    progress = train(job, model, labelled_examples(job, job.part), state, judge_of(job, model), metric)
    classifier = _finished(job, model)
    validation = split_logits(job, classifier, "validation")
    if job.config.training.refit:
        log.info("Training again on train + validation together")
        together = [np.concatenate([part["train"], part["validation"]]) for part in (before, job.targets)]
        model, mode = _prepared(job, *together)
        train_again(job, model, labelled_examples(job, job.part, "both"), state, progress, metric)
        classifier = _finished(job, model)
    return Trained(classifier, mode, [Answers(validation, split_logits(job, classifier, "test"))], progress)


def _prepared(job: Job, features: np.ndarray, targets: np.ndarray) -> tuple[PrototypeModel, Mode]:
    """The untouched encoder in its mode, with the prototypes of these rows."""
    classifier, mode = fresh_classifier(job), job.fresh_mode()
    start(job, classifier, None, mode)
    tensors = torch.from_numpy(features), torch.from_numpy(targets)
    model = PrototypeModel(classifier, *tensors, job.config.contrastive.temperature)
    return model.to(job.runtime.device), mode


def _finished(job: Job, model: PrototypeModel) -> Classifier:
    """The plain classifier, its head made of the prototypes at the training rows' mean length of features."""
    features = tuned_features(job, model.classifier)
    model.classifier.head.requires_grad_(True)
    set_head(model.classifier, model.as_head(float(np.linalg.norm(features, axis=1).mean())))
    return model.classifier
