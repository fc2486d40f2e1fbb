"""Texts that are far from all others: often of another language, of another task, or no text at all."""

from __future__ import annotations

import numpy as np
import torch

NEIGHBOURS = 5
BLOCK = 1024
FENCE = 3.0
"""Interquartile ranges above the third quartile, from where a distance is far out (Tukey 1977)."""


def neighbour_distances(vectors: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """(N,) mean cosine distance of each text to its nearest others; near-duplicates of it do not count.

    Args:
        vectors: (N, H) embeddings.
        groups: (N,) of near-duplicates, which would vouch for each other.
    """
    _, representatives = np.unique(groups, return_index=True)
    units = torch.nn.functional.normalize(torch.from_numpy(vectors), dim=1)
    others, own = units[representatives], torch.from_numpy(groups)
    names = own[representatives]
    most = min(NEIGHBOURS, len(representatives) - 1)
    found = torch.zeros(len(units))
    for start in range(0, len(units), BLOCK):
        cosines = units[start : start + BLOCK] @ others.T
        cosines[own[start : start + BLOCK, None] == names[None]] = -1.0
        found[start : start + BLOCK] = 1 - cosines.topk(most, dim=1).values.mean(1)
    return np.asarray(found.numpy())


def far_out(distances: np.ndarray) -> tuple[np.ndarray, float]:
    """Rows that are farther out than the others spread, the farthest first; and the distance from where that is."""
    low, high = np.quantile(distances, [0.25, 0.75])
    fence = float(high + FENCE * (high - low))
    order = np.argsort(-distances, kind="stable")
    return order[distances[order] > fence], fence
