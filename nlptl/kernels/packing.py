"""Texts without padding: the tokens of a batch end to end in one row, each text attending to itself alone.

Linear layers, normalisation and activations then compute real tokens only. Attention goes through FlashAttention's
kernel for texts of varying length (`torch.nn.attention.varlen`; Dao 2023) where it is available: CUDA from compute
capability 8.0, bf16 or fp16, no dropout inside attention. Everywhere else attention alone is padded, which gives the
same numbers.

Shapes: B texts, L tokens of the longest, T tokens of all, H hidden.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from nlptl.errors import ConfigError
from nlptl.kernels import attention
from nlptl.kernels.inputs import Inputs

NAME = "nlptl_packed"
NUMBERED_FROM_PADDING = ("roberta", "xlm-roberta", "camembert", "xlm-roberta-xl")
"""Architectures whose positions start at padding id + 1; elsewhere they start at 0."""
ARCHITECTURES = ("bert", "camembert", "distilbert", "electra", "roberta", "xlm-roberta")
"""Architectures whose tokens interact in attention only, and whose sequence classifier reads the first token."""
WIDEST_HEAD = 256


class Layout(NamedTuple):
    """Where each text lies in the row of all tokens (T = tokens of all texts)."""

    offsets: Tensor
    """(B + 1,) int32, where texts begin and the last one ends; filler texts, if there are any, come after them."""
    places: Tensor
    """(T,) int64, where each token would stand in the flattened padded batch (B * L)."""
    longest: int
    """L"""
    texts: int
    """B, without fillers."""

    @classmethod
    def of(cls, inputs: Inputs) -> Layout:
        """Of what `nlptl.data.tokens.encoding.collate` packed."""
        texts, longest = inputs["attention_mask"].shape
        return cls(inputs["offsets"], inputs["places"], longest, texts)

    def padded(self, tokens: Tensor) -> Tensor:
        """(T, ...) as (B, L, ...), fillers included, zeros where there is no token."""
        rows = len(self.offsets) - 1
        flat = tokens.new_zeros(rows * self.longest, *tokens.shape[1:]).index_copy(0, self.places, tokens)
        return flat.view(rows, self.longest, *tokens.shape[1:])


def is_packed(inputs: Inputs) -> bool:
    """Whether inputs are one row of all tokens."""
    return "places" in inputs


def check(config: Any) -> None:
    """See that an encoder can take packed inputs.

    Args:
        config: its transformers configuration.

    Raises:
        ConfigError: the architecture is none of `ARCHITECTURES`, or a decoder.
    """
    if config.model_type not in ARCHITECTURES or getattr(config, "is_decoder", False):
        raise ConfigError(
            f"runtime.packing is on, but this checkpoint's architecture ({config.model_type}) cannot be packed. "
            f"Possible with encoders of: {', '.join(ARCHITECTURES)}. Use --set runtime.packing=off."
        )


def pays(config: Any, device: torch.device, dtype: torch.dtype | None, dropout: float | None) -> bool:
    """Whether training on packed inputs is faster: where the kernel for texts of varying length serves.

    Args:
        config: the encoder's transformers configuration.
        device: that computes.
        dtype: what autocast computes in.
        dropout: that replaces the configuration's; None: it stays.
    """
    if config.model_type not in ARCHITECTURES or getattr(config, "is_decoder", False):
        return False
    inside = getattr(config, "attention_probs_dropout_prob", getattr(config, "attention_dropout", 0.0))
    width = config.hidden_size // config.num_attention_heads
    return _varlen_serves(device, dtype, width, inside if dropout is None else dropout)


def use_for(encoder: Any) -> None:
    """Let a transformers encoder take packed inputs beside padded ones.

    Raises:
        ConfigError: as `check`.
    """
    from transformers import AttentionInterface, AttentionMaskInterface
    from transformers.masking_utils import sdpa_mask

    check(encoder.config)
    AttentionInterface.register(NAME, attend)
    AttentionMaskInterface.register(NAME, sdpa_mask)
    encoder.set_attn_implementation(NAME)


def arguments(config: Any, inputs: Inputs) -> dict[str, Any]:
    """What a transformers model takes, of padded inputs or packed ones.

    Args:
        config: the encoder's.
        inputs: of `nlptl.data.tokens.encoding.collate`.
    """
    if not is_packed(inputs):
        return dict(inputs)
    layout = Layout.of(inputs)
    taken: dict[str, Any] = {name: inputs[name] for name in ("input_ids", "token_type_ids") if name in inputs}
    return taken | {"position_ids": _positions(config, inputs["input_ids"], layout), "layout": layout}


def token_states(encoder: Any, inputs: Inputs) -> Tensor:
    """Last token states (B, L, H), of padded inputs or packed ones; of the latter zeros stand for padding."""
    states: Tensor = encoder(**arguments(encoder.config, inputs)).last_hidden_state
    if not is_packed(inputs):
        return states
    layout = Layout.of(inputs)
    return layout.padded(states.squeeze(0))[: layout.texts]


def show_first_tokens(encoder: Any) -> None:
    """Let an encoder under a sequence classifier answer packed inputs as if each text were its first token: (B, 1, H).

    That is all such a classifier's head or pooler reads.
    """
    encoder.register_forward_hook(_first_tokens, with_kwargs=True)


def _first_tokens(encoder: Any, _: Any, given: dict[str, Any], output: Any) -> Any:
    layout = given.get("layout")
    if layout is None:
        return None
    firsts = layout.offsets[: layout.texts]
    output.last_hidden_state = output.last_hidden_state.squeeze(0).index_select(0, firsts).unsqueeze(1)
    if getattr(encoder, "pooler", None) is not None:
        output.pooler_output = encoder.pooler(output.last_hidden_state)
    return output


def _positions(config: Any, ids: Tensor, layout: Layout) -> Tensor:
    """(1, T) positions, restarting with each text."""
    if config.model_type not in NUMBERED_FROM_PADDING:
        return (layout.places % layout.longest).unsqueeze(0)
    # A padding token inside a text has the padding's position and is not counted, as in transformers.
    counted = (ids[0] != int(config.pad_token_id)).long()
    before = nn.functional.pad(counted.cumsum(0), (1, 0))
    number: Tensor = before[1:] - before.index_select(0, layout.offsets[:-1])[layout.places // layout.longest]
    return (number * counted + int(config.pad_token_id)).unsqueeze(0)


def attend(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    layout: Layout | None = None,
    **others: Any,
) -> tuple[Tensor, Tensor | None]:
    """transformers' attention interface; with a layout, for one row of all tokens.

    Args:
        module: the attention layer.
        query, key, value: (B, heads, L, width); packed: (1, heads, T, width).
        attention_mask: of padded inputs.
        dropout: of the attention weights.
        scaling: of the products; None: 1 / sqrt(width).
        layout: of packed inputs.
        others: belong to that interface; they are only handed back to it.

    Returns:
        (B, L, heads, width); packed: (1, T, heads, width).
    """
    if layout is None:
        return attention.attend(module, query, key, value, attention_mask, dropout=dropout, scaling=scaling, **others)
    # Picking the one row by its number instead would fill and copy a whole gradient for each.
    q, k, v = (tensor.squeeze(0).transpose(0, 1) for tensor in (query, key, value))
    if _varlen_serves(query.device, query.dtype, query.shape[-1], dropout):
        from torch.nn.attention import varlen

        offsets, longest = layout.offsets, layout.longest
        out = varlen.varlen_attn(q, k, v, offsets, offsets, longest, longest, scale=scaling)
        assert isinstance(out, Tensor)  # a pair only where it is asked for
        return out.unsqueeze(0), None
    q, k, v = (layout.padded(tensor).transpose(1, 2) for tensor in (q, k, v))
    columns = torch.arange(layout.longest, device=query.device)
    mask = (columns < layout.offsets.diff()[:, None])[:, None, None]
    out, _ = attention.attend(module, q, k, v, mask, dropout=dropout, scaling=scaling)
    return out.flatten(0, 1).index_select(0, layout.places).unsqueeze(0), None


def _varlen_serves(device: torch.device, dtype: torch.dtype | None, width: int, dropout: float) -> bool:
    return (
        device.type == "cuda"
        and torch.version.hip is None
        and dtype in (torch.bfloat16, torch.float16)
        and dropout == 0.0
        and width % 8 == 0
        and width <= WIDEST_HEAD
        and torch.cuda.get_device_capability(device) >= (8, 0)
    )
