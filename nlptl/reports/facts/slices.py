"""Parts of the test rows on which the answers are better or worse than on the rest."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nlptl.evaluation.intervals import Interval, of_share
from nlptl.evaluation.significance import Difference, corrected

FEWEST_ROWS = 20
"""Of a slice that is tested."""


@dataclass(frozen=True)
class Slice:
    """Some of the test rows."""

    name: str
    rows: int
    right: int
    interval: Interval | None
    difference: Difference | None
    """Share right here less share right on all other rows, p corrected over the slices (Fisher's exact test); None
    where either side has too few rows."""


def length_slices(characters: np.ndarray, right: np.ndarray, parts: int = 4) -> list[Slice]:
    """By the length of the text: quarters of the rows, ties together.

    Args:
        characters: (N,).
        right: (N,) bool.
        parts: how many, at most.
    """
    if not len(characters):
        return []
    edges = np.unique(np.quantile(characters, np.linspace(0, 1, parts + 1)[1:-1], method="lower"))
    place = np.searchsorted(edges, characters, side="left")
    named = []
    for number in np.unique(place):
        inside = characters[place == number]
        low, high = int(inside.min()), int(inside.max())
        named.append((f"{low:,} to {high:,} characters" if low < high else f"{low:,} characters", place == number))
    return _tested(named, right)


def label_slices(targets: np.ndarray, right: np.ndarray, labels: list[str]) -> list[Slice]:
    """By gold label; a text with several labels is in the slice of each.

    Args:
        targets: (N,) ids, or (N, C) 0/1.
        right: (N,) bool.
        labels: C names.
    """
    member = (lambda i: targets[:, i] > 0.5) if targets.ndim == 2 else (lambda i: targets == i)
    return _tested([(name, member(i)) for i, name in enumerate(labels)], right)


def _tested(named: list[tuple[str, np.ndarray]], right: np.ndarray) -> list[Slice]:
    counts = [(name, int(inside.sum()), int(right[inside].sum())) for name, inside in named]
    whole, hits = len(right), int(right.sum())
    enough = [i for i, (_, rows, _) in enumerate(counts) if min(rows, whole - rows) >= FEWEST_ROWS]
    tested = corrected([_against_the_rest(counts[i][1], counts[i][2], whole, hits) for i in enough])
    found = dict(zip(enough, tested, strict=True))
    return [
        Slice(name, rows, right_here, of_share(right_here, rows), found.get(i))
        for i, (name, rows, right_here) in enumerate(counts)
        if rows
    ]


def _against_the_rest(rows: int, right: int, whole: int, hits: int) -> Difference:
    from scipy.stats import fisher_exact

    others, right_there = whole - rows, hits - right
    here, there = right / rows, right_there / others
    p = float(fisher_exact([[right, rows - right], [right_there, others - right_there]]).pvalue)
    error = float(np.sqrt(here * (1 - here) / rows + there * (1 - there) / others))
    return Difference(here - there, error, None, p, seeds=None, rows=whole)
