"""Encoders whose one vector per text learns without labels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nlptl.errors import CheckpointError
from nlptl.kernels.inputs import Inputs
from nlptl.models.classifier import mean_states
from nlptl.models.encoder import EncoderModel
from nlptl.models.opening import drop_pooler, encoder_class, encoder_config, open_model, quiet


class SentenceEncoder(EncoderModel):
    """Encoder and pooling, no head.

    Args:
        encoder: a transformers encoder.
        pooling: `mean` over the token states, or `cls`, the first one.
    """

    def __init__(self, encoder: Any, pooling: str) -> None:
        super().__init__()
        drop_pooler(encoder)
        self._encoder = encoder
        self.pooling = pooling
        self.own = {}

    @property
    def encoder(self) -> Any:
        return self._encoder

    def forward(self, inputs: Inputs) -> Tensor:
        """One vector per text: (B, H)."""
        states: Tensor = self._encoder(**inputs).last_hidden_state
        return states[:, 0] if self.pooling == "cls" else mean_states(states, inputs["attention_mask"])

    def save(self, folder: Path) -> None:
        """Write the encoder as transformers does."""
        with quiet():
            self._encoder.save_pretrained(folder)


class DenoisingAutoencoder(SentenceEncoder):
    """A sentence encoder, and one decoder layer that must tell a text back from the sentence's vector alone.

    TSDAE (Wang et al. 2021) with a small decoder of its own instead of a copy of the encoder, so that any
    architecture can be the encoder; the word embeddings are shared. The decoder is thrown away after training.

    Args:
        encoder: a transformers encoder.
        pooling: `mean` or `cls`.
        length: most tokens of a text.
    """

    def __init__(self, encoder: Any, pooling: str, length: int) -> None:
        super().__init__(encoder, pooling)
        width = encoder.get_input_embeddings().embedding_dim
        if width != encoder.config.hidden_size:
            raise CheckpointError(
                f"tsdae needs word embeddings as wide as the states; this checkpoint has {width} and "
                f"{encoder.config.hidden_size}. Use --objective simcse or masked_lm."
            )
        heads = encoder.config.num_attention_heads
        self.positions = nn.Embedding(length, width)
        nn.init.normal_(self.positions.weight, std=0.02)
        self.decoder = nn.TransformerDecoderLayer(width, heads, 4 * width, batch_first=True, activation="gelu")
        self.normalise = nn.LayerNorm(width)
        self._note_own(set())

    def forward(self, inputs: Inputs, told: Tensor | None = None) -> Tensor:
        """Logits (B, L, V) of each next token, or the vectors (B, H) if nothing is told.

        Args:
            inputs: the damaged text.
            told: (B, L) the whole text's tokens before each predicted one.
        """
        vectors = super().forward(inputs)
        if told is None:
            return vectors
        table = self._encoder.get_input_embeddings().weight
        columns = torch.arange(told.shape[1], device=told.device)
        states = self.normalise(F.embedding(told, table) + self.positions(columns))
        later = nn.Transformer.generate_square_subsequent_mask(told.shape[1], device=told.device)
        states = self.decoder(states, vectors.to(states.dtype).unsqueeze(1), tgt_mask=later, tgt_is_causal=True)
        return F.linear(states, table)


def open_encoder(checkpoint: Path) -> Any:
    """A checkpoint's encoder, with the dropout it was trained with.

    Raises:
        CheckpointError: the folder cannot be opened.
    """
    config = encoder_config(checkpoint)
    return open_model(encoder_class(config), checkpoint, config)[0]
