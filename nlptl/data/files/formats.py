"""The formats that tables are written in; each takes columns of Python values and puts them into a file."""

from __future__ import annotations

import base64
import csv
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import pandas as pd

from nlptl.data.files.parquet import cells
from nlptl.data.files.tables import ABSENT
from nlptl.errors import DataError

Columns = Mapping[str, Sequence[Any]]
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


class Format(Protocol):
    """A file that is being written."""

    grows: bool
    """Whether a later chunk may bring columns that the first one did not have."""

    def write(self, columns: Columns) -> None:
        """Append rows."""

    def close(self) -> None:
        """Finish the file."""


class CsvFormat:
    """CSV or TSV in UTF-8, with quotes as RFC 4180 has them."""

    grows = False

    def __init__(self, path: Path, delimiter: str, safe: bool) -> None:
        self._stream = path.open("w", encoding="utf-8", newline="")
        self._safe = safe
        self._plain = csv.writer(self._stream, delimiter=delimiter, lineterminator="\n")
        self._quoted = csv.writer(self._stream, delimiter=delimiter, lineterminator="\n", quoting=csv.QUOTE_ALL)
        self._header = True

    def write(self, columns: Columns) -> None:
        """Append rows, the first time after the header."""
        if self._header:
            self._write_row(list(columns))
            self._header = False
        for row in zip(*(map(csv_cell, values) for values in columns.values()), strict=True):
            self._write_row(row)

    def _write_row(self, row: Sequence[Any]) -> None:
        if self._safe:
            row = [f"'{cell}" if isinstance(cell, str) and cell.startswith(_FORMULA) else cell for cell in row]
        # Before Python 3.13 a lone carriage return is left unquoted, and readers take it for a line's end.
        returns = any(isinstance(cell, str) and "\r" in cell for cell in row)
        (self._quoted if returns else self._plain).writerow(row)

    def close(self) -> None:
        """Finish the file."""
        self._stream.close()


class JsonLinesFormat:
    """One JSON object a line, in UTF-8."""

    grows = True

    def __init__(self, path: Path) -> None:
        self._stream = path.open("w", encoding="utf-8", newline="")

    def write(self, columns: Columns) -> None:
        """Append rows; each has the keys that it came with."""
        for row in zip(*columns.values(), strict=True):
            record = {name: _json_value(cell) for name, cell in zip(columns, row, strict=True) if cell is not ABSENT}
            self._stream.write(json.dumps(record, ensure_ascii=False, default=_plain) + "\n")

    def close(self) -> None:
        """Finish the file."""
        self._stream.close()


class ParquetFormat:
    """Parquet, a row group for each chunk.

    Args:
        path: the file to write.
        shown: its name in messages.
        like: a Parquet file whose columns keep their types and metadata.
    """

    grows = True

    def __init__(self, path: Path, shown: Path, like: Path | None) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        self._path = path
        self._shown = shown
        self._known: Any = pq.read_schema(like) if like is not None else pa.schema([])
        self._writer: Any = None

    def write(self, columns: Columns) -> None:
        """Append rows; a column that was empty so far, or is new, takes the type that it has here."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            table = self._table(columns)
            if self._writer is None:
                self._known = table.schema
                self._writer = pq.ParquetWriter(self._path, self._known)
            elif not table.schema.equals(self._known):
                self._change_schema(pa.unify_schemas([self._known, table.schema], promote_options="permissive"))
                table = _fitted(table, self._known)
            self._writer.write_table(table)
        except (pa.ArrowException, OverflowError) as error:
            raise DataError(
                f"{self._shown}: Parquet cannot hold a column whose values differ in kind: {error}. "
                "Write .csv or .jsonl."
            ) from error

    def _table(self, columns: Columns) -> Any:
        import pyarrow as pa

        fields, arrays = [], []
        for name, values in columns.items():
            index = self._known.get_field_index(name)
            known = self._known.field(index) if index >= 0 else None
            array = _array(values, known.type if known is not None else None)
            arrays.append(array)
            same = known is not None and known.type.equals(array.type)
            fields.append(known if same else pa.field(name, array.type))
        return pa.Table.from_arrays(arrays, schema=pa.schema(fields, self._known.metadata))

    def _change_schema(self, schema: Any) -> None:
        """Write the rows so far anew under a schema that has the later columns and types too."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        if schema.equals(self._known):
            return
        self._writer.close()
        before = self._path.with_name(f"{self._path.name}.before.part")
        self._path.replace(before)
        self._known, self._writer = schema, pq.ParquetWriter(self._path, schema)
        with pq.ParquetFile(before) as file:
            for batch in file.iter_batches():
                self._writer.write_table(_fitted(pa.Table.from_batches([batch]), schema))
        before.unlink()

    def close(self) -> None:
        """Finish the file."""
        if self._writer is not None:
            self._writer.close()


def _array(values: Sequence[Any], kind: Any) -> Any:
    """Values as an Arrow array of the type that the column has, or of their own where that would change one of them."""
    import pyarrow as pa

    known = [None if value is ABSENT or value is pd.NA or value is pd.NaT else value for value in values]
    fractions = all(value is None or isinstance(value, float) for value in known)
    if not fractions:
        known = [None if isinstance(value, float) and math.isnan(value) else value for value in known]
    if kind is not None and not pa.types.is_null(kind):
        try:
            array = pa.array(known, type=kind)
        except (pa.ArrowException, TypeError, OverflowError):
            array = None
        # Arrow cuts 2.5 to a whole number, a time to its day, and an object to the keys that its type has.
        if array is not None and all(
            before == after or repr(before) == repr(after) for before, after in zip(known, cells(array), strict=True)
        ):
            return array
    try:
        return pa.array(known)
    except OverflowError:
        return pa.array(known, type=pa.uint64())


def _fitted(table: Any, schema: Any) -> Any:
    """The table under a schema that may have more columns and, for empty ones, types."""
    import pyarrow as pa

    arrays = [
        table.column(field.name).cast(field.type)
        if field.name in table.schema.names
        else pa.nulls(table.num_rows, field.type)
        for field in schema
    ]
    return pa.Table.from_arrays(arrays, schema=schema)


def csv_cell(value: Any) -> Any:
    """A cell as CSV has it: missing values empty, lists and objects as JSON, bytes in base64."""
    if isinstance(value, str | int):
        return value
    if _is_missing(value):
        return ""
    if isinstance(value, list | tuple | dict | set) or hasattr(value, "tolist"):
        return json.dumps(_json_value(value), ensure_ascii=False, default=_plain)
    return base64.b64encode(value).decode() if isinstance(value, bytes | bytearray) else value


def _is_missing(value: Any) -> bool:
    return value is None or value is pd.NA or value is pd.NaT or (isinstance(value, float) and math.isnan(value))


def _json_value(value: Any) -> Any:
    """A value without NaN, which JSON does not know; containers inside too."""
    if isinstance(value, str | int):
        return value
    if _is_missing(value):
        return None
    if hasattr(value, "tolist"):
        return _json_value(value.tolist())
    if isinstance(value, dict):
        return {str(key): _json_value(inner) for key, inner in value.items()}
    return [_json_value(inner) for inner in value] if isinstance(value, list | tuple | set) else value


def _plain(value: Any) -> Any:
    """JSON for bytes, dates, decimals and the like."""
    return base64.b64encode(value).decode() if isinstance(value, bytes | bytearray) else str(value)
