"""What counts as the same text: for duplicates, leaks between splits, and cutting splits.

Of millions of texts a number each is kept instead of the text that is compared.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata

import numpy as np
import pandas as pd

_EMOTICON = r"(?<!\S)(?:[:;=][-'o]?[)(\]\[/\\|dpx3*]|</?3)(?!\w)"
_NUMBER = r"(?:(?<!\w)[-+])?\d++(?:[.,:/-]\d++)*+(?![^\W\d_])"
_WORD = r"[^\W_]+"
# Sentence punctuation, brackets, quotes and dashes say nothing that words do not; other signs do: C++, 5 %, emoji.
_SIGN = r"[^\w\s.,;:!?'\"()\[\]{}`*/\\_\u2018\u2019\u201c\u201d\u201e\u00ab\u00bb\u2013\u2014\u2026\u00bf\u00a1-]"
CHUNK = 10_000
_PARTS = re.compile(f"{_EMOTICON}|{_NUMBER}|{_WORD}|{_SIGN}")


def text_key(text: str) -> str:
    """A text without case, repeated spaces and sentence punctuation: what counts as the same text.

    Words, numbers, emoticons and signs such as `+`, `%` or `$` stay: "Great :)" is not "Great :(", nor "C++" "C".
    """
    folded = unicodedata.normalize("NFKC", text).lower()
    return " ".join(_PARTS.findall(folded)) or text.strip()


def keys_of(frame: pd.DataFrame) -> pd.Series:
    """A number per row that is the same where `text_key` is, of both texts of a pair together.

    It is the first 64 bits of a digest: among two million different texts, two have the same one with a chance of one
    in ten million.

    Args:
        frame: columns `text` and, for pairs, `text_pair`.

    Returns:
        (rows,) int64, under the frame's index.
    """
    found = np.empty(len(frame), np.int64)
    columns = [frame[name] for name in ("text", "text_pair") if name in frame]
    for start in range(0, len(frame), CHUNK):
        rows = zip(*(column.iloc[start : start + CHUNK].tolist() for column in columns), strict=True)
        digests = b"".join(_digest(row) for row in rows)
        found[start : start + CHUNK] = np.frombuffer(digests, np.int64)
    return pd.Series(found, index=frame.index)


def _digest(row: tuple[str, ...]) -> bytes:
    key = "\0".join(map(text_key, row)).encode("utf-8", "surrogatepass")
    return hashlib.blake2b(key, digest_size=8).digest()
