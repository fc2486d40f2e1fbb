"""Digests of rows: which texts and labels there are, exactly as they are and in their order."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pandas as pd

from nlptl.storage.identity import identity, texts_digest

CONTENT = ("text", "text_pair", "label")
"""The columns that a run learns from; where a row stood in which file is no part of it."""


def rows_digest(frame: pd.DataFrame, columns: Sequence[str] = CONTENT) -> str:
    """Digest of a split's rows.

    Args:
        frame: with the common columns.
        columns: which of them count, where the frame has them.
    """
    named = {column: texts_digest(map(_exactly, frame[column])) for column in columns if column in frame}
    return identity(rows=len(frame), **named)


def _exactly(cell: Any) -> str:
    """A cell that no cell of another kind or content can pass for: lists of labels, and none, are written as JSON."""
    return f"text {cell}" if isinstance(cell, str) else f"json {json.dumps(cell)}"
