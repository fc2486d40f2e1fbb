"""Masked language modelling (Devlin et al. 2019): hide some tokens, predict them."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

MASKED, RANDOM = 0.8, 0.9
"""Chosen tokens below the first share become the mask, below the second a random token; the rest stay."""


def choose_tokens(
    ids: np.ndarray,
    maskable: np.ndarray,
    share: float,
    rng: np.random.Generator,
    continues: np.ndarray | None = None,
) -> np.ndarray:
    """Positions of one row that are to be predicted: a share of them, at least one.

    Args:
        ids: (L,) token ids.
        maskable: (L,) bool, false for special tokens.
        share: of the maskable tokens.
        rng: draws them.
        continues: (V,) bool, whether a piece goes on with the word before it; given, words are chosen whole (and may
            exceed the share by part of a word).

    Returns:
        (K,) positions, ascending; K depends on the row's length only, or on its words; none if nothing is maskable.
    """
    places = np.flatnonzero(maskable)
    wanted = max(1, round(share * len(places)))
    if not len(places):
        return places
    if continues is None:
        return np.sort(rng.choice(places, wanted, replace=False))
    # A piece begins a word unless it continues the maskable piece right before it.
    begins = ~(continues[ids[places]] & np.r_[False, np.diff(places) == 1])
    word_of = np.cumsum(begins) - 1
    order = rng.permutation(int(word_of[-1]) + 1)
    sizes = np.bincount(word_of)[order]
    count = int(np.searchsorted(np.cumsum(sizes), wanted)) + 1
    return np.asarray(places[np.isin(word_of, order[:count])])


def hide_tokens(ids: np.ndarray, places: np.ndarray, mask_id: int, vocabulary: int, rng: np.random.Generator) -> None:
    """Replace the chosen tokens in place: 80 % by the mask, 10 % by a random token, 10 % not at all.

    Args:
        ids: (L,) token ids.
        places: (K,) positions.
        mask_id: the mask's id.
        vocabulary: number of ids to draw from.
        rng: draws.
    """
    fate = rng.random(len(places))
    ids[places[fate < MASKED]] = mask_id
    random = places[(fate >= MASKED) & (fate < RANDOM)]
    ids[random] = rng.integers(0, vocabulary, len(random))


def masked_lm_losses(logits: Tensor, targets: Tensor, row_of: Tensor, rows: int) -> Tensor:
    """Mean cross-entropy of each row's predicted tokens: (B,) float32; 0 for a row without any.

    Args:
        logits: (M, V) at the predicted positions of all rows.
        targets: (M,) the tokens that stood there.
        row_of: (M,) row of each position.
        rows: B.
    """
    each = F.cross_entropy(logits.float(), targets, reduction="none")
    total = torch.zeros(rows, device=each.device).index_add(0, row_of, each)
    return total / torch.bincount(row_of, minlength=rows).clamp(min=1)
