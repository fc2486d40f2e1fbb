"""What counts as the same text: for duplicates, leaks between splits, and cutting splits."""

from __future__ import annotations

import re
import unicodedata

import pandas as pd

_EMOTICON = r"(?<!\S)(?:[:;=][-'o]?[)(\]\[/\\|dpx3*]|</?3)(?!\w)"
_NUMBER = r"(?:(?<!\w)[-+])?\d++(?:[.,:/-]\d++)*+(?![^\W\d_])"
_WORD = r"[^\W_]+"
# Sentence punctuation, brackets, quotes and dashes say nothing that words do not; other signs do: C++, 5 %, emoji.
_SIGN = r"[^\w\s.,;:!?'\"()\[\]{}`*/\\_\u2018\u2019\u201c\u201d\u201e\u00ab\u00bb\u2013\u2014\u2026\u00bf\u00a1-]"
_PARTS = re.compile(f"{_EMOTICON}|{_NUMBER}|{_WORD}|{_SIGN}")


def text_key(text: str) -> str:
    """A text without case, repeated spaces and sentence punctuation: what counts as the same text.

    Words, numbers, emoticons and signs such as `+`, `%` or `$` stay: "Great :)" is not "Great :(", nor "C++" "C".
    """
    folded = unicodedata.normalize("NFKC", text).lower()
    return " ".join(_PARTS.findall(folded)) or text.strip()


def keys_of(frame: pd.DataFrame) -> pd.Series:
    """`text_key` per row; both texts of a pair together.

    Args:
        frame: columns `text` and, for pairs, `text_pair`.
    """
    keys = frame["text"].map(text_key)
    return keys + "\0" + frame["text_pair"].map(text_key) if "text_pair" in frame else keys
