"""Where each token of a run's input stands in the text as it was given."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from nlptl.data.tokens.encoding import Encoded
from nlptl.data.tokens.long_texts import Pieces
from nlptl.errors import ConfigError
from nlptl.inference.words import AsRead, Span
from nlptl.runs.predictors import EncoderPredictor


class Place(NamedTuple):
    """Characters of a text."""

    text: int
    """0, or 1 for the second text of a pair."""
    span: Span
    """In the text as it was given."""


def token_places(encoder: EncoderPredictor, read: Sequence[AsRead], encoded: Encoded) -> list[list[Place | None]]:
    """Of each input that a text, or a pair, became, where its tokens stand; None for special tokens.

    Args:
        encoder: of the run.
        read: the text, or the pair, as the tokenizer gets it.
        encoded: what the run made of it.

    Raises:
        ConfigError: the tokenizer does not say where its tokens stand.
    """
    if not encoder.tokenizer.is_fast:
        raise ConfigError(
            f"The tokenizer {type(encoder.tokenizer).__name__} does not say where in a text its tokens stand, so that "
            "nothing can be explained word by word."
        )
    cut = encoder.long_text.way == "truncate"
    found = [_cut(encoder, read)] if cut else _in_pieces(encoder, read[0])
    rows = encoded.by_row
    lengths = [int(length) for length in rows.lengths]
    if [len(ids) for ids, _ in found] != lengths or not np.array_equal(
        np.concatenate([ids for ids, _ in found]), rows.tokens
    ):
        raise ConfigError("The tokenizer reads the text otherwise than the run does; it cannot be explained.")
    return [places for _, places in found]


_Row = tuple[np.ndarray, list[Place | None]]


def _cut(encoder: EncoderPredictor, read: Sequence[AsRead]) -> _Row:
    found = encoder.tokenizer(
        *[[one.text] for one in read],
        truncation=True,
        max_length=encoder.max_length,
        return_offsets_mapping=True,
        verbose=False,
    )
    places = [
        None if text is None else Place(text, read[text].original(*span))
        for text, span in zip(found.sequence_ids(0), found["offset_mapping"][0], strict=True)
    ]
    return np.asarray(found["input_ids"][0], np.int32), places


def _in_pieces(encoder: EncoderPredictor, read: AsRead) -> list[_Row]:
    """Inputs of a text whose ends, or all of whose windows, are read."""
    found: Any = encoder.tokenizer(read.text, add_special_tokens=False, return_offsets_mapping=True, verbose=False)
    pieces = Pieces(encoder.tokenizer, encoder.max_length, encoder.long_text)
    spans = [read.original(*span) for span in found["offset_mapping"]]
    rows: list[_Row] = []
    ids = np.asarray(found["input_ids"], np.int32)
    for part, framed in zip(pieces.parts(len(ids)), pieces.of(ids), strict=True):
        after = len(framed) - pieces.before - len(part)
        bare: list[Place | None] = [Place(0, spans[at]) for at in part]
        rows.append((framed, [*[None] * pieces.before, *bare, *[None] * after]))
    return rows
