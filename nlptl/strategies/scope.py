"""What a finished model computes of rows for scorers of out of scope, and the scorer that is fitted on it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from nlptl.config.run import PROBABILITY
from nlptl.evaluation.out_of_scope.fitting import FittedScope, fit_scope
from nlptl.evaluation.out_of_scope.sampling import spread_sample
from nlptl.evaluation.out_of_scope.scorer import Rows
from nlptl.runs.artifact import Head
from nlptl.strategies.job import Answers, Job, Seen, TaskRows, Trained
from nlptl.strategies.stages import frozen_features
from nlptl.tasks import REJECTING
from nlptl.training.forward import features_of, outputs_of, subset

MOST_ROWS = 20_000
"""Training rows that scorers are fitted on at most; of more, a sample that holds each label's share."""


def with_seen(job: Job, trained: Trained) -> list[Answers]:
    """The answers of each task, with features where its decision needs them; every process has to call this.

    What it costs is one forward pass over the training rows (at most `MOST_ROWS`) and those of validation and test,
    which is noted under `time`; a frozen encoder's features are there already.
    """
    found = []
    for part, answers in zip(job.parts, trained.answers, strict=True):
        asked = _scorer_of(part) != PROBABILITY and job.config.strategy != "domain_adaptation"
        found.append(replace(answers, seen=_seen(job, trained, part)) if asked else answers)
    return found


def fitted_scope(part: TaskRows, answers: Answers, seed: int) -> FittedScope | None:
    """The scorer that the task's decision goes by, and its cut-off; None where it goes by the probability.

    Raises:
        ConfigError: the scorer that was asked for cannot be fitted on these rows.
    """
    seen = answers.seen
    if seen is None:
        return None
    labels, label = part.task.label_list(), part.task.decision.label
    outside = labels.index(label) if label in labels else None
    features = seen.features
    train = Rows(features.get("train"), seen.train_logits, part.targets["train"][seen.train], outside)
    validation = Rows(features.get("validation"), answers.validation, part.targets["validation"], outside)
    return fit_scope(part.task.decision.scorer, part.task.decision.keep, train, validation, seed)


def scope_of(answers: Answers, split: str, head: Head) -> np.ndarray | None:
    """(rows,) how far in scope a split is by the head's scorer; None where it has none.

    Args:
        answers: of the task.
        split: validation or test.
        head: of the task.
    """
    features = None if answers.seen is None else answers.seen.features.get(split)
    return head.scope(features, answers.test if split == "test" else answers.validation)


def _scorer_of(part: TaskRows) -> str:
    """The scorer that a task asks for, where its decision can come to use one."""
    decision = part.task.decision
    if decision.policy != REJECTING or decision.reject == "never":
        return PROBABILITY
    labels, label = part.task.label_list(), decision.label
    measurable = label in labels and bool((part.targets["validation"] == labels.index(label)).any())
    return decision.scorer if measurable or decision.reject == "always" else PROBABILITY


def _seen(job: Job, trained: Trained, part: TaskRows) -> Seen:
    rows = spread_sample(part.targets["train"], MOST_ROWS, job.config.seed)
    if not job.mode.trains_encoder:
        features = frozen_features(job, trained.classifier, part, ("train", "validation", "test"))
        features["train"] = features["train"][rows]
        weight, bias = (parameter.detach().cpu().numpy() for parameter in trained.classifier.head.parameters())
        return Seen(rows, (features["train"] @ weight.T + bias)[:, part.columns], features)
    with job.clock.measure("scope"):
        encoded, classifier = subset(part.encoded["train"], rows), trained.classifier
        of_train, logits = outputs_of(job.runtime, classifier, encoded, job.pad_id, "features of train")
        if job.config.training.refit:
            # The encoder that is kept has learned from validation: it lies nearer to these rows than to any new ones.
            return Seen(rows, logits[:, part.columns], {})
        splits = ("validation", "test")
        computed = {s: features_of(job.runtime, classifier, part.encoded[s], job.pad_id, None)[0] for s in splits}
        return Seen(rows, logits[:, part.columns], {"train": of_train, **computed})
