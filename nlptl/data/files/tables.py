"""What tables of every format share: how a text file is written (its dialect), and what no table may hold."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from nlptl.config.data import Quotes
from nlptl.config.records import holds_half_character
from nlptl.errors import DataError, shortened

CHUNK = 10_000
ABSENT = float("nan")
"""The cell of a JSON object that lacks the key. Told from other missing values by identity, so that JSON Lines are
written with the keys that they came with."""

OPTIONS = "options"
"""In place of a section of the settings: encoding, delimiter and quotes are options of the command."""


@dataclass(frozen=True)
class Dialect:
    """How a text table is written; None: found out from the file."""

    encoding: str | None = None
    delimiter: str | None = None
    quotes: Quotes | None = None
    section: str | None = "data"
    """The section of the settings that hold these, for messages; `OPTIONS` where they are options of the command; None
    where the command has neither."""

    def advice(self, name: str, value: str) -> str:
        """How to ask for a value: `--set data.quotes=none`, or `--quotes none`; empty where that cannot be done."""
        if self.section is None:
            return ""
        return f"--{name} {value}" if self.section == OPTIONS else f"--set {self.section}.{name}={value}"

    def setting(self, name: str, value: str) -> str:
        """The advice in brackets, as part of a message."""
        advice = self.advice(name, value)
        return f" ({advice})" if advice else ""


def frame_of(columns: Mapping[str, Sequence[Any]]) -> pd.DataFrame:
    """Columns of Python values as a DataFrame that leaves them as they are."""
    return pd.DataFrame({name: list(values) for name, values in columns.items()}, dtype=object)


def records_frame(origin: str, records: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Records, each with its own keys, as a DataFrame; `ABSENT` stands where a record lacks a key.

    Raises:
        DataError: a key that cannot be the name of a column.
    """
    names = {str(name): name for record in records for name in record}
    check_names(origin, list(names))
    return frame_of({text: [record.get(name, ABSENT) for record in records] for text, name in names.items()})


def holds_texts(column: pd.Series) -> bool:
    """Whether a column is one of `compact`, which holds nothing but texts."""
    return isinstance(column.dtype, pd.StringDtype)


def compact(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame with columns of nothing but texts as Arrow has them: end to end, rather than an object for each."""
    texts = [i for i in range(frame.shape[1]) if all(type(cell) is str for cell in frame.iloc[:, i].tolist())]
    return frame.astype({frame.columns[i]: "str" for i in texts}) if len(frame) else frame


def frame_size(frame: pd.DataFrame) -> int:
    """Bytes of a table, equal texts of a column of objects counted once: the rows of a label share its name."""
    size = int(frame.memory_usage(deep=False).sum())
    for column in (frame[name] for name in frame if frame[name].dtype == object):
        lists = len(column) and isinstance(column.iloc[0], list)
        size += sum(map(sys.getsizeof, column if lists else column.unique()))
    return size


def empty_frame(names: Sequence[str]) -> pd.DataFrame:
    """A table without rows."""
    return pd.DataFrame(columns=list(names), dtype=object)


def check_names(origin: str, names: Sequence[str]) -> None:
    """Two columns of one name, or a name that no encoding can write.

    Raises:
        DataError: names the columns.
    """
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise DataError(f"{origin}: column {', '.join(repr(shortened(name)) for name in twice)} occurs twice.")
    if any(holds_half_character(name) for name in names):
        raise DataError(f"{origin}: a column name holds half a character (a lone surrogate).")


def check_frame(origin: str, frame: pd.DataFrame) -> None:
    """What would go wrong much later: names as `check_names` has it, and texts with half a character.

    Raises:
        DataError: names the column and the row.
    """
    check_names(origin, list(map(str, frame.columns)))
    for name in frame.columns:
        for row, value in enumerate(frame[name], 1):
            if isinstance(value, str) and holds_half_character(value):
                raise DataError(f"{origin}, column {name!r}, about row {row}: half a character (a lone surrogate).")
