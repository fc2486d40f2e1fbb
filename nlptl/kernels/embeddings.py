"""Word embeddings of the tokens that occur in training, in place of the whole table, while a training lasts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

MOST_USED = 0.5
"""Share of used rows up to which a table of its own pays."""


class UsedEmbedding(nn.Module):
    """A word embedding of which only some rows are trained: token ids (B, L) to (B, L, H).

    A token that no training text holds never gets a gradient. Leaving its row out of `weight` saves the zeros in its
    gradient, and their part in clipping, optimizer moments, exchange between processes and saved states; the row then
    keeps its pre-trained value, where AdamW's weight decay would have shrunk it a little. In eval mode every token is
    looked up in the full table.

    Args:
        full: (V, H); its rows of `used` are brought up to date whenever the module goes into eval mode.
        used: (U,) sorted token ids.
    """

    def __init__(self, full: nn.Embedding, used: Tensor) -> None:
        super().__init__()
        self._full = [full]  # in a list, so that its parameter is not this module's
        self.used = used
        self._places = torch.zeros(full.num_embeddings, dtype=torch.long, device=full.weight.device)
        self._places[used] = torch.arange(len(used), device=used.device)
        padded = full.padding_idx is not None and bool((used == full.padding_idx).any())
        self._padding = int(self._places[full.padding_idx]) if padded else None
        self.weight = nn.Parameter(full.weight.detach()[used].clone())

    def forward(self, ids: Tensor) -> Tensor:
        if self.training:
            return F.embedding(self._places[ids], self.weight, self._padding)
        embedded: Tensor = self._full[0](ids)
        return embedded

    def train(self, mode: bool = True) -> UsedEmbedding:
        super().train(mode)
        if not mode:
            self.write_back()
        return self

    def write_back(self) -> nn.Embedding:
        """The full embedding, with the learned rows written into it."""
        full = self._full[0]
        with torch.no_grad():
            full.weight[self.used] = self.weight
        return full


@contextmanager
def only_used_words(encoder: Any, tokens: np.ndarray | None) -> Iterator[None]:
    """Train no rows of the encoder's word embedding but those of these tokens, while this lasts.

    Nothing changes where that would not pay or is not possible: an embedding that is frozen, of another type than
    `nn.Embedding`, or of which half or more is used.

    Args:
        encoder: a transformers model.
        tokens: (U,) ids that training can meet; None: not known.
    """
    full: Any = encoder.get_input_embeddings() if tokens is not None else None
    if tokens is None or not _can_shrink(full) or len(tokens) > MOST_USED * full.num_embeddings:
        yield
        return
    encoder.set_input_embeddings(UsedEmbedding(full, torch.from_numpy(tokens).to(full.weight.device)))
    try:
        yield
    finally:
        encoder.set_input_embeddings(encoder.get_input_embeddings().write_back())


def used_rows(model: nn.Module) -> dict[str, Tensor]:
    """Parameters of which only some rows are trained, by name, and those rows (U,)."""
    return {f"{name}.weight": m.used for name, m in model.named_modules() if isinstance(m, UsedEmbedding)}


def _can_shrink(full: Any) -> bool:
    plain = type(full) is nn.Embedding and full.max_norm is None and not (full.scale_grad_by_freq or full.sparse)
    return plain and full.weight.requires_grad
