"""Texts that are longer than the encoder reads at once: cut, read at both ends, or read in overlapping windows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nlptl.errors import ConfigError

HEAD_SHARE = 0.25
"""Of the tokens that `head_tail` keeps, those of the beginning: 128 of 510, as Sun et al. 2019 found best."""
PROBE = "a text"


@dataclass(frozen=True)
class LongText:
    """What becomes of a text with more tokens than one input holds; `model.long_text` and `model.window_overlap`."""

    way: str = "truncate"
    """`truncate`: the first tokens are read; `head_tail`: the first and the last; `windows`: all, piece by piece."""
    overlap: float = 0.25
    """Share of a window that the next one repeats, at least."""

    @property
    def in_windows(self) -> bool:
        """Whether a text may become several inputs."""
        return self.way == "windows"


TRUNCATE = LongText()


class Pieces:
    """Makes inputs of a text's bare tokens: at most `max_length` each, special tokens included.

    Args:
        tokenizer: a transformers tokenizer.
        max_length: longest input in tokens.
        long_text: `head_tail` or `windows`.

    Raises:
        ConfigError: the tokenizer does not put its special tokens around a text, so that nothing can be cut out of it.
    """

    def __init__(self, tokenizer: Any, max_length: int, long_text: LongText) -> None:
        self._long_text = long_text
        self._before, self._after, self._type = _frame_of(tokenizer)
        self.room = max_length - len(self._before[0]) - len(self._after[0])
        """Tokens of the text in one input."""

    def of(self, ids: np.ndarray) -> list[np.ndarray]:
        """The inputs of a text: (L,) int32 each, one unless it is read in windows.

        Args:
            ids: (tokens,) int32 of the whole text, without special tokens.
        """
        if len(ids) <= self.room:
            return [self._framed(ids)]
        return [self._framed(ids[part]) for part in self.parts(len(ids))]

    def parts(self, tokens: int) -> list[np.ndarray]:
        """Which of a text's bare tokens stand in each of its inputs, `before` special ones in front: (bare,) int64.

        Args:
            tokens: of the whole text.
        """
        if tokens <= self.room:
            return [np.arange(tokens)]
        if not self._long_text.in_windows:
            head = max(1, round(self.room * HEAD_SHARE)) if self.room > 1 else 0
            return [np.concatenate([np.arange(head), np.arange(tokens - (self.room - head), tokens)])]
        return [np.arange(at, at + self.room) for at in window_starts(tokens, self.room, self._long_text)]

    @property
    def before(self) -> int:
        """Special tokens in front of a text's own."""
        return len(self._before[0])

    def types(self, piece: np.ndarray) -> np.ndarray:
        """(L,) uint8 token types of one of these inputs."""
        bare = len(piece) - len(self._before[0]) - len(self._after[0])
        return np.concatenate([self._before[1], np.full(bare, self._type, np.uint8), self._after[1]])

    def _framed(self, ids: np.ndarray) -> np.ndarray:
        return np.concatenate([self._before[0], ids, self._after[0]])


def window_starts(tokens: int, room: int, long_text: LongText) -> np.ndarray:
    """Where the windows over a long text begin: (windows,) int64, evenly spread, the first at 0, the last at its end.

    Args:
        tokens: of the text, more than `room`.
        room: tokens of a window.
        long_text: its overlap is the least that neighbours share.
    """
    step = max(1, int(room * (1 - long_text.overlap)))
    windows = 1 + -(-(tokens - room) // step)
    return np.linspace(0, tokens - room, windows).round().astype(np.int64)


def spread(windows: int, most: int) -> np.ndarray:
    """Which of a text's windows stand for all of them, at most `most`, evenly spread from the first to the last."""
    if windows <= most:
        return np.arange(windows)
    return np.linspace(0, windows - 1, most).round().astype(np.int64)


_Framing = tuple[np.ndarray, np.ndarray]


def _frame_of(tokenizer: Any) -> tuple[_Framing, _Framing, int]:
    """Ids and types of the special tokens before a text and after it, and the type of the text's own tokens."""
    bare = tokenizer(PROBE, add_special_tokens=False)["input_ids"]
    whole = tokenizer(PROBE, return_token_type_ids=True)
    ids, types = whole["input_ids"], whole.get("token_type_ids") or [0] * len(whole["input_ids"])
    start = _place_of(bare, ids)
    if start is None:
        raise ConfigError(
            "This checkpoint's tokenizer gives a text other tokens beside its special ones, so that no part of a text "
            "can be read by itself. Use --set model.long_text=truncate."
        )
    stop = start + len(bare)

    def part(of: slice) -> _Framing:
        return np.asarray(ids[of], np.int32), np.asarray(types[of], np.uint8)

    return part(slice(0, start)), part(slice(stop, None)), int(types[start])


def _place_of(part: Sequence[int], whole: Sequence[int]) -> int | None:
    """Where a run of ids begins in another."""
    starts = range(len(whole) - len(part) + 1) if part else range(0)
    return next((at for at in starts if list(whole[at : at + len(part)]) == list(part)), None)
