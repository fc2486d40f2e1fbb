"""Low-rank adapters with fewer passes over large activations than PEFT's own forward makes."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def fuse_adapters(model: nn.Module) -> None:
    """Let the plain LoRA layers of a model compute W x + b + s B A x in place of PEFT's steps, same result.

    PEFT turns each input into the adapter's float32, which autocast turns back for the next product, and scales and
    adds outputs one after the other, each a pass over an activation as large as the layer's output. Here the second
    product adds into the first and scales on the way. Layers with DoRA or a dropout of their own stay as they are.
    """
    from peft.tuners.lora import Linear

    for layer in model.modules():
        if isinstance(layer, Linear) and len(layer.active_adapters) == 1:
            name = layer.active_adapters[0]
            plain = isinstance(layer.lora_dropout[name], nn.Identity) and not layer.use_dora.get(name)
            if plain and name not in layer.lora_variant:
                layer.forward = partial(_adapted, layer, layer.forward, name)


def _adapted(layer: Any, usual: Any, name: str, inputs: Tensor, *rest: Any) -> Tensor:
    """(..., in) to (..., out)."""
    if layer.disable_adapters or layer.merged or rest:
        ordinary: Tensor = usual(inputs, *rest)
        return ordinary
    base: Tensor = layer.base_layer(inputs)
    inner = F.linear(inputs, layer.lora_A[name].weight)
    added = torch.addmm(
        base.flatten(0, -2), inner.flatten(0, -2), layer.lora_B[name].weight.T, alpha=layer.scaling[name]
    )
    return added.view_as(base)
