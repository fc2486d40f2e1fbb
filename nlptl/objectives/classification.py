"""Cross-entropy over labels, or focal loss, per row, so that batching never changes what a row weighs."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

LEAST = 1e-6
"""Of what is left to a probability of one."""


class Objective(Protocol):
    """A loss per row of a batch; the loop sums, weighs and normalises."""

    def __call__(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Losses (B,) float32 for logits (B, C) and the batch's targets."""


class Classification:
    """Softmax cross-entropy for class ids (B,), sigmoid cross-entropy for 0/1 targets (B, C).

    Focal loss (Lin et al. 2017) is (1 - p)^gamma times it, where p is the probability of the label that is right: of
    several labels at once, of each one's being there or not.

    Args:
        label_smoothing: share of the target spread evenly (Szegedy et al. 2016); for 0/1 targets, towards one half.
        class_weights: (C,) weight of each label's losses; None for equal weights.
        gamma: of the focal loss; 0 for none.
    """

    def __init__(self, label_smoothing: float = 0.0, class_weights: Tensor | None = None, gamma: float = 0.0) -> None:
        self.label_smoothing = label_smoothing
        self.class_weights = class_weights
        self.gamma = gamma

    def __call__(self, logits: Tensor, targets: Tensor) -> Tensor:
        logits = logits.float()
        weights = None if self.class_weights is None else self.class_weights.to(logits.device)
        if targets.is_floating_point():
            smooth = targets * (1 - self.label_smoothing) + 0.5 * self.label_smoothing
            losses = F.binary_cross_entropy_with_logits(logits, smooth, reduction="none")
            if self.gamma:
                losses = losses * torch.where(targets > 0.5, -logits, logits).sigmoid().clamp(min=LEAST) ** self.gamma
            return (losses if weights is None else losses * weights).sum(-1)
        losses = F.cross_entropy(
            logits, targets, weight=weights, label_smoothing=self.label_smoothing, reduction="none"
        )
        if self.gamma:
            right = logits.log_softmax(-1).gather(1, targets[:, None]).squeeze(1)
            # A probability of one leaves a gradient of 0 * infinity to a power below one.
            losses = losses * (-torch.expm1(right)).clamp(min=LEAST) ** self.gamma
        return losses


def balanced_weights(targets: np.ndarray, classes: int) -> Tensor:
    """(C,) weights in inverse proportion to the labels' rows, averaging one over the rows.

    Args:
        targets: (rows,) class ids, or (rows, C) 0/1.
        classes: C.
    """
    counts = np.bincount(targets, minlength=classes) if targets.ndim == 1 else targets.sum(0)
    counts = np.maximum(counts, 1)
    return torch.tensor(counts.sum() / (len(counts) * counts), dtype=torch.float32)
