"""What is not written in a CSV or TSV file itself: its delimiter, and whether quote marks are letters."""

from __future__ import annotations

import csv
import logging
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from nlptl.config.data import Quotes
from nlptl.data.files.tables import Dialect
from nlptl.errors import DataError

log = logging.getLogger("nlptl")

DELIMITERS = ",;\t|"
SAMPLE = 50
LEARNED = 200
_SEPARATOR_LINE = re.compile(r'"?sep=([^\w"\r\n])"?[\r\n]*', re.IGNORECASE)
_WELL_QUOTED = re.compile(r'"(?:[^"]|"")*"')
_NAMES = {"\t": "tab"}


def csv_options(quotes: Quotes | None) -> dict[str, Any]:
    """What `csv.reader` needs to know of quote marks."""
    if quotes == "none":
        return {"quoting": csv.QUOTE_NONE}
    return {"escapechar": "\\"} if quotes == "backslash" else {}


def separator_line(line: str) -> str | None:
    """The delimiter that Excel's first line `sep=;` names; None if it is no such line."""
    named = _SEPARATOR_LINE.fullmatch(line)
    return named[1] if named else None


def find_delimiter(path: Path, head: Sequence[str], dialect: Dialect, tabbed: bool) -> str:
    """The delimiter on which header and rows agree.

    Args:
        path: for messages.
        head: the first lines of the file.
        dialect: how it marks quotes.
        tabbed: the file's ending says that it is the tab.

    Raises:
        DataError: two of them fit equally well, or a file that calls itself tab-separated holds no tab.
    """
    widths = {delimiter: _widths(head, delimiter, dialect.quotes) for delimiter in DELIMITERS}
    possible = [delimiter for delimiter in DELIMITERS if widths[delimiter][0] > 1]
    fitting = [d for d in possible if len(widths[d]) > 1 and len(set(widths[d])) == 1]
    if tabbed:
        if "\t" not in possible and fitting:
            raise DataError(
                f"{path} is named .tsv, but has no tab in its header; {_shown(fitting[0])} separates it. Name it .csv, "
                f"or say what separates it{dialect.setting('delimiter', repr(fitting[0]))}."
            )
        return "\t"
    candidates = fitting or possible or [","]
    most = max(widths[delimiter][0] for delimiter in candidates)
    best = [delimiter for delimiter in candidates if widths[delimiter][0] == most]
    if fitting and len(best) > 1:
        raise DataError(
            f"{path} can be read in two ways: {' and '.join(map(_shown, best))} both give {most} columns in every row. "
            f"Say which separates them{dialect.setting('delimiter', repr(best[0]))}."
        )
    return best[0]


def _shown(delimiter: str) -> str:
    return _NAMES.get(delimiter, repr(delimiter))


def _widths(head: Sequence[str], delimiter: str, quotes: Quotes | None) -> list[int]:
    """Columns of each record in the first lines, whose last record may be cut."""
    options = csv_options(quotes)
    try:
        widths = [len(record) for record in csv.reader(head, delimiter=delimiter, **options) if record]
    except csv.Error:
        return [1]
    return (widths[:-1] if len(head) == SAMPLE and len(widths) > 1 else widths) or [0]


def marks_are_letters(path: Path, lines: Iterable[str], dialect: Dialect) -> bool:
    """Whether a tab-separated file uses quote marks as letters, as GLUE's files do.

    It does if each of its lines has as many tabs as the header, and a cell begins with a quote mark that no quoted cell
    of one line could have. It is told in the log.
    """
    tabs, found = None, 0
    for number, line in enumerate(lines, 1):
        text = line.rstrip("\r\n")
        if not text:
            continue
        if tabs is None:
            tabs = text.count("\t")
            if not tabs or '"' in text:
                return False
        if text.count("\t") != tabs:
            return False
        if '"' in text:
            odd = [cell for cell in text.split("\t") if cell.startswith('"') and not _WELL_QUOTED.fullmatch(cell)]
            if any('\\"' in cell for cell in odd):
                return False
            found = found or (number if odd else 0)
    if found:
        log.warning(
            f"{path}: quote marks are read as letters, for each line is a row by itself and the one in line {found} "
            f"quotes no cell. If they do quote cells, say so{dialect.setting('quotes', 'doubled')}."
        )
    return bool(found)


class RowWatch:
    """Notices a quoted cell that has swallowed rows: it goes over lines each of which would be a row by itself.

    A long text may look so by chance. What tells the two apart is a column beside the cell in which each of the lines
    has what the column has elsewhere: one of a few labels, a number, a word.
    """

    def __init__(self, width: int, delimiter: str) -> None:
        self._width = width
        self._delimiter = delimiter
        self._left = LEARNED
        self._values: list[set[str]] = [set() for _ in range(width)]

    def learn(self, record: Sequence[str]) -> None:
        """Take note of a row of one line."""
        if self._left and len(record) == self._width:
            self._left -= 1
            for values, cell in zip(self._values, record, strict=True):
                values.add(cell)

    def swallowed(self, lines: Sequence[str]) -> bool:
        """Whether these lines, which were read as one row, are rows."""
        rows = [line.rstrip("\r\n").split(self._delimiter) for line in lines]
        if any(len(row) != self._width for row in rows):
            return False
        if self._width == 1:
            return self._delimiter == "\t"
        first, last = rows[0], rows[-1]
        opening = max((i for i, cell in enumerate(first) if cell.startswith('"')), default=0)
        return any(
            self._alike(column, [row[column] for row in rows], (first if column < opening else last)[column])
            for column in range(self._width)
            if column != opening
        )

    def _alike(self, column: int, cells: Sequence[str], real: str) -> bool:
        """Whether nearly all cells are such as this column has; `real` is one that it has for certain."""
        learned = LEARNED - self._left
        values = self._values[column] | {real.strip('"')}
        bare = [cell.strip('"') for cell in cells]
        if learned >= 40 and len(values) <= min(20, learned // 2):
            alike = sum(cell in values for cell in bare)
        else:
            shapes = {_shape(value) for value in values}
            alike = sum(_shape(cell) in shapes for cell in bare) if len(shapes) <= 20 else 0
        return alike >= 0.8 * len(bare)


def _shape(cell: str) -> str:
    """A cell with its words as `a` and its numbers as `0`."""
    return re.sub(r"[^\W\d_]+", "a", re.sub(r"\d+", "0", cell))
