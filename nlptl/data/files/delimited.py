"""CSV and TSV tables; cells are text."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from itertools import chain, islice
from pathlib import Path

import pandas as pd

from nlptl.data.files.dialects import (
    SAMPLE,
    RowWatch,
    csv_options,
    find_delimiter,
    marks_are_letters,
    separator_line,
)
from nlptl.data.files.encodings import text_lines
from nlptl.data.files.tables import Dialect, check_names, empty_frame
from nlptl.errors import DataError

# The default of 128 KB refuses long documents; this is the largest value every platform's C long holds.
csv.field_size_limit(2**31 - 1)


def read_delimited(path: Path, rows: int, dialect: Dialect) -> Iterator[pd.DataFrame]:
    """The rows under the header's names; a column without a name is called `Unnamed: N`, as pandas does (N from 0).

    Raises:
        DataError: malformed, ragged (with the rows), or unclear in its delimiter or quote marks.
    """
    lines = text_lines(path, dialect)
    head = list(islice(lines, SAMPLE))
    named = separator_line(head[0]) if head else None
    skipped = int(named is not None)
    tabbed = ".tsv" in [suffix.lower() for suffix in path.suffixes[-2:]]
    delimiter = dialect.delimiter or named or find_delimiter(path, head, dialect, tabbed)
    quotes = dialect.quotes
    if (
        quotes is None
        and delimiter == "\t"
        and marks_are_letters(path, islice(text_lines(path, dialect), skipped, None), dialect)
    ):
        quotes = "none"
    file = _Delimited(path, dialect, delimiter, skipped)
    yield from file.chunks(chain(head[skipped:], lines), csv_options(quotes), rows)


class _Lines:
    """Lines one by one; remembers those of the record that is being read."""

    def __init__(self, lines: Iterator[str], skipped: int) -> None:
        self._lines = lines
        self.number = skipped
        self.taken: list[str] = []

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        line = next(self._lines)
        self.number += 1
        self.taken.append(line)
        return line

    @property
    def start(self) -> int:
        """The number of the record's first line."""
        return self.number - len(self.taken) + 1


class _Delimited:
    """One file while it is read."""

    def __init__(self, path: Path, dialect: Dialect, delimiter: str, skipped: int) -> None:
        self._path = path
        self._dialect = dialect
        self._delimiter = delimiter
        self._skipped = skipped

    def chunks(self, lines: Iterator[str], options: dict[str, object], rows: int) -> Iterator[pd.DataFrame]:
        records = self._records(_Lines(lines, self._skipped), options)
        _, header = next(records, (0, []))
        names = _column_names(self._path, [name.strip() for name in header])
        named = max(i for i, name in enumerate(header, 1) if name.strip())
        done = 0
        while block := list(islice(((line, record) for line, record in records if record), rows)):
            fitted = [_fitted(record, len(names), named) for _, record in block]
            if None in fitted:
                wrong = [i for i, record in enumerate(fitted) if record is None]
                raise DataError(self._ragged(len(names), block, wrong, done))
            yield pd.DataFrame(fitted, columns=names, dtype=object)
            done += len(block)
        if not done:
            yield empty_frame(names)

    def _records(self, lines: _Lines, options: dict[str, object]) -> Iterator[tuple[int, list[str]]]:
        """The number of each record's first line, and its cells."""
        reader = csv.reader(lines, delimiter=self._delimiter, strict=True, **options)  # type: ignore[arg-type]
        watch: RowWatch | None = None
        while True:
            lines.taken.clear()
            try:
                record = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                raise DataError(self._malformed(lines, error)) from error
            if watch is None:
                watch = RowWatch(len(record), self._delimiter)
            elif len(lines.taken) == 1:
                watch.learn(record)
            elif self._dialect.quotes is None and watch.swallowed(lines.taken):
                raise DataError(self._swallowed(lines))
            yield lines.start, record

    def _swallowed(self, lines: _Lines) -> str:
        quotes = self._dialect.setting
        return (
            f"{self._path}, line {lines.start}: a quote mark begins a cell that ends in line {lines.number} only, but "
            "each of these lines looks like a row by itself. If quote marks are letters in this file, say so"
            f"{quotes('quotes', 'none')}; if the text does go over these lines, say that{quotes('quotes', 'doubled')}."
        )

    def _malformed(self, lines: _Lines, error: csv.Error) -> str:
        setting = self._dialect.setting
        reason = "a quote mark begins a cell that never ends" if "end of data" in str(error) else str(error)
        if any('\\"' in line for line in lines.taken):
            advice = (
                f"Where a backslash stands before quote marks inside quotes, say so{setting('quotes', 'backslash')}."
            )
        else:
            advice = f"If quote marks are letters in this file, say so{setting('quotes', 'none')}."
        return f"{self._path}, line {lines.start}: malformed CSV ({reason}). {advice}"

    def _ragged(self, width: int, block: list[tuple[int, list[str]]], wrong: list[int], done: int) -> str:
        shown = ", ".join(f"row {done + i + 1} has {len(block[i][1])}" for i in wrong[:10])
        more = f" and {len(wrong) - 10} more" if len(wrong) > 10 else ""
        line, record = block[wrong[0]]
        setting = self._dialect.setting
        advice = (
            f" Row {done + wrong[0] + 1} begins in line {line}. If {self._delimiter!r} does not separate the columns, "
            f"say what does{setting('delimiter', 'CHARACTER')}."
        )
        if any(cell.endswith("\\") or "\n" in cell for cell in record):
            advice += (
                f" If quote marks are letters here{setting('quotes', 'none')}, or follow a backslash inside quotes"
                f"{setting('quotes', 'backslash')}, say so."
            )
        return (
            f"{self._path}: the header has {width} columns, but {shown}{more}. "
            f"Put texts that hold the delimiter in double quotes.{advice}"
        )


def _column_names(path: Path, header: list[str]) -> list[str]:
    if not any(header):
        raise DataError(f"{path}: the first line holds no column names.")
    names = [name or f"Unnamed: {i}" for i, name in enumerate(header)]
    check_names(str(path), names)
    return names


def _fitted(record: list[str], width: int, named: int) -> list[str] | None:
    """A record with the header's number of cells; None if that would lose one, or invent one under a name."""
    if len(record) == width:
        return record
    if len(record) > width:
        return None if any(cell.strip() for cell in record[width:]) else record[:width]
    return [*record, *[""] * (width - len(record))] if len(record) >= named else None
