"""BERT's encoder (Devlin et al. 2019) for prediction alone: the weights, names and arithmetic of transformers' own.

Importing transformers' models costs more time than importing PyTorch does, since they bring text generation, sharding
and the losses of every kind of model along. A call that predicts one text needs none of it.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional as F

from nlptl.kernels import attention

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {"gelu": F.gelu, "relu": F.relu}
Attend = Callable[[nn.Module, Tensor, Tensor, Tensor, Tensor | None], Tensor]
NOT_NEEDED = ("pooler.", "embeddings.position_ids")
"""What a file may hold besides: nothing that token states depend on."""


def open_plain(folder: Path, config: Any) -> PlainBert | None:
    """The encoder of a checkpoint folder, in eval mode and float32.

    Args:
        folder: of the checkpoint.
        config: its transformers configuration.

    Returns:
        None where this computes no such encoder, or the file does not hold exactly its tensors: transformers then opens
        it, or says what is wrong.
    """
    file = folder / "model.safetensors"
    plain = config.model_type == "bert" and config.hidden_act in ACTIVATIONS and not config.is_decoder
    if not plain or not file.is_file():
        return None
    encoder = PlainBert(config)
    try:
        weights = {name: data.float() for name, data in load_file(file).items() if not name.startswith(NOT_NEEDED)}
    except Exception:  # safetensors raises its own type without a public base
        return None
    if {name: t.shape for name, t in weights.items()} != {name: t.shape for name, t in encoder.state_dict().items()}:
        return None
    encoder.load_state_dict(weights, assign=True)
    return encoder.eval()


class PlainBert(nn.Module):
    """Token ids to last token states.

    Shapes: B texts, L tokens, H hidden.

    Args:
        config: a transformers `BertConfig`.
    """

    def __init__(self, config: Any) -> None:
        super().__init__()
        self.config = config
        self.embeddings = _Embeddings(config)
        self.encoder = _Stack(config)
        self.attend: Attend = attention.fused
        """How a layer attends; `nlptl.kernels` may put `attention.short_or_fused` in its place."""

    @property
    def base_model(self) -> PlainBert:
        """Itself, as a transformers model without a head says."""
        return self

    def forward(self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor | None = None) -> Any:
        """An object whose `last_hidden_state` is (B, L, H).

        Args:
            input_ids: (B, L).
            attention_mask: (B, L), 0 where there is no token.
            token_type_ids: (B, L); None: all 0.
        """
        mask = None if bool(attention_mask.all()) else attention_mask.bool()[:, None, None]
        states = self.encoder(self.embeddings(input_ids, token_type_ids), mask, self.attend)
        return SimpleNamespace(last_hidden_state=states)


class _Embedding(nn.Embedding):
    def reset_parameters(self) -> None:
        """Nothing: a file fills it."""


class _Linear(nn.Linear):
    def reset_parameters(self) -> None:
        """Nothing: a file fills it."""


class _Embeddings(nn.Module):
    def __init__(self, config: Any) -> None:
        super().__init__()
        self.word_embeddings = _Embedding(config.vocab_size, config.hidden_size)
        self.position_embeddings = _Embedding(config.max_position_embeddings, config.hidden_size)
        self.token_type_embeddings = _Embedding(config.type_vocab_size, config.hidden_size)
        self.LayerNorm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)

    def forward(self, ids: Tensor, types: Tensor | None) -> Tensor:
        positions = torch.arange(ids.shape[1], device=ids.device)[None]
        types = torch.zeros_like(ids) if types is None else types
        states = self.word_embeddings(ids) + self.token_type_embeddings(types) + self.position_embeddings(positions)
        normalised: Tensor = self.LayerNorm(states)
        return normalised


class _Stack(nn.Module):
    def __init__(self, config: Any) -> None:
        super().__init__()
        self.layer = nn.ModuleList(_Layer(config) for _ in range(config.num_hidden_layers))

    def forward(self, states: Tensor, mask: Tensor | None, attend: Attend) -> Tensor:
        for layer in self.layer:
            states = layer(states, mask, attend)
        return states


class _Layer(nn.Module):
    def __init__(self, config: Any) -> None:
        super().__init__()
        self.attention = _Attention(config)
        self.intermediate = _Intermediate(config)
        self.output = _Sum(config.intermediate_size, config.hidden_size, config.layer_norm_eps)

    def forward(self, states: Tensor, mask: Tensor | None, attend: Attend) -> Tensor:
        states = self.attention(states, mask, attend)
        result: Tensor = self.output(self.intermediate(states), states)
        return result


class _Attention(nn.Module):
    def __init__(self, config: Any) -> None:
        super().__init__()
        self.self = _Projections(config)
        self.output = _Sum(config.hidden_size, config.hidden_size, config.layer_norm_eps)

    def forward(self, states: Tensor, mask: Tensor | None, attend: Attend) -> Tensor:
        query, key, value = self.self(states)
        result: Tensor = self.output(attend(self, query, key, value, mask).flatten(2), states)
        return result


class _Projections(nn.Module):
    def __init__(self, config: Any) -> None:
        super().__init__()
        self.heads = config.num_attention_heads
        self.query, self.key, self.value = (_Linear(config.hidden_size, config.hidden_size) for _ in range(3))

    def forward(self, states: Tensor) -> list[Tensor]:
        """Queries, keys and values, (B, heads, L, width) each."""
        projected = (linear(states) for linear in (self.query, self.key, self.value))
        return [each.unflatten(-1, (self.heads, -1)).transpose(1, 2) for each in projected]


class _Intermediate(nn.Module):
    def __init__(self, config: Any) -> None:
        super().__init__()
        self.dense = _Linear(config.hidden_size, config.intermediate_size)
        self.activation = ACTIVATIONS[config.hidden_act]

    def forward(self, states: Tensor) -> Tensor:
        return self.activation(self.dense(states))


class _Sum(nn.Module):
    """A linear layer, what went past it added, normalised."""

    def __init__(self, inputs: int, outputs: int, eps: float) -> None:
        super().__init__()
        self.dense = _Linear(inputs, outputs)
        self.LayerNorm = nn.LayerNorm(outputs, eps=eps)

    def forward(self, states: Tensor, past: Tensor) -> Tensor:
        normalised: Tensor = self.LayerNorm(self.dense(states) + past)
        return normalised
