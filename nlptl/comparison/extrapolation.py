"""How many labels until a metric is reached: a power law through a learning curve, and when not to believe it."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

from nlptl.comparison.curves import Point

FEWEST_SIZES = 4
FARTHEST = 4
"""Times the largest size measured; beyond that no number is given."""
FALL = 2.0
"""Standard errors of a difference from which on a curve that falls is not called noise."""
LEAST, MOST = np.array([0.0, 0.05, 0.0]), np.array([2.0, 2.0, 1.0])
"""Of a (of the smallest size's unit), b and c."""
REFITS = 100
"""Resampled curves that the interval comes from."""


@dataclass(frozen=True)
class PowerLaw:
    """1 - metric = a n^-b + c (Hestness et al. 2017): n labelled rows; a, b and c at least 0."""

    a: float
    b: float
    c: float
    """What no number of labels takes away."""

    def metric(self, rows: float) -> float:
        """What it says for a number of labelled rows."""
        return float(1 - (self.a * rows**-self.b + self.c))

    def rows(self, metric: float) -> float:
        """The labelled rows that it says for a metric; infinite where it is never reached."""
        left = 1 - metric - self.c
        if left <= 0 or self.a <= 0:
            return 0.0 if self.metric(1e12) >= metric else math.inf
        exponent = math.log(self.a / left) / self.b
        return math.exp(exponent) if exponent < 700 else math.inf


@dataclass(frozen=True)
class LabelsNeeded:
    """Labelled rows until a metric is reached, or why no number is given."""

    metric: str
    target: float
    rows: float | None
    low: float | None
    """Lower end of the 95 % interval."""
    high: float | None
    """Upper end; None with `rows` given: beyond the farthest that is told."""
    law: PowerLaw | None
    refusal: str | None
    """Why there is no number, in words."""
    check: dict[str, Any] | None
    """The largest size, hidden and predicted from the others: size, predicted, low, high, measured, error."""
    per_label: float | None = None
    """`rows` divided by the number of labels."""

    def sentence(self, name: str) -> str:
        """The answer for a method, in words."""
        asked = f"{name}, {self.metric} {self.target:g}"
        if self.refusal is not None or self.rows is None:
            return " ".join(filter(None, [f"{asked}: cannot be told. {self.refusal}", self._checked()]))
        upper = f"{self.high:,.0f}" if self.high is not None else "more than can be told"
        said = f"{asked}: about {self.rows:,.0f} labelled rows (95 % interval {self.low or 0:,.0f} to {upper}"
        per_label = "" if self.per_label is None else f"; {self.per_label:,.0f} per label"
        return " ".join(filter(None, [f"{said}{per_label}).", self._checked()]))

    def _checked(self) -> str:
        if self.check is None:
            return ""
        c, few = self.check, f" from {self.check['sizes']} sizes" if self.check["sizes"] < FEWEST_SIZES else ""
        inside = "inside" if c["low"] <= c["measured"] <= c["high"] else "OUTSIDE"
        return (
            f"Check: the largest size, hidden, was predicted{few} as {c['predicted']:.3f} and is {c['measured']:.3f} "
            f"({c['error']:+.3f}, {inside} the prediction's interval)."
        )

    def noted(self) -> dict[str, Any]:
        """What `comparison.json` says of it."""
        law = None if self.law is None else {"a": self.law.a, "b": self.law.b, "c": self.law.c}
        return {**{name: getattr(self, name) for name in NOTED}, "law": law}


NOTED = ("metric", "target", "rows", "low", "high", "per_label", "refusal", "check")


def labels_needed(points: Sequence[Point], metric: str, target: float, labels: int | None = None) -> LabelsNeeded:
    """How many labelled rows a method needs for a metric.

    The power law is fitted to the means by least squares, weighted by their standard errors; the interval comes from
    fits to resampled seeds and test rows. No number is given from fewer than four sizes, from a curve that falls by
    more than noise (curves may: Viering & Loog 2021), or beyond four times the largest size.

    Args:
        points: of the method's curve, of this metric.
        metric: its name.
        target: the value asked for.
        labels: how many there are, to tell rows per label.
    """
    points = sorted(points, key=lambda each: each.rows)

    def refused(why: str, law: PowerLaw | None = None, check: dict[str, Any] | None = None) -> LabelsNeeded:
        return LabelsNeeded(metric, target, None, None, None, law, why, check)

    if len(points) < FEWEST_SIZES:
        return refused(f"A curve needs {FEWEST_SIZES} sizes or more; there are {len(points)}.")
    fallen = _fall(points)
    if fallen is not None:
        return refused(fallen)
    rows = np.array([each.rows for each in points])
    law = fit([each.mean for each in points], rows, _errors(points))
    if law is None:
        return refused("No power law fits the curve.")
    check = predict_largest(points)
    found, most = law.rows(target), FARTHEST * float(rows[-1])
    if found > most:
        level = f" The curve levels off at {1 - law.c:.3f}." if 1 - law.c < target else ""
        return refused(
            f"It lies beyond {most:,.0f} labelled rows, {FARTHEST} times the largest size measured.{level}", law, check
        )
    spread = sorted(each.rows(target) for each in _refits(points, law))
    low, high = _quantile(spread, 0.025), _quantile(spread, 0.975)
    found, low = max(found, float(rows[0])), max(low, float(rows[0]))  # below the smallest size nothing was seen
    return LabelsNeeded(
        metric,
        target,
        found,
        min(low, found),
        max(high, found) if high <= most else None,
        law,
        None,
        check,
        None if not labels else found / labels,
    )


def predict_largest(points: Sequence[Point]) -> dict[str, Any] | None:
    """Hide the largest size, predict it from the others, and compare; None where no power law fits them."""
    seen, hidden = points[:-1], points[-1]
    law = fit([each.mean for each in seen], np.array([each.rows for each in seen]), _errors(seen))
    if law is None:
        return None
    predicted = law.metric(hidden.rows)
    spread = sorted(each.metric(hidden.rows) for each in _refits(seen, law)) or [predicted]
    return {
        "size": hidden.size,
        "sizes": len(seen),
        "times": hidden.rows / seen[-1].rows,
        "predicted": predicted,
        "low": min(_quantile(spread, 0.025), predicted),
        "high": max(_quantile(spread, 0.975), predicted),
        "measured": hidden.mean,
        "error": predicted - hidden.mean,
    }


def fit(means: Sequence[float], rows: np.ndarray, errors: np.ndarray, start: PowerLaw | None = None) -> PowerLaw | None:
    """The power law of least weighted squares; None where the search ends without one.

    Args:
        means: (sizes,) of the metric.
        rows: (sizes,) labelled.
        errors: (sizes,) standard errors of the means.
        start: where the search begins; None: at a guess.
    """
    from scipy.optimize import OptimizeWarning, curve_fit

    missed, unit = 1 - np.asarray(means, np.float64), float(rows[0])
    guess = [float(missed[0] - missed[-1]), 0.5, float(missed[-1]) * 0.8]
    if start is not None:
        guess = [start.a * unit**-start.b, start.b, start.c]
    begin = np.clip(guess, LEAST + 1e-3, MOST - 1e-3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", OptimizeWarning)  # a flat curve: no covariance, which is not asked for
        try:
            found, _ = curve_fit(_missed, rows / unit, missed, begin, errors, bounds=(LEAST, MOST), max_nfev=2000)
        except RuntimeError:
            return None
    a, b, c = found
    return PowerLaw(float(a * unit**b), float(b), float(c))


def _missed(n: np.ndarray, a: float, b: float, c: float) -> np.ndarray:
    return np.asarray(a * n**-b + c)


def _refits(points: Sequence[Point], law: PowerLaw) -> list[PowerLaw]:
    """A fit to each resample of seeds and rows."""
    rows, errors = np.array([each.rows for each in points]), _errors(points)
    count = min(len(each.replicates) for each in points)
    drawn = np.stack([each.replicates[:count] for each in points], 1)[:REFITS]
    return [found for means in drawn if (found := fit(list(means), rows, errors, law)) is not None]


def _errors(points: Sequence[Point]) -> np.ndarray:
    """Standard errors, none of them so small that its point alone would count."""
    found = np.array([each.standard_error for each in points])
    return np.asarray(np.maximum(found, max(1e-3, float(np.median(found)) / 4)))


def _fall(points: Sequence[Point]) -> str | None:
    """Where the curve falls most, if by more than noise, in words."""
    falls = []
    for before, after in combinations(points, 2):
        error = max(math.hypot(before.standard_error, after.standard_error), 1e-3)
        if before.mean - after.mean > FALL * error:
            falls.append((before.mean - after.mean, before, after))
    if not falls:
        return None
    _, before, after = max(falls, key=lambda each: each[0])
    return (
        f"The curve falls from {before.mean:.3f} at {before.size} to {after.mean:.3f} at {after.size}, by more than "
        "noise: more labels did not help here, and no law says when they will."
    )


def _quantile(ordered: Sequence[float], share: float) -> float:
    """Of sorted values that may be infinite."""
    return ordered[min(len(ordered) - 1, max(0, round(share * (len(ordered) - 1))))] if ordered else math.inf
