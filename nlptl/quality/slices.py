"""Groups of rows (by length, script, or a column of the data) and how well each is told, by models of other folds."""

from __future__ import annotations

import math
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from nlptl.data.audit import is_empty
from nlptl.evaluation.intervals import Interval, of_share
from nlptl.evaluation.significance import Difference, corrected

FEWEST = 20
"""Rows of a slice; of fewer an accuracy says nothing."""
MOST_VALUES = 12
EAST_ASIAN = dict.fromkeys(("Cjk", "Hiragana", "Katakana"), "Chinese or Japanese")


class Slice(NamedTuple):
    """Rows that have something in common, beside all the others."""

    name: str
    value: str
    rows: int
    accuracy: float
    interval: Interval | None
    against: Difference
    """Accuracy of these rows less that of the others, after Holm's correction for all slices."""


def measure_slices(right: np.ndarray, groups: Mapping[str, Sequence[str]]) -> list[Slice]:
    """Accuracy of each group of rows, and whether it differs from that of the other rows.

    Args:
        right: (M,) bool, whether the out-of-fold answer is the row's label.
        groups: name of what the rows are grouped by -> (M,) the group of each.
    """
    found: list[tuple[str, str, np.ndarray]] = []
    for name, values in groups.items():
        column = np.array(values, dtype=object)
        for value, count in Counter(values).items():
            if FEWEST <= count <= len(right) - FEWEST:
                found.append((name, value, column == value))
    tested = corrected([_against_others(right, mask) for _, _, mask in found])
    slices = [
        Slice(name, value, int(mask.sum()), float(right[mask].mean()), of_share(right[mask].sum(), mask.sum()), against)
        for (name, value, mask), against in zip(found, tested, strict=True)
    ]
    return sorted(slices, key=lambda each: (list(groups).index(each.name), each.accuracy))


def length_groups(texts: Sequence[str]) -> list[str]:
    """For each text the range of words that it falls in; a quarter of the texts is in each."""
    words = np.array([len(text.split()) for text in texts])
    edges = np.unique(np.quantile(words, [0.25, 0.5, 0.75], method="higher"))
    return [_range(edges.tolist(), count) for count in words]


def script_of(text: str) -> str:
    """The script of most letters, such as Latin or Cyrillic; `mixed` where a second one has a fifth of them."""
    names = (
        unicodedata.name(letter, "other").replace("-", " ").split()[0].title() for letter in text if letter.isalpha()
    )
    counts = Counter(EAST_ASIAN.get(name, name) for name in names)
    if not counts:
        return "no letters"
    (first, _), *others = counts.most_common(2)
    return "mixed" if others and others[0][1] >= 0.2 * counts.total() else first


def column_groups(cells: Sequence[Any]) -> list[str]:
    """The groups of a column: its values, ranges of its numbers, or its most frequent values and all others."""
    shown = ["(empty)" if is_empty(cell) else str(cell) for cell in cells]
    if len(set(shown)) <= MOST_VALUES:
        return shown
    numbers = [_number(text) for text in shown]
    known = [number for number in numbers if number is not None]
    if len(known) >= 0.9 * len(shown):
        edges = np.unique(np.quantile(known, [0.25, 0.5, 0.75])).tolist()
        return ["no number" if number is None else _range(edges, number, "") for number in numbers]
    kept = {value for value, _ in Counter(shown).most_common(MOST_VALUES)}
    return [value if value in kept else "(others)" for value in shown]


def _against_others(right: np.ndarray, mask: np.ndarray) -> Difference:
    from scipy.stats import fisher_exact

    inside, outside = right[mask], right[~mask]
    one, other = float(inside.mean()), float(outside.mean())
    error = math.sqrt(one * (1 - one) / len(inside) + other * (1 - other) / len(outside))
    table = [[int(part.sum()), int((~part).sum())] for part in (inside, outside)]
    p = float(fisher_exact(table).pvalue)
    return Difference(one - other, error, 1.96 * error if error else None, p, seeds=None, rows=len(right))


def _range(edges: list[float], value: float, unit: str = " words") -> str:
    place = sum(value > edge for edge in edges)
    if place == 0:
        return f"up to {edges[0]:g}{unit}"
    low = f"over {edges[place - 1]:g}"
    return f"{low}{unit}" if place == len(edges) else f"{low} to {edges[place]:g}{unit}"


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None
