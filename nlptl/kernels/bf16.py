"""Activations in bfloat16 from the embeddings on, where autocast multiplies in bfloat16.

Autocast leaves embeddings in float32, and with them every sum that they enter: each layer's input is then rounded once
for each of its products, forward and backward. On GPUs it also normalises in float32, which moves twice the bytes.
Rounded as they leave the embeddings, activations stay narrow throughout; normalisation, softmax and pooling compute in
float32 inside, as before. float16, whose range is small, is left alone.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def use_for(model: Any) -> None:
    """Let a transformers model's embeddings and normalisations come out in the type that autocast computes in."""
    embeddings = getattr(model.base_model, "embeddings", None)
    if embeddings is None:
        return
    embeddings.register_forward_hook(_rounded)
    for module in model.modules():
        if type(module) is nn.LayerNorm and module.elementwise_affine:
            module.__class__ = NarrowLayerNorm


class NarrowLayerNorm(nn.LayerNorm):
    """A normalisation that keeps bfloat16 as it comes: (..., H) to (..., H)."""

    def forward(self, states: Tensor) -> Tensor:
        if states.device.type != "cuda" or states.dtype != torch.bfloat16:
            return super().forward(states)
        with torch.autocast("cuda", enabled=False):
            weight = self.weight.to(states.dtype)
            bias = None if self.bias is None else self.bias.to(states.dtype)
            return F.layer_norm(states, self.normalized_shape, weight, bias, self.eps)


def _rounded(module: Any, inputs: Any, embedded: Any) -> Any:
    device = embedded.device.type if isinstance(embedded, Tensor) else ""
    if device not in ("cpu", "cuda") or not torch.is_autocast_enabled(device):
        return embedded
    dtype = torch.get_autocast_dtype(device)
    return embedded.to(dtype) if dtype == torch.bfloat16 else embedded
