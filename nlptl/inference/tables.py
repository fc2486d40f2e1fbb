"""Tables that predictions are added to: their texts, and what must not be overwritten."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from nlptl.errors import DataError
from nlptl.inference.texts import cell_text


def column_texts(table: pd.DataFrame, columns: list[str]) -> pd.DataFrame:
    """Its texts as the columns `text` and, for pairs, `text_pair`.

    Raises:
        DataError: a cell that is no text.
    """
    named = zip(("text", "text_pair"), columns, strict=False)
    return pd.DataFrame({name: table[column].map(cell_text) for name, column in named}, dtype=object)


def check_output(source: Path, output: Path) -> None:
    """Refuse outputs that writing would harm, and those that are no files.

    Raises:
        DataError: the output is the input, or a pipe or device.
    """
    if source.resolve() == output.resolve() or (output.exists() and source.exists() and output.samefile(source)):
        raise DataError(f"{output} is the input itself. Choose another --output.")
    if str(output) == "-" or (output.exists() and not output.is_file() and not output.is_dir()):
        raise DataError(
            f"{output} is no file, and the output is one that appears when it is complete. Choose a file; or to print "
            "predictions: nlptl predict RUN - --format json < TEXTS"
        )


def refuse_collision(table: pd.DataFrame, added: Iterable[str], origin: str) -> None:
    """Raises DataError where an added column has the name of one that is there."""
    taken = [name for name in added if name in table.columns]
    if taken:
        raise DataError(
            f"{origin} has columns {', '.join(map(repr, taken))} already, which the predictions would overwrite. "
            "Rename or remove them in the input."
        )
