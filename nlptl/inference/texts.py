"""What `predict` takes as texts, and what a table's cells are as texts."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from typing import Any

import pandas as pd

from nlptl.config.records import holds_half_character
from nlptl.errors import DataError, shortened

Text = str | tuple[str, str]


def texts_frame(texts: Iterable[Text], columns: int) -> pd.DataFrame:
    """Texts as the columns `text` and, for pairs, `text_pair`.

    Args:
        texts: a list or another ordered collection: a pandas Series, a numpy or Arrow array, a column of a `datasets`
            object.
        columns: 1 for texts, 2 for pairs of them.

    Raises:
        DataError: not a collection of texts, or a text that no encoding can write.
    """
    items = _items(texts)
    rows = [tuple(item) if isinstance(item, tuple | list) else (item,) for item in items]
    wrong = next(
        (i for i, row in enumerate(rows) if len(row) != columns or not all(isinstance(t, str) for t in row)), None
    )
    if wrong is not None:
        wanted = "a text" if columns == 1 else "a pair of texts"
        raise DataError(f"Item {wrong} is {shortened(repr(items[wrong]))}; this task takes {wanted} per item.")
    broken = next((i for i, row in enumerate(rows) if any(holds_half_character(text) for text in row)), None)
    if broken is not None:
        raise DataError(f"Item {broken} holds bytes that are no text, or half a character. Write it in UTF-8.")
    plain = [tuple(str(text) for text in row) for row in rows]  # numpy's own kind of str becomes Python's
    return pd.DataFrame(plain, columns=["text", "text_pair"][:columns], dtype=object)


def _items(texts: Any) -> list[Any]:
    if isinstance(texts, str | bytes):
        raise DataError("predict takes a list of texts. For one text, write predict([text]).")
    if isinstance(texts, pd.DataFrame) or is_dataset(texts):
        raise DataError("predict takes texts, not a table: write predict(table['text']), or predict_frame(table).")
    if isinstance(texts, Mapping | AbstractSet) or not isinstance(texts, Iterable):
        raise DataError(f"predict takes a list of texts, not a {type(texts).__name__}.")
    for name in ("to_pylist", "tolist"):  # Arrow's arrays; numpy's and pandas'
        if hasattr(texts, name):
            listed = getattr(texts, name)()
            if not isinstance(listed, list):  # an array without dimensions
                raise DataError("predict takes a list of texts. For one text, write predict([text]).")
            return listed
    return list(texts)


def is_dataset(value: Any) -> bool:
    """Whether it is a `datasets.Dataset`; the library is not imported to find out."""
    library = sys.modules.get("datasets")
    return library is not None and isinstance(value, library.Dataset)


def cell_text(value: Any) -> str:
    """A cell as a text; a missing one is the empty text, so that every input row has its output row.

    Raises:
        DataError: a list, an object or bytes.
    """
    if isinstance(value, bytes | dict) or pd.api.types.is_list_like(value):
        raise DataError(f"A cell of the text column holds {shortened(repr(value))}, which is not a text.")
    return value if isinstance(value, str) else "" if value is None or pd.isna(value) else str(value)
