"""How far a number of a test split may lie from that of all such texts: 95 % intervals over the test rows.

Shares, such as accuracy, have Wilson's interval (Wilson 1927). Other metrics are computed again on rows drawn with
replacement (the bootstrap, Efron 1979; percentiles). Rows are drawn by the kind of row that a metric tells apart: the
cells of a confusion matrix, or scores and their gold labels. That is the same as drawing rows one by one, and as quick
for a million rows as for a thousand. None of it says anything of other seeds, or of texts of another kind.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from nlptl.evaluation.metrics import PRECISION_FLOOR
from nlptl.evaluation.probabilities import LEAST_PROBABILITY

DRAWS = 1000
MOST_SCORES = 1000
"""Different scores that are told apart; more are joined with their neighbours, which moves an interval by little."""
MOST_GROUPS = 2000
"""Groups of rows that are drawn for several labels at once; of fewer rows each is a group."""
NORMAL = 1.959963984540054
"""The 97.5 % quantile of the normal distribution."""


class Interval(NamedTuple):
    """A 95 % confidence interval."""

    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.low:.3f} to {self.high:.3f}"


def of_share(count: float, rows: float) -> Interval | None:
    """Wilson's interval of a share; None without rows.

    Args:
        count: rows that have it.
        rows: all rows.
    """
    if rows <= 0:
        return None
    share, squared = count / rows, NORMAL**2
    centre = (share + squared / (2 * rows)) / (1 + squared / rows)
    half = NORMAL / (1 + squared / rows) * math.sqrt(share * (1 - share) / rows + squared / (4 * rows**2))
    return Interval(max(centre - half, 0.0), min(centre + half, 1.0))


def of_mean(values: np.ndarray) -> Interval | None:
    """Normal approximation of the interval of a mean; None for fewer than two values, or all the same."""
    if len(values) < 2 or np.ptp(values) == 0:
        return None
    half = NORMAL * float(values.std(ddof=1)) / math.sqrt(len(values))
    return Interval(float(values.mean()) - half, float(values.mean()) + half)


def of_draws(values: np.ndarray) -> Interval | None:
    """The middle 95 % of a metric's values over draws; None where it is the same in each, which shows no spread."""
    known = values[np.isfinite(values)]
    if not len(known) or np.ptp(known) <= 1e-12:
        return None
    low, high = np.percentile(known, [2.5, 97.5])
    return Interval(float(low), float(high))


def metric_intervals(
    probabilities: np.ndarray, targets: np.ndarray, positive: int | None, seed: int = 0
) -> dict[str, Interval | None]:
    """Intervals of the metrics that nlptl brings, by name; other packages' metrics have none.

    Args:
        probabilities: (N, C).
        targets: (N,) ids, or (N, C) 0/1.
        positive: id of the positive label; metrics on its scores need it.
        seed: of the draws.
    """
    if not len(targets):
        return {}
    found: dict[str, Interval | None] = {"loss": of_mean(_row_losses(probabilities, targets))}
    if targets.ndim == 2:
        found |= _several_label_intervals(probabilities >= 0.5, targets > 0.5, seed)
    else:
        labels = probabilities.shape[1]
        matrix = np.zeros((labels, labels), np.int64)
        np.add.at(matrix, (targets, probabilities.argmax(1)), 1)
        found |= matrix_intervals(matrix, seed)[0]
    if positive is not None:
        wanted = targets[:, positive] > 0.5 if targets.ndim == 2 else targets == positive
        found |= score_intervals(probabilities[:, positive], wanted, seed)
    return found


def matrix_intervals(
    matrix: np.ndarray, seed: int = 0
) -> tuple[dict[str, Interval | None], list[dict[str, Interval | None]]]:
    """Intervals of what a confusion matrix tells.

    Args:
        matrix: (C, C) counts; rows: gold, columns: predicted.
        seed: of the draws.

    Returns:
        Those of accuracy, macro_f1 and micro_f1; and for each label those of precision, recall and f1.
    """
    rows, right = int(matrix.sum()), np.diag(matrix)
    accuracy = of_share(int(right.sum()), rows)
    if not rows:
        return {"accuracy": None, "macro_f1": None, "micro_f1": None}, []
    gold, predicted = np.nonzero(matrix)
    draws = np.random.default_rng(seed).multinomial(rows, matrix[gold, predicted] / rows, size=DRAWS)
    labels = len(matrix)
    hits, golds, answers = (np.zeros((DRAWS, labels)) for _ in range(3))
    for place, (row, column) in enumerate(zip(gold, predicted, strict=True)):
        golds[:, row] += draws[:, place]
        answers[:, column] += draws[:, place]
        if row == column:
            hits[:, row] += draws[:, place]
    f1 = _f1(hits, golds, answers)
    summary = {"accuracy": accuracy, "macro_f1": of_draws(_macro(f1, golds + answers)), "micro_f1": accuracy}
    each = [
        {
            "precision": of_share(right[i], matrix[:, i].sum()),
            "recall": of_share(right[i], matrix[i].sum()),
            "f1": of_draws(f1[:, i]),
        }
        for i in range(labels)
    ]
    return summary, each


def score_intervals(scores: np.ndarray, wanted: np.ndarray, seed: int = 0) -> dict[str, Interval | None]:
    """Intervals of average_precision, roc_auc and recall_at_precision.

    Args:
        scores: (N,) probabilities of the positive label.
        wanted: (N,) bool, where it is right.
        seed: of the draws.
    """
    names = ("average_precision", "roc_auc", "recall_at_precision")
    if wanted.all() or not wanted.any():
        return dict.fromkeys(names)
    with_it, without = _by_score(scores, wanted)
    cells = np.concatenate([with_it, without])
    draws = np.random.default_rng(seed).multinomial(len(scores), cells / cells.sum(), size=DRAWS).astype(np.float64)
    hit, miss = np.split(draws, 2, axis=1)
    hits, answers = hit.cumsum(1), draws[:, : len(with_it)].cumsum(1) + miss.cumsum(1)
    positives, negatives = hits[:, -1], miss.sum(1)
    with np.errstate(invalid="ignore", divide="ignore"):
        precision = np.where(answers > 0, hits / answers, 0.0)
        average = (hit * precision).sum(1) / positives
        area = (miss * (hits - hit / 2)).sum(1) / (positives * negatives)
        reached = np.where((precision >= PRECISION_FLOOR) & (answers > 0), hits, 0.0).max(1) / positives
    return dict(zip(names, map(of_draws, (average, area, reached)), strict=True))


def _by_score(scores: np.ndarray, wanted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows with the label and without it, for each different score, highest first."""
    different, place = np.unique(-scores, return_inverse=True)
    groups = len(different)
    if groups > MOST_SCORES:  # neighbours joined: as many rows in each group, and ties stay together
        count = np.bincount(place).cumsum()
        coarse = np.minimum((count - 1) * MOST_SCORES // len(scores), MOST_SCORES - 1)
        place, groups = coarse[place], MOST_SCORES
    with_it = np.bincount(place[wanted], minlength=groups)
    return with_it, np.bincount(place, minlength=groups) - with_it


def _several_label_intervals(predicted: np.ndarray, wanted: np.ndarray, seed: int) -> dict[str, Interval | None]:
    """As `matrix_intervals`, for several labels at once; of many rows, groups drawn at random are drawn again."""
    rows = len(wanted)
    random = np.random.default_rng(seed)
    groups = min(rows, MOST_GROUPS)
    place = random.permutation(rows) % groups
    sums: list[Any] = []
    for part in (predicted & wanted, wanted, predicted):
        table = np.zeros((groups, wanted.shape[1]))
        np.add.at(table, place, part)
        sums.append(table)
    drawn = random.multinomial(groups, np.full(groups, 1 / groups), size=DRAWS).astype(np.float64)
    hits, golds, answers = (drawn @ table for table in sums)
    both = golds.sum(1) + answers.sum(1)
    micro = np.divide(2 * hits.sum(1), both, out=np.zeros(DRAWS), where=both > 0)
    macro = _f1(hits, golds, answers).mean(1)
    right = int((predicted == wanted).all(1).sum())
    return {"accuracy": of_share(right, rows), "macro_f1": of_draws(macro), "micro_f1": of_draws(micro)}


def _f1(hits: np.ndarray, golds: np.ndarray, answers: np.ndarray) -> np.ndarray:
    both = golds + answers
    return np.divide(2 * hits, both, out=np.zeros_like(hits), where=both > 0)


def _macro(f1: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """Mean over the labels that occur in a draw."""
    return np.asarray(f1.sum(1) / np.maximum((seen > 0).sum(1), 1))


def _row_losses(probabilities: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """(N,) negative log-likelihood of each row, summed over labels where there are several."""
    if targets.ndim == 2:
        given = np.where(targets > 0.5, probabilities, 1.0 - probabilities)
        return np.asarray(-np.log(given.clip(LEAST_PROBABILITY, 1.0)).sum(1))
    given = probabilities[np.arange(len(targets)), targets]
    return np.asarray(-np.log(given.clip(LEAST_PROBABILITY, 1.0)))
