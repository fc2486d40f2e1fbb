"""Which method is better where, in words: all pairs at all sizes, corrected; negative transfer; where curves cross."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations, pairwise
from typing import Any

import numpy as np

from nlptl.comparison.methods import Method
from nlptl.comparison.plan import size_name
from nlptl.evaluation.significance import (
    BETTER,
    TOO_FEW_SEEDS,
    WORSE,
    Difference,
    SeedSpread,
    corrected,
    over_seeds_and_rows,
    sentence,
    spread_over_seeds,
)

BEST_CLASSICAL = "best classical"
"""Of several classical methods, for each seed the one that is best on validation."""


@dataclass(frozen=True)
class Answered:
    """What a method answered at a size: who it was, and which test rows were right for each seed."""

    method: Method
    size: str
    rows: float
    """Labelled rows."""
    right: Mapping[int, np.ndarray]
    """Seed -> (rows,) 1 for each test row that is right."""
    validation: Mapping[int, tuple[float, float]]
    """Seed -> what ranks it on validation: the metric, then the loss."""


@dataclass(frozen=True)
class Pair:
    """Two methods at a size, on the seeds that both have."""

    size: str
    rows: float
    first: str
    second: str
    found: Difference
    """Share of right test rows, first less second; p after Holm's correction for all pairs and sizes."""

    @property
    def sentence(self) -> str:
        """Such as `32 per label: lora against full: +0.30 ± 0.50 (...): no clear difference.`; winners stand first."""
        names, found = (self.first, self.second), self.found
        if found.outcome == WORSE:
            names, found = names[::-1], _turned(found)
        return f"{size_name(self.size)}: {sentence(*names, found)}"

    def noted(self) -> dict[str, Any]:
        """What `comparison.json` says of it."""
        seeds = {"seeds": self.found.seeds, "comparisons": self.found.comparisons, "outcome": self.found.outcome}
        names = {"size": self.size, "first": self.first, "second": self.second}
        return {**names, **self.found.noted(), **seeds, "sentence": self.sentence}


def pairs_of(answered: Sequence[Answered]) -> list[Pair]:
    """Every two methods at every size; a difference must hold for other seeds and other rows, after Holm's correction.

    Args:
        answered: of each method and size.
    """
    found: list[Pair] = []
    for size in dict.fromkeys(each.size for each in answered):
        here = [each for each in answered if each.size == size]
        pairs = list(combinations(here, 2))
        beside = _spread(here)
        reference = best_classical(here)
        if reference is not None:
            pairs += [(each, reference) for each in here if each.method.kind != "classical"]
        found += [pair for one, other in pairs if (pair := _pair(one, other, beside)) is not None]
    differences = corrected([pair.found for pair in found])
    return [
        Pair(pair.size, pair.rows, pair.first, pair.second, each) for pair, each in zip(found, differences, strict=True)
    ]


def best_classical(here: Sequence[Answered]) -> Answered | None:
    """For each seed the classical method that is best on validation; None where there are not several."""
    classical = [each for each in here if each.method.kind == "classical"]
    if len(classical) < 2 or any(len(each.method.runs) > 1 for each in classical):
        return None  # the best of all the registered ones stands among the methods
    seeds = set.intersection(*(set(each.right) for each in classical))
    right, validation = {}, {}
    for seed in seeds:
        best = max(classical, key=lambda each: each.validation[seed])
        right[seed], validation[seed] = best.right[seed], best.validation[seed]
    method = Method(BEST_CLASSICAL, "classical", "", {})
    return Answered(method, here[0].size, here[0].rows, right, validation)


def _spread(here: Sequence[Answered]) -> SeedSpread | None:
    """How far differences at a size spread over seeds; None where methods differ in their seeds."""
    seeds = {tuple(sorted(each.right)) for each in here}
    if len(seeds) != 1:
        return None
    return spread_over_seeds([np.stack([each.right[seed] for seed in sorted(each.right)]) for each in here])


def _pair(one: Answered, other: Answered, beside: SeedSpread | None) -> Pair | None:
    seeds = sorted(one.right.keys() & other.right.keys())
    if not seeds:
        return None
    first, second = (np.stack([each.right[seed] for seed in seeds]) for each in (one, other))
    return Pair(one.size, one.rows, one.method.name, other.method.name, over_seeds_and_rows(first, second, beside))


def reference_of(methods: Sequence[Method]) -> str | None:
    """The classical method that transfer has to beat: the best on validation; None where there is none."""
    classical = [method for method in methods if method.kind == "classical"]
    widest = [method.name for method in classical if len(method.runs) > 1]
    if widest:
        return widest[0]
    return None if not classical else classical[0].name if len(classical) == 1 else BEST_CLASSICAL


def negative_transfer(pairs: Sequence[Pair], methods: Sequence[Method]) -> list[str]:
    """Each place where a classical model, or one from random weights, clearly beats one that transfers; in words."""
    kinds = {method.name: method.kind for method in methods}
    said = []
    for pair in pairs:
        found = _transfer_first(pair, kinds)
        if found is not None and found[2].outcome == WORSE:
            transfer, control, difference = found
            turned = _turned(difference)
            said.append(f"Negative transfer at {size_name(pair.size)}: {sentence(control, transfer, turned)}")
    return said


@dataclass(frozen=True)
class Crossover:
    """From how many labels on a method beats the best classical one."""

    method: str
    against: str
    clear_from: str | None
    """The size from which on it is clearly better at every size; None: there is none."""
    crossing_rows: float | None
    """Labelled rows at which the means cross, between two sizes; None: they do not, or more than once."""
    clear_at: tuple[str, ...]
    """Sizes at which it is clearly better."""
    ahead_at: tuple[str, ...]
    """Sizes at which its mean is higher, clearly or not."""
    sizes: tuple[str, ...]
    is_tested: bool = True
    """Whether there were seeds enough to test a difference."""

    @property
    def sentence(self) -> str:
        """The crossover in words."""
        clear = f"clearly better at {_named(self.clear_at, self.sizes)}" if self.is_tested else TOO_FEW_SEEDS
        if len(self.ahead_at) == len(self.sizes):
            means = "its mean is higher at every size, so the crossover lies below the smallest"
        elif not self.ahead_at:
            means = "its mean is lower at every size, so there is no crossover in this range"
        elif self.crossing_rows is not None:
            means = f"the means cross near {self.crossing_rows:,.0f} labelled rows"
        else:
            means = f"the means cross more than once (higher at {_named(self.ahead_at, self.sizes)})"
        return f"{self.method} against {self.against}: {clear}; {means}."

    def noted(self) -> dict[str, Any]:
        """What `comparison.json` says of it."""
        names = ("method", "against", "clear_from", "clear_at", "crossing_rows", "ahead_at", "sizes", "sentence")
        return {name: getattr(self, name) for name in names}


def _named(some: Sequence[str], every: Sequence[str]) -> str:
    if len(some) == len(every):
        return "every size"
    return ", ".join(map(size_name, some)) or "no size"


def crossovers(pairs: Sequence[Pair], methods: Sequence[Method]) -> list[Crossover]:
    """For each method that transfers, where it overtakes the best classical method.

    Between two sizes the difference of the means is taken to change evenly with the logarithm of the rows.
    """
    reference = reference_of(methods)
    found = []
    for method in methods:
        if method.kind != "transfer" or reference is None:
            continue
        curve = [
            (pair.size, pair.rows, pair.found if pair.first == method.name else _turned(pair.found))
            for pair in pairs
            if {pair.first, pair.second} == {method.name, reference}
        ]
        curve.sort(key=lambda each: each[1])
        if curve:
            found.append(_crossover(method.name, reference, curve))
    return found


def _crossover(method: str, against: str, curve: Sequence[tuple[str, float, Difference]]) -> Crossover:
    clear_from = None
    for size, _, difference in reversed(curve):
        if difference.outcome != BETTER:
            break
        clear_from = size
    crossings = []
    for (_, before, low), (_, after, high) in pairwise(curve):
        if (low.mean > 0) != (high.mean > 0):
            share = low.mean / (low.mean - high.mean)
            crossings.append(math.exp(math.log(before) + share * (math.log(after) - math.log(before))))
    return Crossover(
        method,
        against,
        clear_from,
        crossings[0] if len(crossings) == 1 else None,
        tuple(size for size, _, difference in curve if difference.outcome == BETTER),
        tuple(size for size, _, difference in curve if difference.mean > 0),
        tuple(size for size, _, _ in curve),
        any(difference.outcome != TOO_FEW_SEEDS for _, _, difference in curve),
    )


def _transfer_first(pair: Pair, kinds: Mapping[str, str]) -> tuple[str, str, Difference] | None:
    """(the transfer method, its control, the first less the second), where the pair is of these."""
    if BEST_CLASSICAL in (pair.first, pair.second):
        return None  # it repeats one of the pairs
    first, second = kinds[pair.first], kinds[pair.second]
    if first == "transfer" and second != "transfer":
        return pair.first, pair.second, pair.found
    if second == "transfer" and first != "transfer":
        return pair.second, pair.first, _turned(pair.found)
    return None


def _turned(found: Difference) -> Difference:
    """The second less the first."""
    return replace(found, mean=-found.mean)
