"""The objectives of pre-training: what each builds, what rows it learns from, and its defaults."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nlptl.data.text_corpus.vocabulary import continues_word
from nlptl.data.tokens.encoding import Encoded
from nlptl.errors import ConfigError
from nlptl.models.encoder import EncoderModel
from nlptl.models.masked_lm import MaskedLM, masked_lm_on, new_masked_lm, widen_vocabulary
from nlptl.models.sentence_encoder import DenoisingAutoencoder, SentenceEncoder, open_encoder
from nlptl.models.shapes import SHAPES
from nlptl.pretraining.config import ResolvedPretrain
from nlptl.training.examples.unlabelled import (
    ContrastiveExamples,
    DenoisingExamples,
    MaskedExamples,
    UnlabelledExamples,
)


@dataclass(frozen=True)
class Design:
    """What an objective is given to build on."""

    config: ResolvedPretrain
    checkpoint: Path | None
    """None: a new encoder."""
    tokenizer: Any
    pieces: list[list[int]]
    """Of each word new to the tokenizer, the ids of its former pieces."""
    pooling: str
    length: int
    """Most tokens of a row."""


@dataclass(frozen=True)
class PretrainObjective:
    """One way to learn from unlabelled text."""

    build: Callable[[Design], EncoderModel]
    rows: Callable[[Design, Encoded, int], UnlabelledExamples]
    """(design, texts, steps between evaluations)"""
    packed: bool
    """Whether texts are laid end to end unless `corpus.packed` says otherwise."""
    defaults: dict[str, Any]
    """Training settings that the user left open."""
    from_scratch: dict[str, Any] | None
    """The same for a new encoder, whose shape knows its rate; None: only a checkpoint can be learned on."""


def _masked_lm(design: Design) -> MaskedLM:
    if design.checkpoint is None:
        return new_masked_lm(SHAPES.get(str(design.config.shape)), design.tokenizer)
    model = masked_lm_on(design.checkpoint)
    widen_vocabulary(model.model, design.pieces, len(design.tokenizer))
    return model


def _encoder(design: Design) -> Any:
    assert design.checkpoint is not None  # `from_scratch` is None for the objectives that come here
    encoder = open_encoder(design.checkpoint)
    widen_vocabulary(encoder, design.pieces, len(design.tokenizer))
    return encoder


def _masked_rows(design: Design, encoded: Encoded, steps: int) -> MaskedExamples:
    details, tokenizer = design.config.details, design.tokenizer
    if tokenizer.mask_token_id is None:
        raise ConfigError("This checkpoint's tokenizer has no mask token. Use --objective simcse or tsdae.")
    continues = np.array(continues_word(tokenizer)) if details.whole_words else None
    return MaskedExamples(*_shared(design, encoded, steps), tokenizer.mask_token_id, details.mask, continues)


def _shared(design: Design, encoded: Encoded, steps: int) -> tuple[Encoded, int, int, int, np.ndarray]:
    special = np.zeros(len(design.tokenizer), bool)
    special[design.tokenizer.all_special_ids] = True
    return encoded, int(design.tokenizer.pad_token_id), design.config.seed, steps, special


MASKED_LM = PretrainObjective(
    _masked_lm,
    _masked_rows,
    packed=True,
    defaults={"epochs": 3, "batch_size": 32, "learning_rate": 5e-5, "head_learning_rate": 1e-3, "layer_decay": 1.0},
    from_scratch={"epochs": 10, "batch_size": 32, "layer_decay": 1.0},
)
SIMCSE = PretrainObjective(
    lambda design: SentenceEncoder(_encoder(design), design.pooling),
    lambda design, encoded, steps: ContrastiveExamples(
        *_shared(design, encoded, steps), design.config.details.temperature
    ),
    packed=False,
    defaults={"epochs": 1, "batch_size": 64, "learning_rate": 1e-5, "layer_decay": 1.0},
    from_scratch=None,
)
TSDAE = PretrainObjective(
    lambda design: DenoisingAutoencoder(_encoder(design), design.pooling, design.length),
    lambda design, encoded, steps: DenoisingExamples(*_shared(design, encoded, steps), design.config.details.deletion),
    packed=False,
    defaults={"epochs": 3, "batch_size": 32, "learning_rate": 1e-5, "head_learning_rate": 1e-3, "layer_decay": 1.0},
    from_scratch=None,
)
