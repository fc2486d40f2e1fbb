"""Choosing a baseline's features and setting: each combination is fitted on train and judged on validation."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from nlptl.baselines.bag_of_words import BagOfWords, TextVectors
from nlptl.baselines.models import Baseline, Setting
from nlptl.data.normalising.normaliser import NONE
from nlptl.evaluation.calibration import fit_temperature
from nlptl.evaluation.evaluator import quick_metrics
from nlptl.tasks import TaskSpec

Track = Callable[[Sequence[Any]], Iterable[Any]]


@dataclass(frozen=True)
class LabelledTexts:
    """Labelled texts: a frame and its targets, ids (N,) or 0/1 (N, C)."""

    frame: pd.DataFrame
    targets: np.ndarray


@dataclass(frozen=True)
class Chosen:
    """The best of a search, fitted on train alone."""

    model: BagOfWords
    features: str
    setting: Setting
    validation_logits: np.ndarray
    """(validation rows, C)"""
    tried: list[dict[str, Any]]
    """Every combination, with its metric and loss on validation."""


def choose(
    name: str,
    baseline: Baseline,
    task: TaskSpec,
    train: LabelledTexts,
    validation: LabelledTexts,
    features: Sequence[str],
    balanced: bool,
    seed: int,
    normaliser: str = NONE,
    track: Track = lambda combinations: combinations,
) -> Chosen:
    """Try every kind of features with every setting; the task's metric on validation decides, then the loss.

    Args:
        name: the baseline's name, noted in the model.
        baseline: how to fit, and the grid.
        task: labels and metric.
        train: what is learned from.
        validation: what decides, and what the temperature of each candidate is fitted on.
        features: kinds of features, keys of FEATURES.
        balanced: rows weigh in inverse proportion to their label's number.
        seed: of whatever is drawn.
        normaliser: the form in which texts are read.
        track: wraps the combinations for a progress bar.
    """
    best: Chosen | None = None
    tried: list[dict[str, Any]] = []
    vectors: dict[str, tuple[TextVectors, Any, Any]] = {}
    for kind, setting in track([(kind, setting) for kind in features for setting in baseline.grid]):
        if kind not in vectors:
            fitted = TextVectors.fit(train.frame, kind, normaliser)
            vectors = {kind: (fitted, fitted.transform(train.frame), fitted.transform(validation.frame))}
        terms, matrix, held_out = vectors[kind]
        # The vectors are sparse, so more threads gain nothing; they only wait for each other on a busy machine.
        with threadpool_limits(1, "blas"):
            scorer = baseline.fit(matrix, train.targets, len(task.label_list()), setting, balanced, seed)
        raw = scorer.logits(held_out)
        temperature = fit_temperature(raw, validation.targets)
        logits = raw / np.float32(temperature)
        metrics = quick_metrics(task, logits, validation.targets)
        tried.append({"features": kind, **setting, task.metric: metrics[task.metric], "loss": metrics["loss"]})
        if best is None or rank_of(tried[-1], task.metric) > rank_of(best.tried[0], task.metric):
            model = BagOfWords(terms, scorer, name, temperature)
            best = Chosen(model, kind, setting, logits, [tried[-1]])
    assert best is not None  # neither grid nor features are ever empty
    return replace(best, tried=tried)


def rank_of(report: Mapping[str, Any], metric: str) -> tuple[float, float]:
    """What makes one report on validation better than another: the metric, then the loss.

    Args:
        report: with the metric and `loss`.
        metric: may be undefined (NaN, or None as JSON has it) on a small split; any number is better.
    """
    value = report[metric]
    return (-np.inf if value is None or np.isnan(value) else value, -report["loss"])
