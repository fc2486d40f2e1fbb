"""JSON tables: objects line by line, a list of objects, or a table by columns; told apart by what the file holds."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from pathlib import Path
from typing import Any

import pandas as pd

from nlptl.data.files.encodings import text_lines
from nlptl.data.files.tables import Dialect, records_frame
from nlptl.errors import DataError, shortened

_FILLED = re.compile(r"\S")


def read_json_lines(path: Path, rows: int, dialect: Dialect) -> Iterator[pd.DataFrame]:
    """One object a line; a file that holds one list of objects instead is read as that.

    Raises:
        DataError: names the line.
    """
    head, lines = _begin(text_lines(path, dialect))
    if head and head[0].lstrip().startswith("["):
        text = "".join(lines)
        content = _loaded(text)
        if isinstance(content, list) and content and all(isinstance(record, dict) for record in content):
            yield from _chunks(path, iter(content), rows)
            return
        lines = iter(text.splitlines(keepends=True))
    yield from _chunks(path, _objects(path, lines), rows)


def read_json(path: Path, rows: int, dialect: Dialect) -> Iterator[pd.DataFrame]:
    """A list of objects, a table by columns as pandas writes it, or objects one after another.

    Raises:
        DataError: not JSON, or JSON of another form.
    """
    head, lines = _begin(text_lines(path, dialect))
    if len(head) > 1 and isinstance(_loaded(head[0]), dict):
        yield from _chunks(path, _objects(path, lines), rows)
        return
    text = "".join(lines)
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        content = _one_after_another(text)
        if content is None:
            raise DataError(f"{path}: not valid JSON ({error}).") from error
    records = _records(content)
    if records is None:
        raise DataError(
            f"{path}: expected a list of objects, found {_described(content)}. For one object a line, name the file "
            ".jsonl."
        )
    yield from _chunks(path, iter(records), rows)


def _begin(lines: Iterator[str]) -> tuple[list[str], Iterator[str]]:
    """The first two lines that are not blank, and an iterator over all lines."""
    read: list[str] = []
    filled: list[str] = []
    while len(filled) < 2 and (line := next(lines, None)) is not None:
        read.append(line)
        filled += [line] * bool(line.strip())
    return filled, chain(read, lines)


def _loaded(text: str) -> Any:
    """What the JSON says, or None where it is none."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _objects(path: Path, lines: Iterable[str]) -> Iterator[dict[str, Any]]:
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise DataError(
                f"{path}, line {number}: not valid JSON ({error}). JSON Lines holds one object a line."
            ) from error
        if not isinstance(record, dict):
            raise DataError(f"{path}, line {number}: expected a JSON object, found {type(record).__name__}.")
        yield record


def _one_after_another(text: str) -> list[dict[str, Any]] | None:
    """Objects with nothing but space between them, each over any number of lines; None if it is anything else."""
    decoder = json.JSONDecoder()
    records: list[dict[str, Any]] = []
    end = 0
    while filled := _FILLED.search(text, end):
        try:
            record, end = decoder.raw_decode(text, filled.start())
        except (ValueError, RecursionError):
            return None
        if not isinstance(record, dict):
            return None
        records.append(record)
    return records


def _records(content: Any) -> list[dict[str, Any]] | None:
    """The rows of a list of objects or of a table by columns (`{"text": {"0": ...}}` or `{"text": [...]}`)."""
    if isinstance(content, list):
        return content if all(isinstance(record, dict) for record in content) else None
    if not isinstance(content, dict) or not content:
        return None
    columns = list(content.values())
    if all(isinstance(column, list) for column in columns):
        if len({len(column) for column in columns}) > 1:
            return None
        return [dict(zip(content, row, strict=True)) for row in zip(*columns, strict=True)]
    if all(isinstance(column, dict) for column in columns):
        keys = list(dict.fromkeys(key for column in columns for key in column))
        return [{name: column[key] for name, column in content.items() if key in column} for key in keys]
    return None


def _described(content: Any) -> str:
    if isinstance(content, dict):
        names = ", ".join(shortened(str(name)) for name in list(content)[:10])
        lists = [name for name, value in content.items() if isinstance(value, list)]
        hint = f"; write the list under {lists[0]!r} as the file" if len(lists) == 1 and len(content) > 1 else ""
        return f"one object with the keys {names or '(none)'}{hint}"
    if isinstance(content, list):
        kinds = sorted({type(value).__name__ for value in content})
        return f"a list of {', '.join(kinds)}"
    return type(content).__name__


def _chunks(path: Path, records: Iterator[dict[str, Any]], rows: int) -> Iterator[pd.DataFrame]:
    while block := list(islice(records, rows)):
        yield records_frame(str(path), block)
