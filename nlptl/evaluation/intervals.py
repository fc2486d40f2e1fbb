"""How far a number of a test split may lie from that of all such texts: 95 % intervals over the test rows.

Shares, such as accuracy, have Wilson's interval (Wilson 1927); F1 is computed again on rows drawn with replacement (the
bootstrap, Efron 1979; percentiles). Rows are drawn by the cells of the confusion matrix: that is the same as drawing
them one by one, and as quick for a million rows as for a thousand. Near 1, where scores that separate well lie, the
bootstrap is far too sure of itself: with few positive rows, draws show no mistake where the next rows will. So ROC AUC
has Newcombe's interval (2006, method 5), average precision that of a share of the positive rows (Boyd, Eng & Page
2013), and a mean loss, whose few large values count most, Hall's (1992). None of them says anything of other seeds, or
of other kinds of text.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from nlptl.evaluation.probabilities import LEAST_PROBABILITY

DRAWS = 1000
MOST_GROUPS = 2000
"""Groups of rows that are drawn for several labels at once; of fewer rows each is a group."""
FEWEST_PER_LABEL = 5
"""Rows per label, on average, from which on macro F1 has an interval: with fewer it lies far off, and draws do too."""
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
    """Hall's interval of a mean, for values of which few are large; None for fewer than two, or all the same.

    The normal interval after a transformation that takes the skewness out (Hall 1992).
    """
    if len(values) < 2 or np.ptp(values) == 0:
        return None
    mean, spread, rows = float(values.mean()), float(values.std(ddof=1)), len(values)
    skewness = float((((values - mean) / values.std()) ** 3).mean())
    if abs(skewness) < 1e-6:
        half = NORMAL * spread / math.sqrt(rows)
        return Interval(mean - half, mean + half)

    def back(quantile: float) -> float:
        inside = 1 + skewness * (quantile / math.sqrt(rows) - skewness / (6 * rows))
        return float(3 / skewness * (np.cbrt(inside) - 1))

    return Interval(mean - spread * back(NORMAL), mean - spread * back(-NORMAL))


def of_area(area: float, positives: int, negatives: int) -> Interval | None:
    """Newcombe's interval of the area under the ROC curve (2006, method 5); None where one side has no row.

    It holds the areas from which the one that was found lies no further than chance brings it, by the spread that rows
    of exponential scores would have; so it has a width where every positive row lies above every other one, too.

    Args:
        area: between 0 and 1.
        positives, negatives: rows of either side.
    """
    from scipy.optimize import brentq

    if not positives or not negatives:
        return None
    more = (positives + negatives) / 2 - 1

    def beyond(true: float) -> float:
        spread = true * (1 - true) * (1 + more * ((1 - true) / (2 - true) + true / (1 + true)))
        return (area - true) ** 2 - NORMAL**2 * spread / (positives * negatives)

    low = float(brentq(beyond, 0.0, area)) if area > 0 and beyond(0.0) > 0 > beyond(area) else 0.0
    high = float(brentq(beyond, area, 1.0)) if area < 1 and beyond(1.0) > 0 > beyond(area) else 1.0
    if area >= 1:
        low = float(brentq(beyond, 1e-9, 1 - 1e-9))
    if area <= 0:
        high = float(brentq(beyond, 1e-9, 1 - 1e-9))
    return Interval(low, high)


def of_average_precision(value: float, positives: int) -> Interval | None:
    """Wilson's interval as of a share of the positive rows (Boyd, Eng & Page 2013: binomial); None without such rows.

    Args:
        value: between 0 and 1.
        positives: rows that have the label; how far it may be off is decided by them.
    """
    return of_share(value * positives, positives)


def of_draws(values: np.ndarray, measured: float) -> Interval | None:
    """The middle 95 % of a metric's values over draws; None where it is the same in each, which shows no spread.

    Draws of few rows lose labels, and a metric with them: so far as their mean lies beside what was measured, they are
    moved back.

    Args:
        values: of the draws.
        measured: the metric on the rows themselves.
    """
    known = values[np.isfinite(values)]
    if not len(known) or np.ptp(known) <= 1e-12:
        return None
    low, high = np.percentile(known, [2.5, 97.5]) + (measured - known.mean())
    return Interval(max(float(low), 0.0), min(float(high), 1.0))


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
        found |= score_intervals(probabilities[:, positive], wanted)
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
    gold_rows, answered = matrix.sum(1), matrix.sum(0)
    measured = _f1(right, gold_rows, answered)
    macro = of_draws(_macro(f1, golds + answers), float(_macro(measured[None], (gold_rows + answered)[None])[0]))
    enough = rows >= FEWEST_PER_LABEL * np.count_nonzero(gold_rows + answered)
    summary = {"accuracy": accuracy, "macro_f1": macro if enough else None, "micro_f1": accuracy}
    each = [
        {
            "precision": of_share(right[i], answered[i]),
            "recall": of_share(right[i], gold_rows[i]),
            "f1": of_draws(f1[:, i], float(measured[i])),
        }
        for i in range(labels)
    ]
    return summary, each


def score_intervals(scores: np.ndarray, wanted: np.ndarray) -> dict[str, Interval | None]:
    """Intervals of average_precision and roc_auc.

    There is none of recall_at_precision: it is the best of many thresholds on the rows that chose it.

    Args:
        scores: (N,) probabilities of the positive label.
        wanted: (N,) bool, where it is right.
    """
    from sklearn.metrics import average_precision_score, roc_auc_score

    positives, rows = int(wanted.sum()), len(wanted)
    if positives in (0, rows):
        return {"average_precision": None, "roc_auc": None}
    return {
        "average_precision": of_average_precision(float(average_precision_score(wanted, scores)), positives),
        "roc_auc": of_area(float(roc_auc_score(wanted, scores)), positives, rows - positives),
    }


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
    counts = [table.sum(0) for table in sums]
    micro = _f1(*(each.sum(1) for each in (hits, golds, answers)))
    micro_measured = float(_f1(*(each.sum(keepdims=True) for each in counts))[0])
    macro = of_draws(_f1(hits, golds, answers).mean(1), float(_f1(*counts).mean()))
    enough = wanted.sum() >= FEWEST_PER_LABEL * wanted.shape[1]
    right = int((predicted == wanted).all(1).sum())
    return {
        "accuracy": of_share(right, rows),
        "macro_f1": macro if enough else None,
        "micro_f1": of_draws(micro, micro_measured),
    }


def _f1(hits: np.ndarray, golds: np.ndarray, answers: np.ndarray) -> np.ndarray:
    both = golds + answers
    return np.asarray(np.divide(2.0 * hits, both, out=np.zeros(both.shape), where=both > 0))


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
