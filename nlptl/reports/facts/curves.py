"""Curves of a split, thinned: precision and recall, ROC, reliability, and the counts behind every threshold."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nlptl.evaluation.calibration.measures import calibration_measures, reliability
from nlptl.evaluation.intervals import Interval, of_share

MOST_POINTS = 400
"""Of a curve, and cuts of a threshold: as many as can be told apart on a screen."""


@dataclass(frozen=True)
class Cuts:
    """What each threshold on a label's probability gives, from the highest threshold down; K thresholds."""

    thresholds: np.ndarray
    """(K,) rows whose probability is at least this are flagged."""
    hits: np.ndarray
    """(K,) flagged rows that have the label."""
    alarms: np.ndarray
    """(K,) flagged rows that have not."""
    positives: int
    negatives: int
    thinned_from: int
    """Different thresholds that the rows have."""

    @property
    def precision(self) -> np.ndarray:
        """(K,)"""
        return np.asarray(self.hits / np.maximum(self.hits + self.alarms, 1))

    @property
    def recall(self) -> np.ndarray:
        """(K,)"""
        return np.asarray(self.hits / max(self.positives, 1))

    @property
    def false_positive_rate(self) -> np.ndarray:
        """(K,)"""
        return np.asarray(self.alarms / max(self.negatives, 1))


def cuts_of(scores: np.ndarray, wanted: np.ndarray, kept: float | None = None) -> Cuts:
    """The thresholds of a split and what they give; exact at each, of more than `MOST_POINTS` evenly spread ones.

    Args:
        scores: (N,) probabilities of the label.
        wanted: (N,) bool, the rows that have it.
        kept: a threshold that must be among them, such as the one that was fitted.
    """
    order = np.argsort(-scores, kind="stable")
    ordered, right = scores[order], wanted[order]
    last = np.flatnonzero(np.append(ordered[1:] != ordered[:-1], True)) if len(ordered) else np.zeros(0, np.int64)
    hits = right.cumsum()
    ends = _thinned(last, hits)
    thresholds = ordered[ends].astype(np.float64)
    found = np.stack([thresholds, hits[ends], ends + 1 - hits[ends]])
    extra = [[1.1, 0.0, 0.0]]  # nothing is flagged
    if kept is not None and kept <= 1:
        flagged = ordered >= np.float32(kept)
        extra.append([kept, float((flagged & right).sum()), float((flagged & ~right).sum())])
    found = np.concatenate([np.array(extra).T, found], axis=1)
    found = found[:, np.lexsort((found[1] + found[2], -found[0]))]
    positives = int(wanted.sum())
    return Cuts(found[0], found[1].astype(int), found[2].astype(int), positives, len(scores) - positives, len(last))


def _thinned(ends: np.ndarray, hits: np.ndarray) -> np.ndarray:
    """At most `MOST_POINTS` of the places where a score ends: half evenly over rows, half over rows with the label."""
    if len(ends) <= MOST_POINTS:
        return ends
    by_row = np.linspace(0, len(ends) - 1, MOST_POINTS // 2).round().astype(int)
    by_hit = np.searchsorted(hits[ends], np.linspace(0, hits[-1], MOST_POINTS // 2))
    return np.asarray(ends[np.unique(np.concatenate([by_row, by_hit.clip(0, len(ends) - 1)]))])


@dataclass(frozen=True)
class Reliability:
    """How often the answers of like probability are right; groups of as many rows each."""

    said: list[float]
    """Mean probability of each group."""
    right: list[float]
    """Share that is right."""
    intervals: list[Interval | None]
    """Of that share."""
    error: float
    """Expected calibration error: mean distance between the two, to which few rows add by chance."""
    debiased: float
    """Root mean square distance, less what chance alone puts into it."""


def reliability_of(probabilities: np.ndarray, targets: np.ndarray) -> Reliability:
    """The groups that `nlptl.evaluation.calibration.measures` makes, with intervals.

    Args:
        probabilities: (N, C).
        targets: (N,) label ids, or (N, C) 0/1, where every label of every row is a case of its own.
    """
    bins, measures = reliability(probabilities, targets), calibration_measures(probabilities, targets)
    return Reliability(
        [each.confidence for each in bins],
        [each.share_right for each in bins],
        [of_share(each.share_right * each.rows, each.rows) for each in bins],
        measures["ece"],
        measures["ece_debiased"],
    )
