"""Is one method better than another? The one place that turns differences, seeds and p into words.

Two methods are compared on the same seeds, on the same rows, or on both: every such test is paired and two-sided. A
number is called better or worse only where p is below 0.05, after Holm's correction where several comparisons stand
side by side, and only from three seeds on: two differences say next to nothing of their spread.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

import numpy as np

ALPHA = 0.05
FEWEST_SEEDS = 3
BETTER, WORSE, NO_DIFFERENCE, TOO_FEW_SEEDS = "better", "worse", "no clear difference", "too few seeds to say"


@dataclass(frozen=True)
class Difference:
    """A paired comparison: the first method less the second."""

    mean: float
    """Mean difference, in the scores' own unit."""
    standard_error: float
    """Of that mean; 0 for a single pair, which has no spread."""
    margin: float | None
    """Half the width of the 95 % confidence interval (Student's t); None where there is no spread to tell."""
    p: float | None
    """Two-sided; None where no test can be made: too few pairs, or the same difference in each."""
    seeds: int | None
    """None: one pair of models, compared on rows; what it says holds for these two models."""
    rows: int | None = None
    """Rows that both were measured on, where the test looked at rows."""
    comparisons: int = 1
    """How many comparisons p was corrected for (Holm 1979)."""

    @property
    def interval(self) -> tuple[float, float] | None:
        """The 95 % confidence interval; None where there is no spread to tell."""
        return None if self.margin is None else (self.mean - self.margin, self.mean + self.margin)

    def noted(self) -> dict[str, Any]:
        """What `metrics.json` keeps of a comparison of two models on the same rows; `of_rows` reads it."""
        return {
            "difference": self.mean,
            "standard_error": self.standard_error,
            "margin": self.margin,
            "p": self.p,
            "rows": self.rows,
        }

    @classmethod
    def of_rows(cls, noted: Mapping[str, Any]) -> Difference:
        """The comparison that `noted` gave."""
        return cls(
            noted["difference"], noted["standard_error"], noted["margin"], noted["p"], seeds=None, rows=noted["rows"]
        )

    @property
    def outcome(self) -> str:
        """`BETTER`, `WORSE`, `NO_DIFFERENCE` or `TOO_FEW_SEEDS`."""
        if self.seeds is not None and self.seeds < FEWEST_SEEDS:
            return TOO_FEW_SEEDS
        if self.p is None or not self.p < ALPHA:
            return NO_DIFFERENCE
        return BETTER if self.mean > 0 else WORSE


def over_seeds(first: Sequence[float], second: Sequence[float]) -> Difference:
    """Paired t-test over seeds: would other seeds show the same difference?

    Args:
        first: a score per seed.
        second: of the other method, for the same seeds in the same order.

    Raises:
        ValueError: the two are not as long, or empty.
    """
    differences = _differences(first, second, 1)
    p = _t_test(differences) if len(differences) >= FEWEST_SEEDS else None
    return _difference(differences, p, seeds=len(differences))


def over_rows(first: Sequence[float] | np.ndarray, second: Sequence[float] | np.ndarray) -> Difference:
    """Are two models different on texts like these rows? Says nothing of other seeds.

    For rows that are right (1) or wrong (0), McNemar's exact test: of the rows that one model has right and the other
    wrong, each is as likely to be either's (McNemar 1947). For other scores, a paired t-test.

    Args:
        first: (rows,) a score per row.
        second: (rows,) of the other model, for the same rows.

    Raises:
        ValueError: as `over_seeds`.
    """
    differences = _differences(first, second, 1)
    return _difference(differences, _row_test(differences), rows=len(differences))


def over_different_rows(first: Sequence[float] | np.ndarray, second: Sequence[float] | np.ndarray) -> Difference:
    """Is one model's accuracy on some rows another than on other rows? Fisher's exact test (Fisher 1935), unpaired.

    Args:
        first: (rows,) right (1) or wrong (0).
        second: (other rows,) likewise.

    Raises:
        ValueError: one of them is empty, or holds other numbers.
    """
    from scipy.stats import fisher_exact, norm

    one, other = np.asarray(first, np.float64), np.asarray(second, np.float64)
    if not one.size or not other.size or not np.isin(np.concatenate([one, other]), (0.0, 1.0)).all():
        raise ValueError("rows that are right (1) or wrong (0) are needed, on both sides")
    table = [[int(each.sum()), int(len(each) - each.sum())] for each in (one, other)]
    error = float(np.sqrt(one.var() / len(one) + other.var() / len(other)))
    margin = float(norm.isf(ALPHA / 2) * error) if error > 0 else None
    p = float(fisher_exact(table).pvalue)
    return Difference(float(one.mean() - other.mean()), error, margin, p, seeds=None, rows=len(one))


def over_seeds_and_rows(first: np.ndarray, second: np.ndarray, beside: SeedSpread | None = None) -> Difference:
    """Both questions at once: the difference must hold for other seeds and for other rows.

    p is the larger one of a t-test over the seeds' means and a test over the rows' means: an intersection-union test,
    which needs no correction (Berger 1982). Where every seed gives the same answers, as methods do that draw nothing
    and learn from all rows, other seeds would too, and the rows alone are tested.

    Args:
        first: (seeds, rows) scores; every seed was measured on the same rows.
        second: (seeds, rows) of the other method.
        beside: how far pairs that stand beside this one spread over seeds (`spread_over_seeds`); None: this pair alone
            says how far it does, which three seeds hardly can.

    Raises:
        ValueError: as `over_seeds`.
    """
    differences = _differences(first, second, 2)
    seeds, rows = differences.shape
    if seeds >= FEWEST_SEEDS and (differences == differences[0]).all():
        return replace(over_rows(first[0], second[0]), seeds=seeds)
    by_seed = over_seeds(differences.mean(1).tolist(), [0.0] * seeds)
    if by_seed.p is None:
        return replace(by_seed, rows=rows)
    if beside is not None:
        by_seed = beside.applied_to(by_seed, seeds)
    by_row = _row_test(differences.mean(0)) if rows > 1 else None
    return replace(by_seed, rows=rows, p=None if by_row is None else max(float(by_seed.p or 0.0), by_row))


@dataclass(frozen=True)
class SeedSpread:
    """How far the differences of several pairs of methods, measured side by side, spread over seeds."""

    variance: float
    """Mean over the pairs of the variance of a difference."""
    weight: float
    """Degrees of freedom that it counts for beside a pair's own."""

    def applied_to(self, found: Difference, seeds: int) -> Difference:
        """The t-test over seeds with the spread of the pairs beside it weighed in (moderated t, Smyth 2004).

        A pair's own spread is never made smaller, and half of the weight counts as degrees of freedom, since pairs
        share methods and some methods vary more than others; `benchmarks/studies/evidence/simulated_comparisons.py`
        counts false differences.
        """
        from scipy.stats import t

        own, degrees = found.standard_error**2 * seeds, seeds - 1
        pooled = max(own, (self.weight * self.variance + degrees * own) / (self.weight + degrees))
        error = float(np.sqrt(pooled / seeds))
        degrees_of_both = degrees + self.weight / 2
        p = float(2 * t.sf(abs(found.mean) / error, degrees_of_both))
        margin = float(t.isf(ALPHA / 2, degrees_of_both) * error)
        return replace(found, standard_error=error, margin=margin, p=p)


def spread_over_seeds(scores: Sequence[np.ndarray]) -> SeedSpread | None:
    """What all pairs of several methods say of the spread of a difference over seeds.

    Args:
        scores: of each method, (seeds, rows); all on the same rows and seeds.

    Returns:
        None for fewer than three methods or three seeds.
    """
    if len(scores) < 3 or len(scores[0]) < FEWEST_SEEDS:
        return None
    means = [np.asarray(each, np.float64).mean(1) for each in scores]
    variances = [float(np.var(one - other, ddof=1)) for one, other in combinations(means, 2)]
    return SeedSpread(float(np.mean(variances)), (len(scores) - 1) * (len(means[0]) - 1) / 2)


def corrected(found: Sequence[Difference]) -> list[Difference]:
    """Comparisons that stand side by side, with p after Holm's step-down correction (Holm 1979).

    Of many comparisons some come out below 0.05 by chance alone; after the correction, a false one among all of them is
    that rare. Those without a p are not counted.
    """
    tested = [i for i, one in enumerate(found) if one.p is not None]
    result = list(found)
    for i, p in zip(tested, holm([float(found[i].p or 0.0) for i in tested]), strict=True):
        result[i] = replace(found[i], p=p, comparisons=len(tested))
    return result


def holm(p: Sequence[float]) -> list[float]:
    """p values after Holm's step-down correction for their number (Holm 1979), in their own order."""
    adjusted, reached = [0.0] * len(p), 0.0
    for place, i in enumerate(sorted(range(len(p)), key=p.__getitem__)):
        reached = max(reached, min(1.0, (len(p) - place) * p[i]))
        adjusted[i] = reached
    return adjusted


def estimated(mean: float, standard_error: float, p: float | None = None) -> Difference:
    """A comparison on rows that was noted as numbers; without p, that of the normal approximation.

    Args:
        mean: difference.
        standard_error: of it.
        p: where it was noted.
    """
    from scipy.stats import norm

    if p is None and standard_error > 0:
        p = float(2 * norm.sf(abs(mean) / standard_error))
    margin = float(norm.isf(ALPHA / 2) * standard_error) if standard_error > 0 else None
    return Difference(mean, standard_error, margin, p, seeds=None)


def sentence(name: str, control: str, found: Difference, unit: float = 100.0) -> str:
    """The comparison in words, such as `A beats B by 0.31 ± 0.20 (p = 0.010, 5 seeds).`

    Args:
        name: of the first method.
        control: of the second.
        found: first less second.
        unit: factor of the numbers shown; 100 shows fractions as points.
    """
    by = found.mean * unit
    if found.outcome in (BETTER, WORSE):
        verb = "beats" if found.outcome == BETTER else "is worse than"
        return f"{name} {verb} {control} by {_spread(abs(by), found, unit)} ({_evidence(found)})."
    plain = f"{name} against {control}: "
    if found.outcome == TOO_FEW_SEEDS:
        return f"{plain}{by:+.2f} ({_evidence(found)}): {TOO_FEW_SEEDS}."
    if found.p is None:
        return f"{plain}{by:+.2f} ({_evidence(found)}, the same in each): no test can be made."
    return f"{plain}{_spread(by, found, unit, '+')} ({_evidence(found)}): {NO_DIFFERENCE}."


def p_text(p: float) -> str:
    """`p = 0.012`, or `p < 0.001`."""
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"


def _spread(value: float, found: Difference, unit: float, sign: str = "") -> str:
    margin = "" if found.margin is None else f" ± {found.margin * unit:.2f}"
    return f"{value:{sign}.2f}{margin}"


def _evidence(found: Difference) -> str:
    parts = []
    if found.p is not None:
        how = f" after Holm's correction for {found.comparisons} comparisons" if found.comparisons > 1 else ""
        parts.append(f"{p_text(found.p)}{how}")
    if found.seeds is not None:
        parts.append(f"{found.seeds} seed{'s' * (found.seeds != 1)}")
    if found.rows is not None:
        parts.append(f"{found.rows} rows")
    return ", ".join(parts)


def _differences(first: Sequence[float] | np.ndarray, second: Sequence[float] | np.ndarray, axes: int) -> np.ndarray:
    one, other = np.asarray(first, np.float64), np.asarray(second, np.float64)
    if one.shape != other.shape or one.ndim != axes or not one.size:
        raise ValueError(f"a paired comparison needs as many scores of each method, not {one.shape} and {other.shape}")
    return np.asarray(one - other)


def _difference(
    differences: np.ndarray, p: float | None, seeds: int | None = None, rows: int | None = None
) -> Difference:
    from scipy.stats import sem, t

    count, mean = len(differences), float(differences.mean())
    if count < 2 or _all_the_same(differences):
        return Difference(mean, 0.0, None, p, seeds, rows)
    error = float(sem(differences))
    return Difference(mean, error, float(t.isf(ALPHA / 2, count - 1) * error), p, seeds, rows)


def _all_the_same(differences: np.ndarray) -> bool:
    """Whether the pairs differ by no more than rounding: then there is no spread, and they are hardly independent."""
    return bool(np.ptp(differences) <= 1e-12 * max(1.0, float(np.abs(differences).max())))


def _t_test(differences: np.ndarray) -> float | None:
    from scipy.stats import ttest_1samp

    if len(differences) < 2 or _all_the_same(differences):
        return None
    return float(ttest_1samp(differences, 0.0).pvalue)


def _row_test(differences: np.ndarray) -> float | None:
    from scipy.stats import binomtest

    if not np.isin(differences, (-1.0, 0.0, 1.0)).all():
        return _t_test(differences)
    won, lost = int((differences > 0).sum()), int((differences < 0).sum())
    return float(binomtest(won, won + lost).pvalue) if won + lost else 1.0
