"""Samples and halves of labelled rows, in which each label has its share."""

from __future__ import annotations

import numpy as np


def spread_sample(targets: np.ndarray, most: int, seed: int) -> np.ndarray:
    """At most so many rows, each label by its share and with one row at least, ascending.

    Args:
        targets: (N,) label ids.
        most: rows; more labels than that lose some.
        seed: of the draw.
    """
    if len(targets) <= most:
        return np.arange(len(targets))
    place = np.random.default_rng(seed).permutation(len(targets))
    order = place[np.argsort(targets[place], kind="stable")]
    _, counts = np.unique(targets, return_counts=True)
    rank = np.concatenate([np.arange(count) / count for count in counts])  # 0 for the first row of each label
    return np.sort(order[np.argsort(rank, kind="stable")[:most]])


def halves(targets: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Two halves of the rows, each label shared out evenly; ascending.

    Args:
        targets: (N,) label ids.
        seed: of the draw.
    """
    place = np.random.default_rng(seed).permutation(len(targets))
    order = place[np.argsort(targets[place], kind="stable")]
    return np.sort(order[::2]), np.sort(order[1::2])
