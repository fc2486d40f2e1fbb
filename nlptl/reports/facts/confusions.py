"""Which labels are taken for which."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Pair:
    """Rows of one label that were answered as another."""

    gold: str
    predicted: str
    rows: int
    of: int
    """Rows of the gold label."""


def confused_pairs(matrix: np.ndarray, labels: list[str], most: int = 15) -> list[Pair]:
    """The pairs with the most rows, the most frequent first.

    Args:
        matrix: (C, C) counts; rows: gold, columns: predicted.
        labels: C names.
        most: pairs.
    """
    wrong = matrix.copy()
    np.fill_diagonal(wrong, 0)
    order = np.argsort(-wrong, axis=None, kind="stable")[:most]
    places = [divmod(int(flat), len(labels)) for flat in order]
    return [Pair(labels[i], labels[j], int(wrong[i, j]), int(matrix[i].sum())) for i, j in places if wrong[i, j]]


def most_confused(matrix: np.ndarray, most: int) -> np.ndarray:
    """Ids, ascending, of the labels that take part in the most mistakes; all of them where there are no more."""
    if len(matrix) <= most:
        return np.arange(len(matrix))
    wrong = matrix.sum(0) + matrix.sum(1) - 2 * np.diag(matrix)
    return np.sort(np.argsort(-wrong, kind="stable")[:most])
