"""Processes that each hold a part of the weights (FSDP2): the sharded model, and full and sharded tensors.

A copy of the model is sharded, and the model itself waits on the CPU for the trained weights: FSDP2 has no way back.
Saved states hold full tensors, so that any number of such processes, or one that holds all weights, can go on.
"""

from __future__ import annotations

import sys
from copy import deepcopy
from typing import Any

from torch import Tensor, nn

from nlptl.models.encoder import Trainable, compile_layers, is_compiled


def copy_to_shard(accelerator: Any, model: Trainable) -> Trainable:
    """A copy on the CPU, for `accelerator.prepare`, which shards it layer by layer on the way to the device."""
    copy = deepcopy(model.cpu())
    if is_compiled(model):  # a copy is not
        compile_layers(copy)
    plugin = getattr(accelerator.state, "fsdp_plugin", None)
    if plugin is not None:
        plugin.transformer_cls_names_to_wrap = _layer_classes(copy)
    return copy


def full_tensor(tensor: Tensor) -> Tensor:
    """The tensor itself; of a sharded one all parts together, for which every process has to call this."""
    return tensor.full_tensor() if _is_sharded(tensor) else tensor  # type: ignore[attr-defined]


def shard_like(tensor: Tensor, other: Tensor) -> Tensor:
    """A full tensor that every process has; this process's part of it where `other` is sharded."""
    if not _is_sharded(other):
        return tensor
    from torch.distributed.tensor import distribute_tensor

    like: Any = other
    return distribute_tensor(tensor.to(other.device), like.device_mesh, like.placements, src_data_rank=None)


def _is_sharded(tensor: Tensor) -> bool:
    """Whether it is a DTensor; where nobody has imported their module, which takes a second, there are none."""
    loaded = sys.modules.get("torch.distributed.tensor")
    return loaded is not None and isinstance(tensor, loaded.DTensor)


def _layer_classes(model: Trainable) -> list[str]:
    """Class names of the encoder's layers; what is not in them (embeddings, heads) is one part by itself.

    Transformers' own list is empty for some architectures, and has embeddings, which a masked-LM head may share.
    """
    if model.encoder is None:
        return []
    stacks = [m for m in model.encoder.modules() if isinstance(m, nn.ModuleList) and len(m) == model.depth > 0]
    return sorted({type(layer).__name__ for stack in stacks for layer in stack})
