"""Contrast inside a batch: a text's second view must be told from the other texts' (SimCSE, Gao et al. 2021)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def contrast_losses(first: Tensor, second: Tensor, temperature: float) -> Tensor:
    """-log softmax over the batch of cos(first_i, second_j) / temperature, at j = i: (B,) float32.

    Args:
        first: (B, H) one view of each text.
        second: (B, H) another view of the same texts; those of other rows are the negatives.
        temperature: divides the cosines.
    """
    one, other = F.normalize(first.float(), dim=-1), F.normalize(second.float(), dim=-1)
    cosines = one @ other.T / temperature
    return F.cross_entropy(cosines, torch.arange(len(cosines), device=cosines.device), reduction="none")
