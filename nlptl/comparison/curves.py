"""Learning curves with bands that hold for other seeds and for other test rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nlptl.evaluation.evaluator import compute_metric
from nlptl.evaluation.probabilities import probabilities_of
from nlptl.runs.answers import SplitAnswers

REPLICATES = 400
SLOW_REPLICATES = 200
"""Of metrics that are computed anew for each resample; means over rows are not."""
BLOCK = 50
"""Resamples at once, so that memory stays small with many test rows."""
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Point:
    """A method at a size: the mean over seeds of a metric on test, and how far it may be off."""

    size: str
    rows: float
    """Labelled rows."""
    values: tuple[float, ...]
    """One per seed."""
    replicates: np.ndarray
    """(B,) what the mean might have been with other seeds and other test rows."""

    @property
    def mean(self) -> float:
        """Over the seeds."""
        return float(np.mean(self.values))

    @property
    def standard_error(self) -> float:
        """Of the mean."""
        return float(np.std(self.replicates))

    @property
    def band(self) -> tuple[float, float]:
        """The interval that holds the mean over all seeds and rows with 95 % confidence; the metric's range is kept."""
        tail = (1 - CONFIDENCE) / 2
        low, high = np.quantile(self.replicates, [tail, 1 - tail])
        return max(0.0, float(low)), min(1.0, float(high))

    def noted(self) -> dict[str, Any]:
        """What `comparison.json` says of it."""
        low, high = self.band
        return {
            "size": self.size,
            "rows": self.rows,
            "mean": self.mean,
            "low": low,
            "high": high,
            "standard_error": self.standard_error,
            "values": list(self.values),
        }


def point(
    size: str, rows: float, metric: str, right: np.ndarray, answers: Sequence[SplitAnswers], positive: int | None = None
) -> Point:
    """The point of a curve from the answers of each seed, with a band over seeds and test rows.

    All seeds answer the same test rows, so that an odd row is odd for each of them. So rows are drawn with replacement
    once for all seeds, and seeds with replacement on their own (the pigeonhole bootstrap, Owen 2007). The seeds'
    deviations are stretched to what Student's t asks for, since three seeds say little of their spread.

    Args:
        size: its name.
        rows: labelled rows.
        metric: of METRICS.
        right: (seeds, rows) whether each test row is answered right.
        answers: of each seed, on these rows.
        positive: id of the positive label.
    """
    drawing = 0 if size == "all" else int(size)
    if metric == "accuracy":
        resampled = np.concatenate([right @ block.T for block in row_draws(right.shape[1], REPLICATES)], 1)
        return Point(size, rows, tuple(map(float, right.mean(1))), over_seeds(resampled, drawing))
    values = tuple(_metric(metric, each, None, positive) for each in answers)
    picks = [
        np.repeat(np.arange(len(shares)), np.rint(shares * len(shares)).astype(int))
        for block in row_draws(right.shape[1], SLOW_REPLICATES)
        for shares in block
    ]
    resampled = np.array([[_metric(metric, each, pick, positive) for pick in picks] for each in answers])
    return Point(size, rows, values, over_seeds(resampled, drawing))


def row_draws(rows: int, count: int, seed: int = 0) -> Iterator[np.ndarray]:
    """Blocks of (draws, rows): how much each row weighs in each resample; the same for every method and size."""
    rng = np.random.default_rng([seed, rows])
    shares = np.full(rows, 1 / rows)
    for start in range(0, count, BLOCK):
        yield rng.multinomial(rows, shares, size=min(BLOCK, count - start)) / rows


def over_seeds(resampled: np.ndarray, seed: int = 0) -> np.ndarray:
    """Means over resampled seeds, which deviate from the mean as far as few seeds make it necessary.

    Args:
        resampled: (seeds, B) a metric of each seed on each resample of the rows.
        seed: of the draws.

    Returns:
        (B,)
    """
    seeds, count = resampled.shape
    mean = resampled.mean(0)
    if seeds < 2:
        return np.asarray(mean)
    picks = np.random.default_rng([seed, seeds]).integers(0, seeds, (seeds, count))
    deviation = np.take_along_axis(resampled, picks, 0).mean(0) - mean
    return np.asarray(mean + _stretch(seeds) * deviation)


def _stretch(seeds: int) -> float:
    """The bootstrap of n values has (n - 1) / n of their variance; and Student's t is wider than the normal."""
    from scipy.stats import norm, t

    tail = (1 - CONFIDENCE) / 2
    return float(np.sqrt(seeds / (seeds - 1)) * t.isf(tail, seeds - 1) / norm.isf(tail))


def _metric(metric: str, answers: SplitAnswers, rows: np.ndarray | None, positive: int | None) -> float:
    logits, targets = (
        (answers.logits, answers.targets) if rows is None else (answers.logits[rows], answers.targets[rows])
    )
    several = targets.ndim == 2
    scores = probabilities_of(logits, several)
    predicted = (scores >= 0.5).astype(np.float32) if several else scores.argmax(1)
    return compute_metric(metric, predicted, scores, targets, positive)


def curves_noted(curves: Mapping[str, Sequence[Point]]) -> list[dict[str, Any]]:
    """Every point of every curve, as `comparison.json` says it."""
    return [{"method": method, **each.noted()} for method, points in curves.items() for each in points]
