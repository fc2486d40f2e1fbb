"""Labels that are taken for each other, which may be one label, or need a clearer definition."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from nlptl.evaluation.intervals import Interval, of_share

FEWEST = 3
"""Rows that two labels must be confused in."""


class Confusion(NamedTuple):
    """Two labels, and their rows that out-of-fold answers give the other one."""

    first: int
    second: int
    as_second: int
    """Rows of the first that are taken for the second."""
    as_first: int
    """Rows of the second that are taken for the first."""
    rows: int
    """Of both labels."""
    share: float
    interval: Interval | None


def confused_pairs(predicted: np.ndarray, targets: np.ndarray, labels: int) -> list[Confusion]:
    """Pairs of labels by the share of their rows that are taken for the other one, the largest first.

    Args:
        predicted: (M,) out-of-fold answers.
        targets: (M,) labels.
        labels: their number.
    """
    table = np.zeros((labels, labels), np.int64)
    np.add.at(table, (targets, predicted), 1)
    rows = np.bincount(targets, minlength=labels)
    both = table + table.T
    found = [
        Confusion(
            int(i),
            int(j),
            int(table[i, j]),
            int(table[j, i]),
            int(rows[i] + rows[j]),
            float(both[i, j] / (rows[i] + rows[j])),
            of_share(both[i, j], rows[i] + rows[j]),
        )
        for i, j in zip(*np.nonzero(np.triu(both, 1) >= FEWEST), strict=True)
    ]
    return sorted(found, key=lambda each: -each.share)
