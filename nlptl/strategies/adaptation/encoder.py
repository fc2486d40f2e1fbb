"""Domain adaptation while the encoder learns (modes full and lora)."""

from __future__ import annotations

import logging
from dataclasses import replace

import numpy as np

from nlptl.data.tokens.encoding import collate
from nlptl.evaluation.probabilities import probabilities_of
from nlptl.models.aligned import AlignedClassifier
from nlptl.models.classifier import Classifier
from nlptl.models.modes import Mode
from nlptl.objectives.alignment import confident_rows
from nlptl.strategies.adaptation.alignments import ALIGNMENTS, pseudo_label_shares
from nlptl.strategies.fine_tune import fit_probes, joint_head
from nlptl.strategies.job import Answers, Job, Trained
from nlptl.strategies.stages import (
    fresh_classifier,
    judge_of,
    labelled_examples,
    objective_of,
    split_logits,
    start,
    starts_from_probe,
    train,
)
from nlptl.training.examples.paired import PairedExamples
from nlptl.training.forward import concatenate, subset
from nlptl.training.resume.states import Progress, StateFolder

log = logging.getLogger("nlptl")
ROUNDS = 2


def align_encoder(job: Job, state: StateFolder, method: str) -> Trained:
    """Classification on the source and alignment with the target in each step; coral, mmd or dann.

    The epoch is chosen on the source's validation split.
    """
    alignment = ALIGNMENTS[method]
    classifier, mode = _started(job)
    most = job.config.model.max_windows
    both = concatenate(*(job.encoded[split].at_most(most) for split in ("train", "target")))
    weight = job.config.adaptation.weight
    rows = PairedExamples(
        inputs=lambda numbers, device: collate(both, numbers, job.pad_id, device, packed=classifier.packs),
        lengths=both.lengths,
        targets=job.targets["train"],
        objective=objective_of(job, job.part),
        weight=alignment.weight if weight is None else weight,
        distance=alignment.distance,
        counts=both.counts_of(np.arange(len(both))),
    )
    model = AlignedClassifier(classifier, alignment.distance is None, classifier.head.in_features)
    progress = train(job, model, rows, state, judge_of(job, classifier), job.task.metric, on_step=rows.note)
    return _finished(job, classifier, mode, progress)


def self_train_encoder(job: Job, state: StateFolder, first: Trained) -> Trained:
    """Predict the target, believe the surest rows of each label, learn from them and the source; again, with more.

    Each round starts afresh from the checkpoint, so that an early mistake is not kept in the weights.

    Args:
        job: the run.
        state: each round has a folder of its own inside.
        first: its predictions are the first to be pseudo_labelled.
    """
    classifier, trained = first.classifier, first
    labels = len(job.task.label_list())
    priors = np.bincount(job.targets["train"], minlength=labels) / len(job.targets["train"])
    for number, share in enumerate(pseudo_label_shares(job.config.adaptation, ROUNDS), 1):
        probabilities = probabilities_of(split_logits(job, classifier, "target"), False)
        pseudo_labelled = confident_rows(probabilities, share, priors)
        log.info(
            f"Self-training, round {number}: {len(pseudo_labelled)} of {len(probabilities)} target rows pseudo_labelled"
        )
        rows = labelled_examples(job, job.part)
        encoded = concatenate(
            rows.encoded, subset(job.encoded["target"], pseudo_labelled).at_most(job.config.model.max_windows)
        )
        targets = np.concatenate([rows.targets, probabilities[pseudo_labelled].argmax(1)])
        classifier, mode = _started(job)
        rows = replace(rows, encoded=encoded, targets=targets)
        progress = train(
            job, classifier, rows, StateFolder(state.folder / f"{number}"), judge_of(job, classifier), job.task.metric
        )
        trained = _finished(job, classifier, mode, progress)
    return trained


def _started(job: Job) -> tuple[Classifier, Mode]:
    """The checkpoint's encoder in the run's mode, its head fitted on the source's frozen features."""
    classifier, mode = fresh_classifier(job), job.fresh_mode()
    probes = fit_probes(job, classifier) if starts_from_probe(job) else []
    start(job, classifier, joint_head(probes), mode)
    return classifier, mode


def _finished(job: Job, classifier: Classifier, mode: Mode, progress: Progress) -> Trained:
    validation, test = (split_logits(job, classifier, split) for split in ("validation", "test"))
    return Trained(classifier, mode, [Answers(validation, test)], progress)
