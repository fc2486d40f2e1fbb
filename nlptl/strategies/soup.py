"""Model soup: several trainings from one start, and the average of their weights (Wortsman et al. 2022)."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
import torch

from nlptl.evaluation.evaluator import quick_metrics
from nlptl.models.classifier import Classifier
from nlptl.models.encoder import put_weights, trainable_weights
from nlptl.models.linear_probe import LinearHead
from nlptl.models.modes import Mode
from nlptl.strategies.fine_tune import fit_probes, joint_head, refit_probes
from nlptl.strategies.job import Answers, Job, Trained
from nlptl.strategies.stages import (
    fresh_classifier,
    judge_of,
    labelled_examples,
    split_logits,
    start,
    starts_from_probe,
    train,
    train_again,
)
from nlptl.training.resume.states import Progress, StateFolder, Weights

log = logging.getLogger("nlptl")


def learn(job: Job, state: StateFolder) -> Trained:
    """Train `soup.members` times from the same checkpoint and probe, then average what helps on validation.

    Members differ in the order of rows and in dropout. Their best states on validation are kept beside the training
    state, so that a stopped run goes on with the member it was at.
    """
    seeds = [job.config.seed + i for i in range(job.config.soup.members)]
    probes = fit_probes(job, fresh_classifier(job)) if starts_from_probe(job) else []
    head = joint_head(probes)
    members, runs = [], []
    for number, seed in enumerate(seeds, 1):
        log.info(f"Soup: member {number} of {len(seeds)}, seed {seed}")
        weights, progress = train_member(job, head, state, seed)
        members.append(weights)
        runs.append(progress)
    classifier, mode = started(job, head)
    chosen, notes = _compose(job, classifier, members)
    validation = split_logits(job, classifier, "validation")
    if job.config.training.refit:
        log.info("Training the soup's members again on train + validation together")
        head = joint_head(refit_probes(job, probes))
        members = [
            _again(job, head, StateFolder(state.folder / f"member-{seeds[i]}"), runs[i], seeds[i]) for i in chosen
        ]
        classifier, mode = started(job, head)
        put_weights(classifier, average(members))
    if head is not None:
        notes["probe_regularisation"] = head.regularisation
    best = runs[chosen[0]]
    answers = Answers(validation, split_logits(job, classifier, "test"), notes)
    return Trained(classifier, mode, [answers], best)


def average(members: list[Weights]) -> Weights:
    """The mean of each tensor."""
    return {name: torch.stack([weights[name] for weights in members]).mean(0) for name in members[0]}


def started(job: Job, head: LinearHead | None) -> tuple[Classifier, Mode]:
    """A fresh classifier with its head, in its mode."""
    classifier, mode = fresh_classifier(job), job.fresh_mode()
    start(job, classifier, head, mode)
    return classifier, mode


def train_member(job: Job, head: LinearHead | None, state: StateFolder, seed: int) -> tuple[Weights, Progress]:
    """One training's best weights; from the run folder where it was finished before."""
    finished = StateFolder(state.folder / f"finished-{seed}")
    before = finished.load_finished()
    job.runtime.barrier()  # before anybody writes there
    if before is not None:
        return before
    classifier, _ = started(job, head)
    ongoing, rows = StateFolder(state.folder / f"member-{seed}"), labelled_examples(job, job.part)
    progress = train(job, classifier, rows, ongoing, judge_of(job, classifier), job.task.metric, seed)
    weights = trainable_weights(classifier)
    if job.runtime.is_main:
        finished.save_finished(weights, progress)
        ongoing.remove()
    job.runtime.barrier()
    return weights, progress


def _again(job: Job, head: LinearHead | None, state: StateFolder, progress: Progress, seed: int) -> Weights:
    classifier, _ = started(job, head)
    train_again(job, classifier, labelled_examples(job, job.part, "both"), state, progress, job.task.metric, seed)
    return trainable_weights(classifier)


def _compose(job: Job, classifier: Classifier, members: list[Weights]) -> tuple[list[int], dict[str, Any]]:
    """Put the soup into the classifier.

    Returns:
        Which members are in it, the best first; and every candidate's validation metric.
    """
    alone = [_value(job, classifier, weights) for weights in members]
    order = [int(i) for i in np.argsort([-v for v in alone], kind="stable")]
    uniform = _value(job, classifier, average(members))
    chosen, reached = [order[0]], alone[order[0]]
    for i in order[1:]:
        with_it = _value(job, classifier, average([members[k] for k in (*chosen, i)]))
        if with_it >= reached:
            chosen, reached = [*chosen, i], with_it
    metric = job.task.metric
    log.info(
        f"Soup: members {', '.join(f'{v:.4f}' for v in alone)}; uniform {uniform:.4f}; greedy {reached:.4f} "
        f"of {len(chosen)} ({metric} on validation)"
    )
    notes = {"soup": {"members": alone, "uniform": uniform, "greedy": reached, "greedy_members": chosen}}
    if job.config.soup.recipe == "uniform":
        chosen = order
    put_weights(classifier, average([members[i] for i in chosen]))
    return chosen, notes


def _value(job: Job, classifier: Classifier, weights: Weights) -> float:
    put_weights(classifier, weights)
    logits = split_logits(job, classifier, "validation")
    return quick_metrics(job.task, logits, job.targets["validation"])[job.task.metric]
