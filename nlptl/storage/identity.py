"""What makes two things the same: one digest over everything that decides them.

Whatever is cached (tokens, features, heads) or compared ("is this the same run?") is named by `identity` over whole
sections of settings, digests of weights and texts, and versions; never by a list of fields written by hand, which the
next setting would not be in.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nlptl.storage.versions import environment

if TYPE_CHECKING:
    import numpy as np


def identity(**parts: Any) -> str:
    """Digest of named parts, as 32 hex digits.

    Args:
        parts: JSON values: mappings with string keys, lists, strings, numbers, booleans, None. The order of keys does
            not matter; everything else does, and numbers differ from texts that look like them.

    Raises:
        TypeError: a part that is no JSON value; what cannot be written exactly cannot be compared.
    """
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def array_digest(array: np.ndarray | None) -> str | None:
    """Digest of an array's shape, type and bytes; None for None."""
    return None if array is None else parts_digest([array])


def parts_digest(parts: Sequence[np.ndarray]) -> str:
    """Digest of the array that some arrays of the same type make, one after the other along their first dimension."""
    import numpy as np

    first = parts[0]
    shape = first.shape if len(parts) == 1 else (sum(map(len, parts)), *first.shape[1:])
    digest = hashlib.blake2b(f"{shape}{first.dtype.str}".encode(), digest_size=16)
    for part in parts:
        digest.update(np.ascontiguousarray(part).data)
    return digest.hexdigest()


def file_digest(path: Path) -> str:
    """SHA-256 of a file's bytes, as hex."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def texts_digest(texts: Iterable[str]) -> str:
    """Digest of texts in their order, exactly as they are: case, signs, spaces, and where each one ends."""
    digest = hashlib.blake2b(digest_size=16)
    for text in texts:
        encoded = text.encode("utf-8", "surrogatepass")
        # The length goes first, so that no text can pass for the end of one and the beginning of the next.
        digest.update(len(encoded).to_bytes(8, "little") + encoded)
    return digest.hexdigest()


@cache
def versions() -> dict[str, str]:
    """Versions of Python and the libraries that decide what a run computes."""
    return environment()
