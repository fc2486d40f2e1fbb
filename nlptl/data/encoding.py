"""Texts to token ids, kept without padding."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch

CHUNK = 10_000


@dataclass(frozen=True)
class Encoded:
    """Token ids of many texts end to end: text i is `tokens[offsets[i]:offsets[i + 1]]`."""

    tokens: np.ndarray
    """(total tokens,) int32"""
    offsets: np.ndarray
    """(texts + 1,) int64"""
    types: np.ndarray | None
    """(total tokens,) uint8, which text of a pair each token belongs to; None where the encoder has no such input."""

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def lengths(self) -> np.ndarray:
        """(texts,) tokens per text."""
        return np.diff(self.offsets)


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
        pieces += [np.asarray(ids, np.int32) for ids in coded["input_ids"]]
        if with_types:
            types += [np.asarray(ids, np.uint8) for ids in coded["token_type_ids"]]
    offsets = np.cumsum(lengths, dtype=np.int64)
    return Encoded(np.concatenate(pieces), offsets, np.concatenate(types) if with_types else None)


def collate(
    encoded: Encoded, rows: np.ndarray, pad_id: int, device: torch.device | None = None, packed: bool = False
) -> dict[str, torch.Tensor]:
    """The model's inputs for some rows: padded to the longest of them (L), or packed, all T tokens in one row.

    Args:
        encoded: the texts.
        rows: (B,) row numbers.
        pad_id: the tokenizer's padding id.
        device: where the tensors go.
        packed: for models that take it (`EncoderModel.packs`).

    Returns:
        `input_ids`, `attention_mask` and, where the encoder has them, `token_type_ids`: (B, L) int64. Packed, ids and
        types are (1, T), the mask is as before, and there are `places` (T,) int64, where each token would stand in
        the flattened padded batch, and `offsets` (B + 1,) int32, where texts begin and the last one ends.
    """
    starts, lengths = encoded.offsets[rows], encoded.lengths[rows]
    columns = np.arange(max(int(lengths.max(initial=0)), 1))
    mask = columns < lengths[:, None]
    # Padding columns read some existing token and are then overwritten.
    places = np.minimum(starts[:, None] + columns, max(len(encoded.tokens) - 1, 0))
    inputs = {
        "input_ids": np.where(mask, encoded.tokens[places], pad_id),
        "attention_mask": mask,
    }
    if encoded.types is not None:
        inputs["token_type_ids"] = np.where(mask, encoded.types[places], 0)
    tensors = {name: torch.from_numpy(array.astype(np.int64)) for name, array in inputs.items()}
    if packed:
        tensors = _without_padding(tensors, lengths)
    return {name: tensor.to(device) for name, tensor in tensors.items()}


def _without_padding(padded: dict[str, torch.Tensor], lengths: np.ndarray) -> dict[str, torch.Tensor]:
    # A text without any token is fed as one padding token: every text needs a first one.
    counts = torch.from_numpy(np.maximum(lengths, 1))
    fed = torch.arange(padded["attention_mask"].shape[1]) < counts[:, None]
    tensors = {name: tensor[fed].unsqueeze(0) for name, tensor in padded.items() if name != "attention_mask"}
    return {
        **tensors,
        "attention_mask": padded["attention_mask"],
        "places": fed.flatten().nonzero().squeeze(1),
        "offsets": torch.nn.functional.pad(counts.cumsum(0), (1, 0)).to(torch.int32),
    }
