"""What a finished model computes of rows for scorers of out of scope, and the scorer that is fitted on it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from nlptl.config.run import AUTO, PROBABILITY
from nlptl.evaluation.decisions.out_of_scope import OutOfScope
from nlptl.evaluation.out_of_scope.fitting import FittedScope, check_fit, cut_again, fit_scope
from nlptl.evaluation.out_of_scope.sampling import spread_sample
from nlptl.evaluation.out_of_scope.scorer import Rows, kept_scorer, read_scorer
from nlptl.runs.answers import SplitAnswers
from nlptl.storage.json_files import read_json
from nlptl.strategies.job import Answers, Job, Seen, TaskRows, Trained
from nlptl.strategies.stages import frozen_features
from nlptl.tasks import TaskSpec
from nlptl.training.forward import features_of, outputs_of, subset

MOST_ROWS = 20_000
"""Training rows that scorers are fitted on at most; of more, a sample that holds each label's share."""


def check_scorers(job: Job) -> None:
    """Refuse, before anything is trained, a scorer that could not be fitted afterwards.

    Raises:
        ConfigError: it reads features that a refit spoils, or rows that training lacks.
    """
    for part in job.parts:
        asked, targets = _asked(part.task, part.targets["validation"]), part.targets["train"]
        if asked not in (AUTO, PROBABILITY):
            nothing = np.empty((len(targets), 0), np.float32)
            spoilt = job.mode.trains_encoder and job.config.training.refit
            check_fit(asked, Rows(None if spoilt else nothing, nothing, targets, _outside(part.task)))


def with_seen(job: Job, trained: Trained) -> list[Answers]:
    """The answers of each task, with features where its decision needs them; every process has to call this.

    What it costs is one forward pass over the training rows (at most `MOST_ROWS`) and those of validation and test,
    which is noted under `time`; a frozen encoder's features are there already.
    """
    found, one_domain = [], job.config.strategy != "domain_adaptation"
    for part, answers in zip(job.parts, trained.answers, strict=True):
        asked = one_domain and _asked(part.task, part.targets["validation"]) != PROBABILITY
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
    outside, features = _outside(part.task), seen.features
    train = Rows(features.get("train"), seen.train_logits, part.targets["train"][seen.train], outside)
    validation = Rows(features.get("validation"), answers.validation, part.targets["validation"], outside)
    return fit_scope(part.task.decision.scorer, part.task.decision.keep, train, validation, seed)


def scope_again(
    task: TaskSpec, home: Path, answers: dict[str, SplitAnswers], seed: int
) -> tuple[FittedScope | None, dict[str, SplitAnswers]]:
    """The scorer that a finished run is to decide by, and its answers with that scorer's scores.

    The run's own scorer is cut anew. Another one can be had if it reads logits alone: those the run has kept.

    Args:
        task: as it is to decide.
        home: where the task's own files lie.
        answers: of validation and test.
        seed: of the run.

    Raises:
        ConfigError: the scorer reads features, and is not the run's own.
    """
    validation = answers["validation"]
    asked, outside = _asked(task, validation.targets), _outside(task)
    if asked == PROBABILITY:
        return None, answers
    rows = Rows(None, validation.logits, validation.targets, outside)
    own = kept_scorer(home)
    if own is not None and validation.scope is not None and asked in (AUTO, own):
        noted = read_json(home / "decision.json")
        choice = noted.get("choice", {}) if noted.get("scorer") == own else {}
        return cut_again(read_scorer(home, own), validation.scope, task.decision.keep, rows, seed, choice), answers
    none = Rows(None, validation.logits[:0], validation.targets[:0], outside)  # training rows are not kept
    fitted = fit_scope(asked, task.decision.keep, none, rows, seed)
    if fitted is None:
        return None, answers
    scored = {
        split: SplitAnswers(a.logits, a.targets, fitted.scorer.scores(None, a.logits)) for split, a in answers.items()
    }
    return fitted, scored


def _outside(task: TaskSpec) -> int | None:
    labels, label = task.label_list(), task.decision.label
    return labels.index(label) if label in labels else None


def _asked(task: TaskSpec, targets: np.ndarray) -> str:
    """The scorer that a task asks for, where its decision can come to use one.

    Args:
        task: labels and settings.
        targets: (N,) of validation.
    """
    decision, outside = task.decision, _outside(task)
    if decision.policy != OutOfScope.policy or decision.reject == "never":
        return PROBABILITY
    measurable = outside is not None and bool((targets == outside).any())
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
