"""Cross-entropy over labels, per row, so that batching never changes what a row weighs."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F


class Objective(Protocol):
    """A loss per row of a batch; the loop sums, weighs and normalises."""

    def __call__(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Losses (B,) float32 for logits (B, C) and the batch's targets."""


class Classification:
    """Softmax cross-entropy for class ids (B,), sigmoid cross-entropy for 0/1 targets (B, C).

    Args:
        label_smoothing: share of the target spread evenly (Szegedy et al. 2016); for 0/1 targets, towards one half.
        class_weights: (C,) weight of each label's losses; None for equal weights.
    """

    def __init__(self, label_smoothing: float = 0.0, class_weights: Tensor | None = None) -> None:
        self.label_smoothing = label_smoothing
        self.class_weights = class_weights

    def __call__(self, logits: Tensor, targets: Tensor) -> Tensor:
        logits = logits.float()
        weights = None if self.class_weights is None else self.class_weights.to(logits.device)
        if targets.is_floating_point():
            smooth = targets * (1 - self.label_smoothing) + 0.5 * self.label_smoothing
            losses = F.binary_cross_entropy_with_logits(logits, smooth, reduction="none")
            return (losses if weights is None else losses * weights).sum(-1)
        return F.cross_entropy(logits, targets, weight=weights, label_smoothing=self.label_smoothing, reduction="none")


def balanced_weights(targets: np.ndarray, classes: int) -> Tensor:
    """(C,) weights in inverse proportion to the labels' rows, averaging one over the rows.

    Args:
        targets: (rows,) class ids, or (rows, C) 0/1.
        classes: C.
    """
    counts = np.bincount(targets, minlength=classes) if targets.ndim == 1 else targets.sum(0)
    counts = np.maximum(counts, 1)
    return torch.tensor(counts.sum() / (len(counts) * counts), dtype=torch.float32)
