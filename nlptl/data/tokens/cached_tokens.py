"""Cached token ids of large data sets: a second run over the same texts starts without tokenising them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from nlptl.data.digest import rows_digest
from nlptl.data.normalising.normaliser import NONE
from nlptl.data.tokens.encoding import Encoded, encode
from nlptl.data.tokens.long_texts import TRUNCATE, LongText
from nlptl.storage.cache import Cache
from nlptl.storage.identity import identity, versions

KIND = "tokens"
# Raised whenever a normaliser gives a text another form than before.
FORMS = 1
# Fewer texts are tokenised in less time than anybody notices.
WORTH_CACHING = 50_000
TEXTS = ("text", "text_pair")


def encode_cached(
    frame: pd.DataFrame,
    tokenizer: Any,
    max_length: int,
    track: Callable[[Iterable[int]], Iterable[int]],
    cache: Cache,
    long_text: LongText = TRUNCATE,
    normaliser: str = NONE,
) -> Encoded:
    """`encode`, read from the cache where the same texts met the same tokenizer before.

    Data with fewer than `WORTH_CACHING` rows, and those of a tokenizer that is written in Python, are always encoded:
    what such a tokenizer does, its own code decides, of which nothing here can tell whether it is still the same.

    Args:
        frame, tokenizer, max_length, track, long_text, normaliser: as `encode`.
        cache: where the result is looked for and left.

    Raises:
        NlptlError: the cache cannot be written.
    """
    described = None if len(frame) < WORTH_CACHING else describe_tokenizer(tokenizer)
    if described is None:
        return encode(frame, tokenizer, max_length, track, long_text, normaliser)
    name = identity(
        tokenizer=described,
        max_length=max_length,
        long_text=vars(long_text),
        normaliser={"name": normaliser, "steps": FORMS},
        texts=rows_digest(frame, TEXTS),
        versions=versions(),
    )
    place = cache.place(KIND, name)
    found = _read(cache, place, "token_type_ids" in tokenizer.model_input_names, long_text.in_windows)
    if found is not None and len(found) == len(frame):
        cache.touch(place)
        return found
    encoded = encode(frame, tokenizer, max_length, track, long_text, normaliser)
    cache.discard(place)  # where it was there, it was not what its name says
    cache.write(place, {name: np.asarray(value) for name, value in vars(encoded).items() if value is not None})
    # Mapped, they are read back as they are needed, and the system takes their memory where others want it.
    return _read(cache, place, encoded.types is not None, long_text.in_windows) or encoded


def describe_tokenizer(tokenizer: Any) -> dict[str, Any] | None:
    """Everything that decides which ids a tokenizer gives, as JSON values; None where that cannot be told.

    Args:
        tokenizer: a transformers tokenizer.
    """
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        return None
    pipeline = json.loads(backend.to_str())
    # Truncation and padding note how the tokenizer was last called.
    pipeline = {key: value for key, value in pipeline.items() if key not in ("truncation", "padding")}
    return {
        "class": f"{type(tokenizer).__module__}.{type(tokenizer).__qualname__}",
        "pipeline": pipeline,
        "settings": {key: repr(value) for key, value in tokenizer.init_kwargs.items()},
        "sides": [tokenizer.truncation_side, tokenizer.padding_side],
        "inputs": list(tokenizer.model_input_names),
    }


def _read(cache: Cache, place: Path, with_types: bool, in_windows: bool) -> Encoded | None:
    optional = [name for name, there in (("types", with_types), ("windows", in_windows)) if there]
    arrays = cache.read(place, ("tokens", "offsets", "cut", "lost", *optional))
    if arrays is None:
        return None
    offsets = arrays["offsets"][:]
    windows = arrays["windows"][:] if in_windows else None
    counts = int(arrays["cut"]), int(arrays["lost"])
    found = Encoded(arrays["tokens"], offsets, arrays.get("types"), *counts, windows)
    whole = len(offsets) and offsets[-1] == len(found.tokens)
    whole = whole and (windows is None or (len(windows) and windows[-1] == len(offsets) - 1))
    return found if whole and (found.types is None or len(found.types) == len(found.tokens)) else None
