"""An encoder under a masked-LM head: built in a chosen shape, or on a checkpoint."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from nlptl.kernels.inputs import Inputs
from nlptl.models.encoder import EncoderModel
from nlptl.models.opening import encoder_config, open_model, quiet
from nlptl.models.shapes import Shape

POSITIONS = 512


class MaskedLM(EncoderModel):
    """The architecture's own masked-LM model, whose head sees the masked positions only.

    Args:
        model: a transformers `...ForMaskedLM`.
        fresh: names of its parameters that the checkpoint did not hold.
    """

    def __init__(self, model: Any, fresh: set[str]) -> None:
        super().__init__()
        self.model = model
        self._places: Tensor | None = None
        model.base_model.register_forward_hook(self._gather)
        self.brought_no_head = bool(fresh)
        """Whether some of the head started from noise."""
        self._note_own({f"model.{name}" for name in fresh})

    @property
    def encoder(self) -> Any:
        return self.model.base_model

    def forward(self, inputs: Inputs, places: Tensor) -> Tensor:
        """Logits (M, V) at M positions.

        Args:
            inputs: of the encoder, (B, L).
            places: (M,) positions as `row * L + column`.
        """
        self._places = places
        logits: Tensor = self.model(**inputs).logits
        return logits[0]

    def _gather(self, _: Any, __: Any, output: Any) -> Any:
        """Most of a small encoder's work is the head over the whole vocabulary; six of seven positions need none."""
        output.last_hidden_state = output.last_hidden_state.flatten(0, 1)[self._places].unsqueeze(0)
        return output

    def freeze_encoder(self, frozen: bool) -> None:
        """Leave learning to what is the model's own, or let everything learn again."""
        own = {id(parameter) for parameter in self.own.values()}
        for parameter in self.parameters():
            parameter.requires_grad_(not frozen or id(parameter) in own)

    def save(self, folder: Path) -> None:
        """Write encoder and head as transformers does."""
        with quiet():
            self.model.save_pretrained(folder)


def new_masked_lm(shape: Shape, tokenizer: Any) -> MaskedLM:
    """A BERT of this shape from random weights, for this tokenizer.

    Weights start with a deviation of 1 / sqrt(hidden) rather than BERT's 0.02, which in narrow layers leaves attention
    blind for thousands of steps; and without dropout, since so small a model sees too little text to fit it by heart.
    """
    from transformers import BertConfig, BertForMaskedLM

    config = BertConfig(
        vocab_size=len(tokenizer),
        pad_token_id=tokenizer.pad_token_id,
        hidden_size=shape.hidden,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        intermediate_size=4 * shape.hidden,
        max_position_embeddings=POSITIONS,
        initializer_range=shape.hidden**-0.5,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
    )
    return MaskedLM(BertForMaskedLM(config), set())


def masked_lm_on(checkpoint: Path) -> MaskedLM:
    """A checkpoint under its masked-LM head; one that it lacks starts from noise, tied to the word embeddings.

    Raises:
        CheckpointError: the folder cannot be opened, or its architecture has no masked-LM model.
    """
    from transformers import AutoModelForMaskedLM

    return MaskedLM(*open_model(AutoModelForMaskedLM, checkpoint, encoder_config(checkpoint)))


def widen_vocabulary(model: Any, pieces: list[list[int]], size: int) -> None:
    """Give new words an embedding each: the mean of those of the pieces that they were split into.

    Args:
        model: a transformers model.
        pieces: per new word, the ids of its former pieces; new words have the tokenizer's last ids.
        size: of the tokenizer, new words included.
    """
    if not pieces:
        return
    # Some checkpoints have more embeddings than their tokenizer has pieces.
    model.resize_token_embeddings(max(size, model.config.vocab_size), mean_resizing=False)
    embeddings = model.get_input_embeddings().weight
    with torch.no_grad():
        embeddings[size - len(pieces) : size] = torch.stack([embeddings[ids].mean(0) for ids in pieces])
