"""Low-rank adapters with fewer passes over large activations than PEFT's own forward makes."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def fuse_adapters(model: nn.Module) -> None:
    """Let the plain LoRA layers of a model compute W x + b + s B A x in two fused products, with PEFT's result.

    PEFT casts each input to the adapter's float32, which autocast casts back for the next product, and scales and adds
    the outputs one after the other; each of these steps passes over an activation as large as the layer's output. Here
    the second product adds into the first and scales at the same time (Hu et al. 2021 for the formula). Layers with
    DoRA or with a dropout of their own keep PEFT's forward. Layers that were fused before stay as they are.
    """
    layers = [layer for layer in model.modules() if hasattr(layer, "lora_A") and "forward" not in vars(layer)]
    if not layers:
        return
    from peft.tuners.lora import Linear

    for layer in layers:
        if isinstance(layer, Linear) and len(layer.active_adapters) == 1:
            name = layer.active_adapters[0]
            plain = isinstance(layer.lora_dropout[name], nn.Identity) and not layer.use_dora.get(name)
            if plain and name not in layer.lora_variant:
                layer.forward = partial(_fused_forward, layer, layer.forward, name)


def _fused_forward(layer: Any, plain_forward: Any, name: str, inputs: Tensor, *rest: Any) -> Tensor:
    """(..., in) to (..., out)."""
    if layer.disable_adapters or layer.merged or rest:
        ordinary: Tensor = plain_forward(inputs, *rest)
        return ordinary
    base: Tensor = layer.base_layer(inputs)
    inner = F.linear(inputs, layer.lora_A[name].weight)
    added = torch.addmm(
        base.flatten(0, -2), inner.flatten(0, -2), layer.lora_B[name].weight.T, alpha=layer.scaling[name]
    )
    return added.view_as(base)
