"""What a model need not carry while it works: words that never occur, and weights in more than it computes in.

Both change where numbers lie, not what is computed, for as long as one training or one series of passes lasts.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

# Looking tokens up in a smaller table pays when it is much smaller.
WORTH = 0.5


class UsedEmbedding(nn.Module):
    """A word embedding of which only some rows are trained: token ids (B, L) to (B, L, H).

    A token that no training text holds never gets a gradient. Leaving its row out of `weight` spares the zeros in its
    gradient, and their part in clipping, moments, exchange and saved states; the row then keeps what pre-training gave
    it, where AdamW's weight decay would have shrunk it a little. In eval mode every token is looked up.

    Args:
        whole: (V, H); its rows of `used` are brought up to date whenever the module goes into eval mode.
        used: (U,) sorted token ids.
    """

    def __init__(self, whole: nn.Embedding, used: Tensor) -> None:
        super().__init__()
        self._whole = [whole]  # in a list, so that its parameter is not this module's
        self.used = used
        self._places = torch.zeros(whole.num_embeddings, dtype=torch.long, device=whole.weight.device)
        self._places[used] = torch.arange(len(used), device=used.device)
        padded = whole.padding_idx is not None and bool((used == whole.padding_idx).any())
        self._padding = int(self._places[whole.padding_idx]) if padded else None
        self.weight = nn.Parameter(whole.weight.detach()[used].clone())

    def forward(self, ids: Tensor) -> Tensor:
        if self.training:
            return F.embedding(self._places[ids], self.weight, self._padding)
        embedded: Tensor = self._whole[0](ids)
        return embedded

    def train(self, mode: bool = True) -> UsedEmbedding:
        super().train(mode)
        if not mode:
            self.put_back()
        return self

    def put_back(self) -> nn.Embedding:
        """The whole embedding, with what was learned in its place."""
        whole = self._whole[0]
        with torch.no_grad():
            whole.weight[self.used] = self.weight
        return whole


@contextmanager
def only_used_words(encoder: Any, tokens: np.ndarray | None) -> Iterator[None]:
    """Train no rows of the encoder's word embedding but those of these tokens, while this lasts.

    Nothing changes where that would not pay or is not possible: an embedding that is frozen, shared with an output
    layer, of another type than `nn.Embedding`, or used by half or more.

    Args:
        encoder: a transformers model.
        tokens: (U,) ids that training can meet; None: not known.
    """
    whole: Any = encoder.get_input_embeddings() if tokens is not None else None
    if tokens is None or not _can_shrink(whole) or len(tokens) > WORTH * whole.num_embeddings:
        yield
        return
    encoder.set_input_embeddings(UsedEmbedding(whole, torch.from_numpy(tokens).to(whole.weight.device)))
    try:
        yield
    finally:
        encoder.set_input_embeddings(encoder.get_input_embeddings().put_back())


def used_rows(model: nn.Module) -> dict[str, Tensor]:
    """Parameters of which only some rows are trained, by name, and those rows (U,)."""
    return {f"{name}.weight": m.used for name, m in model.named_modules() if isinstance(m, UsedEmbedding)}


def _can_shrink(whole: Any) -> bool:
    plain = type(whole) is nn.Embedding and whole.max_norm is None and not (whole.scale_grad_by_freq or whole.sparse)
    return plain and whole.weight.requires_grad


@contextmanager
def linear_weights_in(dtype: torch.dtype | None, model: nn.Module, frozen_alone: bool = False) -> Iterator[None]:
    """Hold the weights of linear layers in the type that autocast multiplies them in, while this lasts.

    Autocast would round them anew in every forward pass; rounded once, they give the same products.

    Args:
        dtype: bfloat16 or float16; None: nothing is rounded.
        model: its exact weights come back afterwards.
        frozen_alone: leave those that learn, for training; else nothing may learn meanwhile.
    """
    held: list[tuple[nn.Parameter, Tensor]] = []
    # DoRA also takes the norms of frozen weights, and those exactly.
    exactly = any(len(getattr(layer, "lora_magnitude_vector", ())) for layer in model.modules())
    for layer in model.modules() if dtype is not None and not exactly else ():
        if isinstance(layer, nn.Linear):
            parameters = layer.parameters(recurse=False)
            held += [(p, p.data) for p in parameters if not (frozen_alone and p.requires_grad)]
    for parameter, exact in held:
        parameter.data = exact.to(dtype)
    try:
        yield
    finally:
        for parameter, exact in held:
            parameter.data = exact
