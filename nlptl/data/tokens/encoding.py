"""Texts to token ids, kept without padding."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from nlptl.data.normalising.normaliser import NONE, normalised
from nlptl.data.tokens.long_texts import TRUNCATE, LongText, Pieces, spread
from nlptl.data.tokens.tokenising import Tokenised, chunk_starts

if TYPE_CHECKING:
    import torch

FILLERS = 16
"""Texts of padding in rounded batches; several, so that none is longer than positions go."""
LONGEST_FILLER = 257
LONGEST = [128 * 4**i for i in range(8)]
"""L of rounded batches; attention does not compute what is empty."""


@dataclass(frozen=True)
class Encoded:
    """Token ids of many texts end to end; row i is `tokens[offsets[i]:offsets[i + 1]]`.

    A text is one row or, where long texts are read in windows, as many as it has windows.
    """

    tokens: np.ndarray
    """(total tokens,) int32"""
    offsets: np.ndarray
    """(rows + 1,) int64"""
    types: np.ndarray | None
    """(total tokens,) uint8, which text of a pair each token belongs to; None where the encoder has no such input."""
    cut: int = 0
    """How many texts were longer than the encoder reads, and lost what lay beyond."""
    lost: int = 0
    """Tokens that these texts lost."""
    windows: np.ndarray | None = None
    """(texts + 1,) int64, text i is rows `windows[i]` to `windows[i + 1]`; None: each text is one row."""

    def __len__(self) -> int:
        return len(self.offsets if self.windows is None else self.windows) - 1

    @property
    def arrays(self) -> list[np.ndarray]:
        """All that it holds."""
        return [array for array in (self.tokens, self.offsets, self.types, self.windows) if array is not None]

    @property
    def lengths(self) -> np.ndarray:
        """(texts,) tokens per text."""
        return np.diff(self.offsets if self.windows is None else self.offsets[self.windows])

    def lengths_of(self, texts: np.ndarray) -> np.ndarray:
        """(B,) tokens of some texts, without counting those of all."""
        if self.windows is None:
            return np.asarray(self.offsets[texts + 1] - self.offsets[texts])
        return np.asarray(self.offsets[self.windows[texts + 1]] - self.offsets[self.windows[texts]])

    @property
    def by_row(self) -> Encoded:
        """The same rows, each a text of its own."""
        return self if self.windows is None else replace(self, windows=None)

    def counts_of(self, texts: np.ndarray) -> np.ndarray:
        """(B,) rows of some texts."""
        if self.windows is None:
            return np.ones(len(texts), np.int64)
        return np.asarray(self.windows[texts + 1] - self.windows[texts])

    def rows_of(self, texts: np.ndarray) -> np.ndarray:
        """(rows,) all rows of some texts, text by text."""
        if self.windows is None:
            return texts
        return _stretches(self.windows[texts], self.counts_of(texts))

    def some(self, rows: np.ndarray, counts: np.ndarray | None = None) -> Encoded:
        """Some of the rows, in the order that is given.

        Args:
            rows: row numbers.
            counts: (texts,) how many of them each text has; None: each is one.
        """
        lengths = self.by_row.lengths_of(rows)
        flat = _stretches(self.offsets[rows], lengths)
        types = None if self.types is None else self.types[flat]
        windows = None if counts is None else _bounds(counts)
        return Encoded(self.tokens[flat], _bounds(lengths), types, windows=windows)

    def at_most(self, most: int) -> Encoded:
        """The texts with at most so many of their windows, spread evenly; as it is where no text has more."""
        every = np.arange(len(self))
        counts = self.counts_of(every)
        if self.windows is None or counts.max(initial=0) <= most:
            return self
        kept = [start + spread(int(n), most) for start, n in zip(self.windows[:-1], counts, strict=True)]
        return self.some(np.concatenate(kept), np.minimum(counts, most))


def _bounds(counts: np.ndarray) -> np.ndarray:
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)


def _stretches(starts: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """`start, start + 1, ...` of each length, one after the other."""
    before = np.cumsum(lengths) - lengths
    return np.asarray(np.arange(int(lengths.sum())) + np.repeat(starts - before, lengths), np.int64)


def encode(
    frame: pd.DataFrame,
    tokenizer: Any,
    max_length: int,
    track: Callable[[Iterable[int]], Iterable[int]] = lambda chunks: chunks,
    long_text: LongText = TRUNCATE,
    normaliser: str = NONE,
) -> Encoded:
    """Tokenise the texts (or pairs) of a frame, special tokens included, in inputs of at most `max_length`.

    Memory beside the result is bounded, however long a text or the frame is.

    Args:
        frame: columns `text` and, for pairs, `text_pair`.
        tokenizer: a transformers tokenizer.
        max_length: longest input in tokens.
        track: wraps the chunks for a progress bar.
        long_text: what becomes of longer texts; pairs are always truncated.
        normaliser: the form in which the texts are read, `data.normaliser`.

    Raises:
        ConfigError: no part of a text can be read by itself with this tokenizer.
    """
    with_types = "token_type_ids" in tokenizer.model_input_names
    pieces = None if long_text.way == "truncate" else Pieces(tokenizer, max_length, long_text)
    frame = normalised(frame, normaliser)
    starts = chunk_starts(frame)
    stops = dict(zip(starts, [*starts[1:], len(frame)], strict=False))
    found = Tokenised()
    for start in track(starts):
        found.add(frame.iloc[start : stops[start]], tokenizer, max_length, pieces, with_types)
    none = np.zeros(0, np.int64)
    windows = _bounds(np.concatenate([none, *found.counts])) if long_text.in_windows else None
    offsets = _bounds(np.concatenate([none, *found.lengths]))
    types = np.concatenate([np.zeros(0, np.uint8), *found.types]) if with_types else None
    tokens = np.concatenate([np.zeros(0, np.int32), *found.tokens])
    return Encoded(tokens, offsets, types, found.cut, found.lost, windows)


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
        come after the texts, and are not in the mask. Of texts in windows each window is such a text, and there is
        besides `windows` (B + 1,) int64: text i is windows `windows[i]` to `windows[i + 1]` of the batch.
    """
    import torch

    counts = None if encoded.windows is None else encoded.counts_of(rows)
    encoded, rows = encoded.by_row, encoded.rows_of(rows)
    inputs = _pack(encoded, rows, pad_id, rounded) if packed else padded(encoded, rows, pad_id)
    if counts is not None:
        inputs["windows"] = _bounds(counts)
    return {name: torch.from_numpy(array).to(device) for name, array in inputs.items()}


def padded(encoded: Encoded, rows: np.ndarray, pad_id: int, multiple: int = 1) -> dict[str, np.ndarray]:
    """Inputs (B, L) of some rows, each a text of its own; L is the longest of them, up to a multiple of a number."""
    starts, lengths = encoded.offsets[rows], encoded.lengths_of(rows)
    columns = np.arange(-(-max(int(lengths.max(initial=0)), 1) // multiple) * multiple)
    mask = columns < lengths[:, None]
    return {**_tokens(encoded, starts[:, None] + columns, mask, pad_id), "attention_mask": mask.astype(np.int64)}


def _pack(encoded: Encoded, rows: np.ndarray, pad_id: int, rounded: bool) -> dict[str, np.ndarray]:
    starts, lengths = encoded.offsets[rows], encoded.lengths_of(rows)
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
