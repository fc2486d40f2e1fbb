"""Probabilities of logits, and how likely they make the gold labels."""

from __future__ import annotations

import numpy as np

# A probability counts as no less in a loss: one row that the model held impossible must not drown all others.
LEAST_PROBABILITY = 1e-12


def probabilities_of(logits: np.ndarray, multi_label: bool) -> np.ndarray:
    """Softmax (or sigmoid, for several labels at once) of (N, C) logits, in float64 for stability, as float32."""
    import torch

    wide = torch.from_numpy(logits.astype(np.float64))
    return (wide.sigmoid() if multi_label else wide.softmax(1)).numpy().astype(np.float32)


def mean_loss(probabilities: np.ndarray, targets: np.ndarray) -> float:
    """Mean negative log-likelihood; for several labels at once, summed over them. NaN without rows.

    scikit-learn's `log_loss` is the same for single labels, but knows no several labels and builds an (N, C) matrix.

    Args:
        probabilities: (N, C); values below 1e-12 count as that.
        targets: (N,) label ids, or (N, C) 0/1.
    """
    if not len(targets):
        return float("nan")
    if targets.ndim == 2:
        given = np.where(targets > 0.5, probabilities, 1.0 - probabilities)
        return float(-np.log(given.clip(LEAST_PROBABILITY, 1.0)).sum(1).mean())
    given = probabilities[np.arange(len(targets)), targets]
    return float(-np.log(given.clip(LEAST_PROBABILITY, 1.0)).mean())
