"""Texts to token ids, kept without padding."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch

CHUNK = 10_000
FILLERS = 16
"""Texts of padding in rounded batches; several, so that none is longer than positions go."""
LONGEST_FILLER = 257
LONGEST = [128 * 4**i for i in range(8)]
"""L of rounded batches; attention does not compute what is empty."""


@dataclass(frozen=True)
class Encoded:
    """Token ids of many texts end to end: text i is `tokens[offsets[i]:offsets[i + 1]]`."""

    tokens: np.ndarray
    """(total tokens,) int32"""
    offsets: np.ndarray
    """(texts + 1,) int64"""
    types: np.ndarray | None
    """(total tokens,) uint8, which text of a pair each token belongs to; None where the encoder has no such input."""
    cut: int = 0
    """How many texts were longer than the encoder reads, and lost what lay beyond."""

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def lengths(self) -> np.ndarray:
        """(texts,) tokens per text."""
        return np.diff(self.offsets)

    def lengths_of(self, rows: np.ndarray) -> np.ndarray:
        """(B,) tokens of some texts, without counting those of all."""
        return np.asarray(self.offsets[rows + 1] - self.offsets[rows])


def encode(
    frame: pd.DataFrame,
    tokenizer: Any,
    max_length: int,
    track: Callable[[Iterable[int]], Iterable[int]] = lambda chunks: chunks,
) -> Encoded:
    """Tokenise the texts (or pairs) of a frame, special tokens included, cut to `max_length`.

    Args:
        frame: columns `text` and, for pairs, `text_pair`.
        tokenizer: a transformers tokenizer.
        max_length: longest result in tokens.
        track: wraps the chunks for a progress bar.
    """
    with_types = "token_type_ids" in tokenizer.model_input_names
    pieces: list[np.ndarray] = [np.zeros(0, np.int32)]
    types: list[np.ndarray] = [np.zeros(0, np.uint8)]
    lengths: list[int] = [0]
    cut = 0
    for start in track(range(0, len(frame), CHUNK)):
        block = frame.iloc[start : start + CHUNK]
        pairs = block["text_pair"].tolist() if "text_pair" in block else None
        coded = tokenizer(
            block["text"].tolist(),
            pairs,
            truncation=True,
            max_length=max_length,
            return_attention_mask=False,
            return_token_type_ids=with_types,
            verbose=False,
        )
        lengths += [len(ids) for ids in coded["input_ids"]]
        cut += _count_cut(coded, max_length)
        pieces += [np.asarray(ids, np.int32) for ids in coded["input_ids"]]
        if with_types:
            types += [np.asarray(ids, np.uint8) for ids in coded["token_type_ids"]]
    offsets = np.cumsum(lengths, dtype=np.int64)
    return Encoded(np.concatenate(pieces), offsets, np.concatenate(types) if with_types else None, cut)


def _count_cut(coded: Any, max_length: int) -> int:
    """Texts that the tokenizer cut; one written in Python does not say, so every text of full length counts there."""
    if coded.encodings is not None:
        return sum(bool(encoding.overflowing) for encoding in coded.encodings)
    return sum(len(ids) >= max_length for ids in coded["input_ids"])


def collate(
    encoded: Encoded,
    rows: np.ndarray,
    pad_id: int,
    device: torch.device | None = None,
    packed: bool = False,
    rounded: bool = False,
) -> dict[str, torch.Tensor]:
    """The model's inputs for some rows: padded to the longest of them (L), or packed, all T tokens in one row.

    Args:
        encoded: the texts.
        rows: (B,) row numbers.
        pad_id: the tokenizer's padding id.
        device: where the tensors go.
        packed: for models that take it (`EncoderModel.packs`).
        rounded: of packed inputs, fill T up to a round number with `FILLERS` texts of padding, and L to one of
            `LONGEST`, so that few shapes occur.

    Returns:
        `input_ids`, `attention_mask` and, where the encoder has them, `token_type_ids`: (B, L) int64. Packed, ids and
        types are (1, T), the mask is (B, L) bool, and there are `places` (T,) int64, where each token would stand in
        the flattened padded batch, and `offsets` (B + 1,) int32, where texts begin and the last one ends; fillers
        come after the texts, and are not in the mask.
    """
    inputs = _pack(encoded, rows, pad_id, rounded) if packed else _pad(encoded, rows, pad_id)
    return {name: torch.from_numpy(array).to(device) for name, array in inputs.items()}


def _pad(encoded: Encoded, rows: np.ndarray, pad_id: int) -> dict[str, np.ndarray]:
    starts, lengths = encoded.offsets[rows], encoded.lengths[rows]
    columns = np.arange(max(int(lengths.max(initial=0)), 1))
    mask = columns < lengths[:, None]
    return {**_tokens(encoded, starts[:, None] + columns, mask, pad_id), "attention_mask": mask.astype(np.int64)}


def _pack(encoded: Encoded, rows: np.ndarray, pad_id: int, rounded: bool) -> dict[str, np.ndarray]:
    starts, lengths = encoded.offsets[rows], encoded.lengths[rows]
    # A text without any token is fed as one padding token: every text needs a first one.
    fed = np.maximum(lengths, 1)
    longest = int(fed.max(initial=1))
    if rounded:
        fillers = filler_lengths(int(fed.sum()))
        longest = next(size for size in LONGEST if size >= max(longest, int(fillers.max())))
        fed = np.concatenate([fed, fillers])
    offsets = np.concatenate([[0], np.cumsum(fed)])
    text = np.repeat(np.arange(len(fed)), fed)
    column = np.arange(offsets[-1]) - offsets[text]
    lacking = np.zeros(len(fed) - len(rows), np.int64)
    real = column < np.concatenate([lengths, lacking])[text]
    tokens = _tokens(encoded, np.concatenate([starts, lacking])[text] + column, real, pad_id)
    return {
        **{name: array[None] for name, array in tokens.items()},
        "attention_mask": np.arange(longest) < lengths[:, None],
        "places": text * longest + column,
        "offsets": offsets.astype(np.int32),
    }


def _tokens(encoded: Encoded, places: np.ndarray, real: np.ndarray, pad_id: int) -> dict[str, np.ndarray]:
    """Ids and types at some places; padding where none is real."""
    # Padding reads some existing token and is then overwritten.
    places = np.minimum(places, max(len(encoded.tokens) - 1, 0))
    found = {"input_ids": np.where(real, encoded.tokens[places], pad_id).astype(np.int64)}
    if encoded.types is not None:
        found["token_type_ids"] = np.where(real, encoded.types[places], 0).astype(np.int64)
    return found


def filler_lengths(tokens: int) -> np.ndarray:
    """(FILLERS,) lengths of texts that bring so many tokens to a multiple of 1/16 to 1/32 of them, at most 4096."""
    step = 1 << min(max(tokens.bit_length() - 5, 5), 12)
    spare = FILLERS + -(tokens + FILLERS) % step
    return spare // FILLERS + (np.arange(FILLERS) < spare % FILLERS)
