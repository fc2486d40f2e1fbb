"""Token ids of large data sets, kept on disk: a second run over the same texts starts without tokenising them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from nlptl.data.encoding import Encoded, encode

# Fewer texts are tokenised in less time than anybody notices.
WORTH_CACHING = 50_000


def encode_cached(
    frame: pd.DataFrame,
    tokenizer: Any,
    max_length: int,
    track: Callable[[Iterable[int]], Iterable[int]],
    root: Path,
    worth_caching: int = WORTH_CACHING,
) -> Encoded:
    """`encode`, read from `root`/tokens where the same texts met the same tokenizer before.

    Args:
        frame, tokenizer, max_length, track: as `encode`.
        root: the cache folder.
        worth_caching: rows from which the result is kept.
    """
    if len(frame) < worth_caching:
        return encode(frame, tokenizer, max_length, track)
    folder = root / "tokens" / _identity(frame, tokenizer, max_length)
    kept = _read(folder)
    if kept is not None and len(kept) == len(frame):
        return kept
    encoded = encode(frame, tokenizer, max_length, track)
    folder.mkdir(parents=True, exist_ok=True)
    # Offsets last: they are what makes the others visible.
    for name in ("tokens", "types", "offsets"):
        array = getattr(encoded, name)
        if array is not None:
            aside = folder / f"{name}.part"
            with aside.open("wb") as stream:
                np.save(stream, array, allow_pickle=False)
            aside.replace(folder / f"{name}.npy")
    return encoded


def _read(folder: Path) -> Encoded | None:
    try:
        offsets = np.load(folder / "offsets.npy", allow_pickle=False)
        tokens = np.load(folder / "tokens.npy", "r", allow_pickle=False)
        types = folder / "types.npy"
        kept = Encoded(tokens, offsets, np.load(types, "r", allow_pickle=False) if types.exists() else None)
    except (OSError, ValueError, EOFError):
        return None  # not there, or damaged: then the texts are tokenised again
    return kept if len(offsets) and offsets[-1] == len(tokens) else None


def _identity(frame: pd.DataFrame, tokenizer: Any, max_length: int) -> str:
    described = json.loads(tokenizer.backend_tokenizer.to_str())
    # Truncation and padding note how the tokenizer was last called.
    described = {key: value for key, value in described.items() if key not in ("truncation", "padding")}
    digest = hashlib.sha256(json.dumps([described, max_length]).encode())
    for column in ("text", "text_pair"):
        if column in frame:
            digest.update(column.encode())
            for text in frame[column]:
                digest.update(text.encode("utf-8", "surrogatepass") + b"\0")
    return digest.hexdigest()[:32]
