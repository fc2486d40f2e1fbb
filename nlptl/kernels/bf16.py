"""Fewer roundings where autocast multiplies in bfloat16: activations stay in it, and weights are rounded once.

Autocast leaves embeddings in float32, and with them every sum that they enter: each layer's input is then rounded once
for each of its products, forward and backward. On GPUs it also normalises in float32, which moves twice the bytes.
Rounded as they leave the embeddings, activations stay in bfloat16 throughout; normalisation, softmax and pooling
compute in float32 inside, as before. float16, whose range is small, is left alone.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Lock
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nlptl.kernels.threads import one_thread

M = TypeVar("M", bound=nn.Module)


def use_for(model: Any) -> None:
    """Let a transformers model's embeddings and normalisations come out in the type that autocast computes in."""
    embeddings = getattr(model.base_model, "embeddings", None)
    if embeddings is None:
        return
    if _round_under_autocast not in embeddings._forward_hooks.values():
        embeddings.register_forward_hook(_round_under_autocast)
    for module in model.modules():
        if type(module) is nn.LayerNorm and module.elementwise_affine:
            module.__class__ = NarrowLayerNorm


class NarrowLayerNorm(nn.LayerNorm):
    """A normalisation whose output is bfloat16 where its input is: (..., H) to (..., H)."""

    def forward(self, states: Tensor) -> Tensor:
        if states.device.type != "cuda" or states.dtype != torch.bfloat16:
            return super().forward(states)
        with torch.autocast("cuda", enabled=False):
            weight = self.weight.to(states.dtype)
            bias = None if self.bias is None else self.bias.to(states.dtype)
            return F.layer_norm(states, self.normalized_shape, weight, bias, self.eps)


def _round_under_autocast(module: Any, inputs: Any, embedded: Any) -> Any:
    device = embedded.device.type if isinstance(embedded, Tensor) else ""
    if device not in ("cpu", "cuda") or not torch.is_autocast_enabled(device):
        return embedded
    dtype = torch.get_autocast_dtype(device)
    return embedded.to(dtype) if dtype == torch.bfloat16 else embedded


@dataclass
class _Rounded:
    """The exact weights of a model whose rounded ones are in use, and by how many at a time."""

    exact: list[tuple[nn.Parameter, Tensor]]
    users: int = 1


_Way = tuple[torch.dtype, bool]
_lock = Lock()
_in_use: WeakKeyDictionary[nn.Module, dict[_Way, _Rounded]] = WeakKeyDictionary()


@contextmanager
def linear_weights_in(dtype: torch.dtype | None, model: nn.Module, frozen_alone: bool = False) -> Iterator[None]:
    """Hold the weights of linear layers in the type that autocast multiplies them in, while this lasts.

    Autocast would round them anew in every forward pass; rounded once, they give the same products. Several threads
    may do this with one model at the same time: the first one rounds, the last one puts the exact weights back.

    Args:
        dtype: bfloat16 or float16; None: nothing is rounded.
        model: its exact weights come back afterwards.
        frozen_alone: leave the weights that learn, for training; else nothing may learn meanwhile.
    """
    if dtype is None:
        yield
        return
    way = (dtype, frozen_alone)
    with _lock:
        ways = _in_use.setdefault(model, {})
        if way in ways:
            ways[way].users += 1
        else:
            ways[way] = _Rounded(_round(dtype, model, frozen_alone))
    try:
        yield
    finally:
        with _lock:
            rounded = ways[way]
            rounded.users -= 1
            if not rounded.users:
                del ways[way]
                for parameter, exact in rounded.exact:
                    parameter.data = exact


def _round(dtype: torch.dtype, model: nn.Module, frozen_alone: bool) -> list[tuple[nn.Parameter, Tensor]]:
    """Put rounded weights in place and return the exact ones."""
    chosen = [p for p in _linear_weights(model) if not (frozen_alone and p.requires_grad)]
    exact = [(parameter, parameter.data) for parameter in chosen]
    rounded = [data.to(dtype) for _, data in exact]  # all of them before any is put in place: memory may not suffice
    for (parameter, _), data in zip(exact, rounded, strict=True):
        parameter.data = data
    return exact


def rounded_copy(dtype: torch.dtype, model: M) -> M:
    """The model for forward passes alone, its linear layers' weights in the type that autocast multiplies them in.

    The original stays as it is, and may be used at the same time. Every other parameter and buffer is shared with it.

    Args:
        dtype: bfloat16 or float16.
        model: the original; it is returned itself where its weights are also needed exactly.
    """
    with one_thread():  # memory is the limit, and a short call then starts no threads
        narrow = {id(p): nn.Parameter(p.detach().to(dtype), requires_grad=False) for p in _linear_weights(model)}
    shared = {id(tensor): tensor for tensor in (*model.parameters(), *model.buffers())}
    return copy.deepcopy(model, {**shared, **narrow}) if narrow else model


def _linear_weights(model: nn.Module) -> list[nn.Parameter]:
    """The parameters that autocast rounds for each product; none where they are also needed exactly."""
    # DoRA also takes the norms of frozen weights, and those exactly.
    if any(len(getattr(layer, "lora_magnitude_vector", ())) for layer in model.modules()):
        return []
    layers = [layer for layer in model.modules() if isinstance(layer, nn.Linear)]
    # A parameter that two layers share is rounded, and comes back, once.
    return list({id(p): p for layer in layers for p in layer.parameters(recurse=False)}.values())
