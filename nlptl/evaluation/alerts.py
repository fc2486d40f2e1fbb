"""How well a positive label is found where few alerts can be looked at: average precision, recall at alert budgets."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

BUDGETS = (10, 20, 50, 100)
"""Alerts per thousand rows."""
DRAWS, CELLS = 1000, 4_000_000
"""Of the bootstrap, and how many numbers a block of it holds."""
MANY = 20_000
"""Rows from which on a fifth of the draws says enough: intervals are narrow by then."""


def alert_report(scores: np.ndarray, positive: np.ndarray, seed: int = 0) -> dict[str, Any]:
    """Average precision and recall at alert budgets, each with a 95 % interval; empty without rows of both kinds.

    Average precision is the sum over thresholds of precision times the gain in recall. A budget of k alerts per
    thousand flags the k * N / 1000 rows with the highest scores; rows of equal score that do not all fit are not
    flagged. Intervals are percentiles of a bootstrap over rows (Efron 1979): they say what other rows would give, and
    nothing of other seeds.

    Args:
        scores: (N,) probabilities of the positive label, or anything that orders rows as they do.
        positive: (N,) bool.
        seed: of the bootstrap.

    Returns:
        `average_precision` and `interval`, `share_positive` (the average precision of chance) and, for each budget,
        under `recall_at` its recall, interval, and precision.
    """
    if not positive.any() or positive.all():
        return {}
    sums = _ordered_sums(scores, positive)
    hits, flagged = sums(np.ones((1, len(scores))))
    drawn = {"average_precision": list[np.ndarray](), **{str(budget): list[np.ndarray]() for budget in BUDGETS}}
    for weights in _draws(len(scores), seed):
        some = sums(weights)
        drawn["average_precision"].append(_average_precision(*some))
        for budget in BUDGETS:
            drawn[str(budget)].append(_at_budget(*some, budget)[0])
    found = {name: np.concatenate(values) for name, values in drawn.items()}
    budgets = {}
    for budget in BUDGETS:
        recall, right = (float(each[0]) for each in _at_budget(hits, flagged, budget))
        precision = None if np.isnan(right) else right  # of no row flagged
        budgets[str(budget)] = {"recall": recall, "interval": _interval(found[str(budget)]), "precision": precision}
    return {
        "average_precision": float(_average_precision(hits, flagged)[0]),
        "interval": _interval(found["average_precision"]),
        "share_positive": float(positive.mean()),
        "recall_at": budgets,
    }


Sums = tuple[np.ndarray, np.ndarray]
"""(draws, distinct scores) positive rows, and all rows, from the highest score to each."""


def _ordered_sums(scores: np.ndarray, positive: np.ndarray) -> Callable[[np.ndarray], Sums]:
    """What gives the sums of rows that count `weights` (draws, N) times; rows of equal score are taken together."""
    order = np.argsort(-scores, kind="stable")
    falling, there = scores[order], positive[order].astype(np.float64)
    ends = np.append(np.flatnonzero(falling[1:] != falling[:-1]), len(falling) - 1)

    def sums(weights: np.ndarray) -> Sums:
        ordered = weights[:, order]
        return (ordered * there).cumsum(1)[:, ends], ordered.cumsum(1)[:, ends]

    return sums


def _average_precision(hits: np.ndarray, flagged: np.ndarray) -> np.ndarray:
    """(draws,) sum over scores of precision times the gain in recall."""
    precision = np.divide(hits, flagged, out=np.zeros_like(hits), where=flagged > 0)
    gained = np.diff(hits, axis=1, prepend=0.0)
    return np.asarray((precision * gained).sum(1) / np.maximum(hits[:, -1], 1))


def _at_budget(hits: np.ndarray, flagged: np.ndarray, budget: int) -> tuple[np.ndarray, np.ndarray]:
    """(draws,) recall and precision of the rows that a budget of alerts per thousand allows to flag."""
    most = np.floor(flagged[:, -1] * budget / 1000)
    last = (flagged <= most[:, None]).sum(1) - 1
    places = np.arange(len(hits)), last.clip(min=0)
    caught, count = (np.where(last < 0, 0.0, each[places]) for each in (hits, flagged))
    precision = np.divide(caught, count, out=np.full_like(caught, np.nan), where=count > 0)
    return caught / np.maximum(hits[:, -1], 1), precision


def _draws(rows: int, seed: int) -> Iterator[np.ndarray]:
    """Blocks of (draws, rows) how often each row was drawn."""
    rng, draws = np.random.default_rng(seed), DRAWS if rows < MANY else DRAWS // 5
    block = max(1, min(draws, CELLS // rows))
    chances = np.full(rows, 1.0 / rows)
    for done in range(0, draws, block):
        yield rng.multinomial(rows, chances, size=min(block, draws - done)).astype(np.float64)


def _interval(values: np.ndarray) -> list[float]:
    return [float(value) for value in np.percentile(values, [2.5, 97.5])]
