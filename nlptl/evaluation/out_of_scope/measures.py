"""How well scores tell in-scope texts from others, with intervals. In scope is the side that scores high.

Everything is counted at once for the rows as they are and for bootstrap draws of them: a draw is how often each row was
drawn, so that scores are sorted only once.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

KEPT = 0.95
"""Share of in-scope rows that the false positive rate is told at."""
DRAWS = 1000
LEVEL = 0.95
"""Of the intervals."""
_TOGETHER = 1_000_000
"""Counts held at once."""
RANKED = ("auroc", "aupr_in", "aupr_out", "fpr_at_95_in_scope")


@dataclass(frozen=True)
class Measured:
    """A number and its 95 % interval (bootstrap percentiles); None where there are no rows to measure it on."""

    value: float
    low: float
    high: float

    def noted(self) -> dict[str, Any]:
        """What `metrics.json` keeps."""
        return {"value": self.value, "interval": [self.low, self.high]}


def separation(scores: np.ndarray, in_scope: np.ndarray, seed: int = 0, draws: int = DRAWS) -> dict[str, Measured]:
    """How well scores separate, wherever they are cut.

    - `auroc`: chance that an in-scope row scores above an out-of-scope one (ties count half).
    - `aupr_in`, `aupr_out`: average precision of finding in-scope rows from the top, of out-of-scope rows from the
      bottom. They differ with the share of each side, so both are named.
    - `fpr_at_95_in_scope`: share of out-of-scope rows kept by the highest cut that keeps 95 % of in-scope rows.

    Args:
        scores: (N,), higher is more in scope.
        in_scope: (N,) bool.
        seed: of the bootstrap, which draws each side's rows apart.
        draws: of the bootstrap.

    Returns:
        By name; empty where one side has no row.
    """
    if in_scope.all() or not in_scope.any():
        return {}
    values, of = np.unique(scores, return_inverse=True)
    inside, outside = of[in_scope], of[~in_scope]
    found = _ranked(*(np.bincount(side, minlength=len(values))[None].astype(float) for side in (inside, outside)))
    drawn = [
        _ranked(_counts(rng, inside, len(values), some), _counts(rng, outside, len(values), some))
        for rng, some in _draws(seed, draws, len(values))
    ]
    spread = np.concatenate(drawn, axis=1)
    return {name: _measured(float(found[i, 0]), spread[i]) for i, name in enumerate(RANKED)}


def share(chosen: np.ndarray, seed: int = 0, draws: int = DRAWS) -> Measured | None:
    """The share of rows that are so, with its interval; None without rows.

    Args:
        chosen: (N,) bool.
        seed: of the bootstrap.
        draws: of the bootstrap.
    """
    if not len(chosen):
        return None
    value = float(np.mean(chosen))
    # Of so many rows, each so with this chance: what a bootstrap of a share comes to.
    spread = np.random.default_rng(seed).binomial(len(chosen), value, draws) / len(chosen)
    return _measured(value, spread)


def auroc(scores: np.ndarray, in_scope: np.ndarray) -> float:
    """The measure alone, for choosing; NaN where one side has no row."""
    found = separation(scores, in_scope, draws=1)
    return found["auroc"].value if found else float("nan")


def auroc_difference(first: np.ndarray, second: np.ndarray, in_scope: np.ndarray) -> tuple[float, float]:
    """How much higher the AUROC of the first scores is on the same rows, and its standard error (DeLong et al. 1988).

    Args:
        first, second: (N,) scores of two scorers.
        in_scope: (N,) bool; both sides have two rows at least.
    """
    parts = [_placements(scores[in_scope], scores[~in_scope]) for scores in (first, second)]
    inside, outside = (one - other for one, other in zip(*parts, strict=True))
    variance = inside.var(ddof=1) / len(inside) + outside.var(ddof=1) / len(outside)
    return float(inside.mean()), float(np.sqrt(variance))


def _placements(inside: np.ndarray, outside: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For each in-scope row the share of the others below it, for each other row the share of in-scope rows above."""

    def below(values: np.ndarray, others: np.ndarray) -> np.ndarray:
        others = np.sort(others)
        least, most = (np.searchsorted(others, values, side) for side in ("left", "right"))
        return np.asarray((least + most) / 2 / len(others))

    return below(inside, outside), 1 - below(outside, inside)


def _ranked(inside: np.ndarray, outside: np.ndarray) -> np.ndarray:
    """(measures, draws) of the rows with each score, ascending: (draws, scores) counts of both sides."""
    below = np.cumsum(outside, 1) - outside
    everyone, others = inside.sum(1), outside.sum(1)
    area = (inside * (below + outside / 2)).sum(1) / (everyone * others)
    kept, passed = (np.cumsum(side[:, ::-1], 1)[:, ::-1] for side in (inside, outside))
    enough = kept >= KEPT * everyone[:, None] - 1e-9
    cut = enough.shape[1] - 1 - enough[:, ::-1].argmax(1)
    passing = np.take_along_axis(passed, cut[:, None], 1)[:, 0] / others
    return np.stack([area, _average_precision(inside, kept, passed), _precision_of_others(inside, outside), passing])


def _average_precision(wanted: np.ndarray, found: np.ndarray, wrong: np.ndarray) -> np.ndarray:
    """(draws,); `found` and `wrong` are the rows of each side at a cut or beyond it."""
    precision = found / np.maximum(found + wrong, 1e-12)
    mean: np.ndarray = (wanted * precision).sum(1) / wanted.sum(1)
    return mean


def _precision_of_others(inside: np.ndarray, outside: np.ndarray) -> np.ndarray:
    return _average_precision(outside, np.cumsum(outside, 1), np.cumsum(inside, 1))


def _draws(seed: int, draws: int, width: int) -> Iterator[tuple[np.random.Generator, int]]:
    """How many draws to make at once, so that their counts fit in memory."""
    rng, left = np.random.default_rng(seed), draws
    at_once = max(1, _TOGETHER // max(width, 1))
    while left > 0:
        yield rng, min(at_once, left)
        left -= at_once


def _counts(rng: np.random.Generator, rows: np.ndarray, width: int, draws: int) -> np.ndarray:
    """(draws, width) how often each score was drawn, with replacement, from rows (N,) of score numbers."""
    drawn = rows[rng.integers(len(rows), size=(draws, len(rows)))] + width * np.arange(draws)[:, None]
    return np.bincount(drawn.ravel(), minlength=draws * width).reshape(draws, width).astype(float)


def _measured(value: float, spread: np.ndarray) -> Measured:
    low, high = np.quantile(spread, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Measured(value, float(low), float(high))
