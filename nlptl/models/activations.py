"""Activations in bfloat16 from the embeddings on, where a CPU multiplies in bfloat16.

Autocast leaves embeddings in float32, and with them every sum that they enter: each layer's input is then rounded once
for each of its products, forward and backward. Rounded as they leave the embeddings, they stay narrow throughout;
normalisation, softmax and pooling compute in float32 inside, as before. GPUs normalise in float32 under autocast and
are left alone.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def use_for(model: Any) -> None:
    """Let a transformers model's embeddings come out in the type that autocast computes in, on CPUs."""
    embeddings = getattr(model.base_model, "embeddings", None)
    if embeddings is not None:
        embeddings.register_forward_hook(_rounded)


def _rounded(module: Any, inputs: Any, embedded: Any) -> Any:
    if isinstance(embedded, Tensor) and embedded.device.type == "cpu" and torch.is_autocast_enabled("cpu"):
        return embedded.to(torch.get_autocast_dtype("cpu"))
    return embedded
