"""Inductive transfer by fine-tuning: a probe on frozen features, then training from it, for one task or several.

Several tasks (Caruana 1997) learn in mixed batches on one encoder, with a head for each.
"""

from __future__ import annotations

import logging
from typing import Any

import torch

from nlptl.models.classifier import Classifier
from nlptl.models.linear_probe import LinearHead
from nlptl.strategies import multi_task
from nlptl.strategies.continued import KEEP, kept_head
from nlptl.strategies.job import Answers, Job, TaskRows, Trained
from nlptl.strategies.stages import (
    Probe,
    fit_head,
    fresh_classifier,
    frozen_features,
    judge_of,
    labelled_examples,
    refit_head,
    set_head,
    split_logits,
    start,
    starts_from_probe,
    train,
    train_again,
)
from nlptl.training.examples.labelled import LabelledExamples
from nlptl.training.examples.mixed import MixedExamples
from nlptl.training.resume.states import StateFolder

log = logging.getLogger("nlptl")


def learn(job: Job, state: StateFolder) -> Trained:
    """Fit a probe for each task, then (unless the encoder stays frozen) train from it; refit where asked."""
    classifier = fresh_classifier(job)
    probes = fit_probes(job, classifier) if starts_from_probe(job) else []
    if not job.mode.trains_encoder:
        return _frozen(job, classifier, probes)
    start(job, classifier, starting_head(job, classifier, probes), job.mode)
    balance = multi_task.balance(job, probes)
    several = len(job.parts) > 1
    judge = multi_task.judge_of(job, classifier) if several else judge_of(job, classifier)
    metric = multi_task.MEAN if several else job.task.metric
    progress = train(job, classifier, examples_of(job, "train", balance), state, judge, metric)
    validation = [split_logits(job, classifier, "validation", part=part) for part in job.parts]
    mode = job.mode
    if job.config.training.refit:
        log.info("Training again on train + validation together")
        classifier, mode = fresh_classifier(job), job.fresh_mode()
        probes = refit_probes(job, probes)
        start(job, classifier, starting_head(job, classifier, probes), mode)
        train_again(job, classifier, examples_of(job, "both", balance), state, progress, metric)
    answers = [
        Answers(rows, split_logits(job, classifier, "test", part=part), _notes(probes, number))
        for number, (part, rows) in enumerate(zip(job.parts, validation, strict=True))
    ]
    if several:
        answers = multi_task.with_notes(job, answers, progress, balance)
    return Trained(classifier, mode, answers, progress)


def examples_of(job: Job, which: str, balance: list[float]) -> LabelledExamples | MixedExamples:
    """The rows of train, or of `both` train and validation; those of several tasks in mixed batches.

    Args:
        job: the run.
        which: train or both.
        balance: of several tasks, the factor of each one's losses beside that of the configuration.
    """
    examples = [labelled_examples(job, part, which) for part in job.parts]
    return multi_task.mixed(job, examples, balance) if len(job.parts) > 1 else examples[0]


def fit_probes(job: Job, classifier: Classifier) -> list[Probe]:
    """A probe for each task on the features of the untouched encoder."""
    settings, probes = job.config.probe, []
    for part in job.parts:
        features = frozen_features(job, classifier, part)
        if job.mode.trains_encoder:
            head = fit_head(job, part, features, [settings.start])
        else:
            head = fit_head(job, part, features, settings.regularisation, finish=not job.config.training.refit)
        probes.append(Probe(features, head))
    return probes


def refit_probes(job: Job, probes: list[Probe]) -> list[Probe]:
    """Probes of the same strengths on train and validation together."""
    return [
        Probe(probe.features, refit_head(job, part, probe.features, probe.head))
        for part, probe in zip(job.parts, probes, strict=bool(probes))
    ]


def starting_head(job: Job, classifier: Classifier, probes: list[Probe]) -> LinearHead | None:
    """The head that training begins with; None: the classifier's own, from noise."""
    return kept_head(job, classifier) if job.config.model.head_start == KEEP else joint_head(probes)


def joint_head(probes: list[Probe]) -> LinearHead | None:
    """The tasks' heads as the rows of one; None without probes."""
    if not probes:
        return None
    weight = torch.cat([probe.head.weight for probe in probes])
    bias = torch.cat([probe.head.bias for probe in probes])
    return LinearHead(weight, bias, probes[0].head.regularisation)


def frozen_answers(job: Job, classifier: Classifier, part: TaskRows, head: LinearHead, split: str) -> Any:
    """(rows, C) logits of a head on frozen features of a split."""
    return head.logits(frozen_features(job, classifier, part, (split,))[split])


def _frozen(job: Job, classifier: Classifier, probes: list[Probe]) -> Trained:
    """The encoder stays as it is; the probes are the heads."""
    job.mode.apply(classifier, job.config.lora)
    validation = [probe.head.logits(probe.features["validation"]) for probe in probes]
    if job.config.training.refit:
        probes = refit_probes(job, probes)
    joint = joint_head(probes)
    if joint is not None:
        set_head(classifier, joint)
    answers = [
        Answers(rows, frozen_answers(job, classifier, part, probe.head, "test"), _notes(probes, number))
        for number, (part, probe, rows) in enumerate(zip(job.parts, probes, validation, strict=True))
    ]
    return Trained(classifier, job.mode, answers)


def _notes(probes: list[Probe], number: int) -> dict[str, Any]:
    return {"probe_regularisation": probes[number].head.regularisation} if probes else {}
