"""Token ids of texts by a transformers tokenizer, chunk by chunk, and what truncation takes from them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain, pairwise
from typing import Any

import numpy as np
import pandas as pd

from nlptl.data.normalising.normaliser import NONE, normalised
from nlptl.data.tokens.long_texts import Pieces, spread

CHUNK = 10_000
CHUNK_CHARACTERS = 2_000_000
"""Tokenizers keep about a hundred bytes for each token until a call ends, so that this bounds memory."""


@dataclass
class Tokenised:
    """The inputs of texts, one after the other."""

    tokens: list[np.ndarray] = field(default_factory=list)
    """int32, of the inputs of many texts end to end: of millions none can have an array of its own."""
    lengths: list[np.ndarray] = field(default_factory=list)
    """(inputs,) int64 for each of `tokens`."""
    types: list[np.ndarray] = field(default_factory=list)
    """uint8 like `tokens`, which text of a pair each belongs to; none where the encoder has no such input."""
    counts: list[np.ndarray] = field(default_factory=list)
    """(texts,) int64 inputs of each text."""
    cut: int = 0
    """Texts that lost something."""
    lost: int = 0
    """Tokens that they lost."""

    def add(
        self, block: pd.DataFrame, tokenizer: Any, max_length: int, pieces: Pieces | None, with_types: bool
    ) -> None:
        """Tokenise some texts and add what becomes of them.

        Args:
            block: columns `text` and, for pairs, `text_pair`.
            tokenizer: a transformers tokenizer.
            max_length: longest input in tokens.
            pieces: makes inputs of a text's bare tokens; None: the tokenizer cuts what is too long.
            with_types: whether the encoder takes token types.
        """
        if pieces is None:
            self._add_cut(block, tokenizer, max_length, with_types)
        else:
            self._add_pieces(block, tokenizer, pieces, with_types)

    def _add_cut(self, block: pd.DataFrame, tokenizer: Any, max_length: int, with_types: bool) -> None:
        found = tokenizer(
            *_texts(block),
            truncation=True,
            max_length=max_length,
            return_attention_mask=False,
            return_token_type_ids=with_types,
            verbose=False,
        )
        kept = np.array([len(ids) for ids in found["input_ids"]], np.int64)
        self.lengths.append(kept)
        self.tokens.append(_end_to_end(found["input_ids"], np.int32))
        self.counts.append(np.ones(len(block), np.int64))
        if with_types:
            self.types.append(_end_to_end(found["token_type_ids"], np.uint8))
        # A tokenizer that is written in Python does not say what it cut, so those that may be are counted whole.
        full = np.flatnonzero(kept >= max_length)
        lost = full_lengths(block.iloc[full], tokenizer) - kept[full]
        self.cut += int((lost > 0).sum())
        self.lost += int(lost.sum())

    def _add_pieces(self, block: pd.DataFrame, tokenizer: Any, pieces: Pieces, with_types: bool) -> None:
        found = tokenizer(
            block["text"].tolist(),
            add_special_tokens=False,
            return_attention_mask=False,
            return_token_type_ids=False,
            verbose=False,
        )
        counts = []
        for ids in found["input_ids"]:
            rows = pieces.of(np.asarray(ids, np.int32))
            self.tokens += rows
            self.lengths.append(np.array([len(row) for row in rows], np.int64))
            counts.append(len(rows))
            if with_types:
                self.types += [pieces.types(row) for row in rows]
            beyond = len(ids) - pieces.room
            if beyond > 0 and len(rows) == 1:
                self.cut += 1
                self.lost += beyond
        self.counts.append(np.array(counts, np.int64))


def _end_to_end(rows: list[list[int]], kind: type) -> np.ndarray:
    return np.fromiter(chain.from_iterable(rows), kind)


def chunk_starts(frame: pd.DataFrame) -> list[int]:
    """Where each chunk of a frame begins: at most `CHUNK` texts and, of several texts, `CHUNK_CHARACTERS`."""
    starts: list[int] = []
    characters = 0
    columns = [frame[name] for name in ("text", "text_pair") if name in frame]
    for row, texts in enumerate(zip(*columns, strict=True)):
        more = sum(map(len, texts))
        if not starts or row - starts[-1] == CHUNK or characters + more > CHUNK_CHARACTERS:
            starts.append(row)
            characters = 0
        characters += more
    return starts


def full_lengths(frame: pd.DataFrame, tokenizer: Any) -> np.ndarray:
    """(rows,) int64 tokens of each whole text or pair, special tokens included."""
    lengths = [len(ids) for part in _parts(frame) for ids in _whole(part, tokenizer)]
    return np.array(lengths, np.int64)


def usual_length(frame: pd.DataFrame, tokenizer: Any, normaliser: str = NONE) -> int:
    """Tokens within which 99 of 100 texts end, special tokens included: what `model.max_length=auto` takes.

    Args:
        frame: columns `text` and, for pairs, `text_pair`; of more than `CHUNK` rows, so many are counted, spread
            evenly.
        tokenizer: a transformers tokenizer.
        normaliser: the form in which the texts are read.
    """
    lengths = full_lengths(normalised(frame.iloc[spread(len(frame), CHUNK)], normaliser), tokenizer)
    return int(np.ceil(np.percentile(lengths, 99))) if len(lengths) else 1


def _parts(frame: pd.DataFrame) -> Iterator[pd.DataFrame]:
    return (frame.iloc[start:stop] for start, stop in pairwise([*chunk_starts(frame), len(frame)]))


def _whole(block: pd.DataFrame, tokenizer: Any) -> list[list[int]]:
    coded = tokenizer(*_texts(block), return_attention_mask=False, return_token_type_ids=False, verbose=False)
    found: list[list[int]] = coded["input_ids"]
    return found


def _texts(block: pd.DataFrame) -> tuple[list[str], list[str] | None]:
    return block["text"].tolist(), block["text_pair"].tolist() if "text_pair" in block else None
