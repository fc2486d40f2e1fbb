"""Denoising (TSDAE, Wang et al. 2021): a text with words missing must be told back from its one vector."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F


def delete_tokens(ids: np.ndarray, deletable: np.ndarray, share: float, rng: np.random.Generator) -> np.ndarray:
    """The row without some of its tokens, in order; at least one deletable token stays.

    Args:
        ids: (L,) token ids.
        deletable: (L,) bool, false for special tokens.
        share: of the deletable tokens.
        rng: draws them.
    """
    places = np.flatnonzero(deletable)
    gone = rng.choice(places, min(round(share * len(places)), max(len(places) - 1, 0)), replace=False)
    return np.delete(ids, gone)


def reconstruction_losses(logits: Tensor, targets: Tensor, real: Tensor) -> Tensor:
    """Mean cross-entropy of each row's tokens: (B,) float32.

    Args:
        logits: (B, L, V), position i predicting the i-th target.
        targets: (B, L) token ids.
        real: (B, L) bool, false for padding.
    """
    each = F.cross_entropy(logits.float().transpose(1, 2), targets, reduction="none")
    weights = real.to(torch.float32)
    return (each * weights).sum(1) / weights.sum(1).clamp(min=1)
