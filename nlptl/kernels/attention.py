"""Attention over short texts on a CPU in bfloat16: explicit matrix products where they beat PyTorch's fused kernel.

Up to which length they are faster depends on whether a backward pass follows, because the fused kernel's backward pass
is slow. Everything else goes to PyTorch's kernels as in transformers. `benchmarks/attention.py` measures both.
"""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

NAME = "nlptl_short_texts"
GPU_BACKENDS = [SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH]
"""All but cuDNN's, which plans anew for each new shape; batches of texts nearly all have a shape of their own."""
SHORT = 192
"""Tokens up to which the products are faster, forward and backward together."""
TINY = 32
"""Tokens from which on softmax is faster along rows than down columns."""
SHORT_FORWARD = 15 if torch.cpu.get_capabilities().get("amx_tile") else SHORT
"""The same for a forward pass alone: PyTorch's fused kernel is the faster one early where the processor has AMX."""


def attend(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    **others: Any,
) -> tuple[Tensor, Tensor | None]:
    """transformers' attention interface: query, key, value (B, heads, L, width) to (B, L, heads, width).

    `others` belongs to that interface and is only handed back to it.
    """
    if _products_serve(module, query, key, attention_mask, others):
        return products(module, query, key, value, attention_mask, dropout, scaling), None
    from transformers.integrations.sdpa_attention import sdpa_attention_forward

    with sdpa_kernel(GPU_BACKENDS) if query.device.type == "cuda" else nullcontext():
        fused: tuple[Tensor, Tensor | None] = sdpa_attention_forward(
            module, query, key, value, attention_mask, dropout=dropout, scaling=scaling, **others
        )
    return fused


def short_or_fused(module: nn.Module, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None) -> Tensor:
    """`attend` for `nlptl.models.plain_bert`, which knows no transformers: returns (B, L, heads, width)."""
    serves = _products_serve(module, query, key, mask, {"is_causal": False})
    return products(module, query, key, value, mask) if serves else fused(module, query, key, value, mask)


def fused(_: nn.Module, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None) -> Tensor:
    """PyTorch's own kernel: query, key, value (B, heads, L, width) to (B, L, heads, width)."""
    attended = nn.functional.scaled_dot_product_attention(query, key, value, mask, scale=query.shape[-1] ** -0.5)
    return attended.transpose(1, 2).contiguous()


def products(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
) -> Tensor:
    """softmax(scaling * Q K') V, each product explicit: (B, heads, L, width) three times to (B, L, heads, width).

    Args:
        module: the attention layer; dropout happens where it is in training mode.
        query, key, value: of as many heads and tokens each.
        attention_mask: bool, broadcast to (B, heads, L, L); where it is False, a token (row) does not see another.
        dropout: of the attention weights.
        scaling: None: 1 / sqrt(width).
    """
    # Along the rows of so short a text softmax cannot use the processor's wide registers; down its columns it can.
    upright = key.shape[2] < TINY
    rows, columns = (key, query) if upright else (query, key)
    scores = rows @ columns.transpose(2, 3) * (query.shape[-1] ** -0.5 if scaling is None else scaling)
    if attention_mask is not None:
        mask = attention_mask.transpose(2, 3) if upright else attention_mask
        scores = scores.masked_fill(~mask, torch.finfo(scores.dtype).min)
    # Both kernels sum in float32; autocast would make float32 copies of what goes into the second and comes out.
    with torch.autocast("cpu", enabled=False):
        weights = torch.softmax(scores.float(), 2).to(scores.dtype) if upright else torch.softmax(scores, 3)
    weights = nn.functional.dropout(weights, dropout, module.training)
    return ((weights.transpose(2, 3) if upright else weights) @ value).transpose(1, 2).contiguous()


def use_for(model: Any) -> None:
    """Let a model attend through `attend`, where transformers chose PyTorch's fused kernel for it.

    Args:
        model: a transformers model, or a `PlainBert`.
    """
    if hasattr(model, "attend"):
        model.attend = short_or_fused
        return
    from transformers import AttentionInterface, AttentionMaskInterface
    from transformers.masking_utils import sdpa_mask

    if model.config._attn_implementation != "sdpa":
        return
    AttentionInterface.register(NAME, attend)
    AttentionMaskInterface.register(NAME, sdpa_mask)
    model.set_attn_implementation(NAME)


def _products_serve(
    module: nn.Module, query: Tensor, key: Tensor, attention_mask: Tensor | None, others: dict[str, Any]
) -> bool:
    if query.device.type != "cpu" or query.dtype != torch.bfloat16:
        return False
    longest = SHORT if torch.is_grad_enabled() else SHORT_FORWARD
    if key.shape[2] > longest or query.shape[:2] != key.shape[:2] or others.get("position_bias") is not None:
        return False
    if attention_mask is not None:
        return attention_mask.dtype == torch.bool
    # Without a mask, a decoder's layer relies on the fused kernel's own causal mask.
    causal = others.get("is_causal")
    return not (getattr(module, "is_causal", True) if causal is None else causal)
