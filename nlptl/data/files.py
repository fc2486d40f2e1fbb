"""Tables in files: CSV, TSV, JSON Lines, JSON and Parquet, read and written in chunks."""

from __future__ import annotations

import codecs
import csv
import json
import math
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any, Self, TextIO

import pandas as pd

from nlptl.config.records import holds_half_character
from nlptl.errors import DataError, shortened

CHUNK = 10_000
_BOMS = [
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
]
_JSON = (".json", ".jsonl", ".ndjson")
DELIMITERS = ",;\t"
# The default of 128 KB refuses long documents; this is the largest value every platform's C long holds.
csv.field_size_limit(2**31 - 1)


def read_frame(path: Path, encoding: str | None = None) -> pd.DataFrame:
    """A whole file as a DataFrame; CSV cells are text, other formats keep their types.

    Raises:
        DataError: missing, empty, undecodable, malformed (with the line or row), or of an unknown format.
    """
    chunks = list(read_chunks(path, encoding=encoding))
    return pd.concat(chunks, ignore_index=True) if chunks else pd.DataFrame()


def read_chunks(path: Path, rows: int = CHUNK, encoding: str | None = None) -> Iterator[pd.DataFrame]:
    """The file as DataFrames of at most `rows` rows, so that memory does not grow with the file.

    Raises:
        DataError: as `read_frame`.
    """
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        raise DataError(f"{path}: unknown format {path.suffix!r}. Use one of {', '.join(_READERS)}.")
    try:
        if not path.is_file():
            raise DataError(f"{path} does not exist or is not a file.")
        if path.stat().st_size == 0:
            raise DataError(f"{path} is empty.")
    except OSError as error:  # such as a name that is too long
        raise DataError(f"Cannot read {shortened(str(path))}: {error.strerror or error}.") from error
    try:
        for chunk in reader(path, rows, encoding):
            _check_frame(path, chunk)
            yield chunk
    except UnicodeError as error:
        raise DataError(_undecodable(path, encoding, error)) from error
    except LookupError as error:
        raise DataError(f"{path}: {error}. Python knows names such as utf-8, cp1252, latin-1, utf-16.") from error
    except OSError as error:
        raise DataError(f"Cannot read {path}: {error}") from error


def _check_frame(path: Path, frame: pd.DataFrame) -> None:
    """What would go wrong much later: two columns of one name, text that no encoding can write."""
    names = list(map(str, frame.columns))
    if len(set(names)) < len(names):
        twice = sorted({name for name in names if names.count(name) > 1})
        raise DataError(f"{path}: column {', '.join(map(repr, twice))} occurs twice.")
    if any(holds_half_character(name) for name in names):
        raise DataError(f"{path}: a column name holds half a character (a lone surrogate).")
    if path.suffix.lower() not in _JSON:
        return  # decoding leaves no halves of characters; a JSON escape may be one
    for name in frame.columns:
        for row, value in enumerate(frame[name], 1):
            if isinstance(value, str) and holds_half_character(value):
                raise DataError(f"{path}, column {name!r}, about row {row}: half a character (a lone surrogate).")


def is_table(path: Path) -> bool:
    """Whether the file's ending is one that can be read."""
    return path.suffix.lower() in _READERS


def _open(path: Path, encoding: str | None) -> TextIO:
    return path.open(encoding=_encoding(path, encoding), newline="")


def _encoding(path: Path, chosen: str | None) -> str:
    """The encoding asked for, else what a byte order mark says, else UTF-8."""
    with path.open("rb") as stream:
        head = stream.read(4)
    marked = next((name for bom, name in _BOMS if head.startswith(bom)), None)
    if chosen is None:
        return marked or "utf-8"
    if "\0" in chosen:
        raise LookupError("unknown encoding")
    # Asked for as plain UTF-8, a mark would become part of the first column's name.
    return "utf-8-sig" if marked == "utf-8-sig" and codecs.lookup(chosen).name == "utf-8" else chosen


def _undecodable(path: Path, encoding: str | None, error: UnicodeError) -> str:
    used = _encoding(path, encoding).removesuffix("-sig")
    where = ""
    if isinstance(error, UnicodeDecodeError) and not used.startswith(("utf-16", "utf-32")):
        data = path.read_bytes()
        try:
            data.decode(used)
        except UnicodeDecodeError as exact:
            start = data.rfind(b"\n", 0, exact.start) + 1
            line = data.count(b"\n", 0, exact.start) + 1
            shown = data[start : exact.start + 20].decode("cp1252", "replace")[-40:]
            where = f" at line {line} (byte {data[exact.start]:#04x}; as cp1252 it would read {shown!r})"
    return f"{path} is not valid {used}{where}. Save it as UTF-8, or name its encoding: --set data.encoding=cp1252"


def _read_csv(path: Path, rows: int, encoding: str | None) -> Iterator[pd.DataFrame]:
    with _open(path, encoding) as stream:
        header_line = stream.readline()
        stream.seek(0)
        delimiter = "\t" if path.suffix.lower() == ".tsv" else max(DELIMITERS, key=header_line.count)
        reader = csv.reader(stream, delimiter=delimiter, strict=True)
        try:
            header = [name.strip() for name in next(reader, [])]
            _check_header(path, header)
            records = (record for record in reader if record)
            done = 0
            while block := list(islice(records, rows)):
                wrong = [i for i, record in enumerate(block) if len(record) != len(header)]
                if wrong:
                    raise DataError(_ragged(path, header, block, wrong, done))
                yield pd.DataFrame(block, columns=header, dtype=object)
                done += len(block)
        except csv.Error as error:
            raise DataError(f"{path}, line {reader.line_num}: malformed CSV ({error}).") from error
        if not done:
            yield pd.DataFrame(columns=header, dtype=object)


def _check_header(path: Path, header: list[str]) -> None:
    if not any(header):
        raise DataError(f"{path}: the first line holds no column names.")
    twice = sorted({name for name in header if header.count(name) > 1})
    if twice:
        raise DataError(f"{path}: column {', '.join(map(repr, twice))} occurs twice in the header.")


def _ragged(path: Path, header: list[str], block: list[list[str]], wrong: list[int], done: int) -> str:
    shown = ", ".join(f"row {done + i + 1} has {len(block[i])}" for i in wrong[:10])
    more = f" and {len(wrong) - 10} more" if len(wrong) > 10 else ""
    return (
        f"{path}: the header has {len(header)} columns, but {shown}{more}. "
        "Put texts that hold the delimiter in double quotes."
    )


def _read_jsonl(path: Path, rows: int, encoding: str | None) -> Iterator[pd.DataFrame]:
    with _open(path, encoding) as stream:
        records: list[dict[str, Any]] = []
        for number, line in enumerate(stream, 1):
            if not line.strip():
                continue
            records.append(_json_object(path, number, line))
            if len(records) == rows:
                yield pd.DataFrame(records, dtype=object)
                records = []
        if records:
            yield pd.DataFrame(records, dtype=object)


def _json_object(path: Path, number: int, line: str) -> dict[str, Any]:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise DataError(
            f"{path}, line {number}: not valid JSON ({error}). JSON Lines holds one object a line."
        ) from error
    if not isinstance(record, dict):
        raise DataError(f"{path}, line {number}: expected a JSON object, found {type(record).__name__}.")
    return record


def _read_json(path: Path, rows: int, encoding: str | None) -> Iterator[pd.DataFrame]:
    with _open(path, encoding) as stream:
        text = stream.read()
    try:
        records = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: not valid JSON ({error}).") from error
    if not isinstance(records, list) or not all(isinstance(record, dict) for record in records):
        raise DataError(f"{path}: expected a list of objects. For one object a line, name the file .jsonl.")
    for start in range(0, len(records), rows):
        yield pd.DataFrame(records[start : start + rows], dtype=object)


def _read_parquet(path: Path, rows: int, encoding: str | None) -> Iterator[pd.DataFrame]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=rows):
                yield batch.to_pandas().astype(object)
            if not file.metadata.num_rows:
                yield pd.DataFrame(columns=file.schema_arrow.names, dtype=object)
    except (pa.ArrowException, ValueError, TypeError, OverflowError, KeyError, NotImplementedError) as error:
        # Damage also shows as values or types that pandas cannot hold.
        if isinstance(error, UnicodeError):
            raise DataError(f"{path} is not a readable Parquet file: a text in it is not UTF-8.") from error
        raise DataError(f"{path} is not a readable Parquet file: {error}") from error


_READERS: dict[str, Callable[[Path, int, str | None], Iterator[pd.DataFrame]]] = {
    ".csv": _read_csv,
    ".tsv": _read_csv,
    ".jsonl": _read_jsonl,
    ".ndjson": _read_jsonl,
    ".json": _read_json,
    ".parquet": _read_parquet,
}


class TableWriter:
    """Writes DataFrames to CSV, TSV, JSONL or Parquet chunk by chunk.

    The file appears under its own name only when everything was written: an interrupted job leaves none, and an
    older file of that name stays as it was.

    Args:
        path: its ending says the format.
        safe_csv: in CSV and TSV, put an apostrophe before texts that a spreadsheet would run as formulas.

    Raises:
        DataError: the format cannot be written, or there is no such folder.
    """

    def __init__(self, path: Path, safe_csv: bool = False) -> None:
        if path.suffix.lower() not in (".csv", ".tsv", ".jsonl", ".ndjson", ".parquet"):
            raise DataError(f"{path}: cannot write {path.suffix!r}. Use .csv, .tsv, .jsonl or .parquet.")
        if not path.parent.is_dir():
            raise DataError(f"The folder {path.parent} does not exist.")
        if path.is_dir():
            raise DataError(f"{path} is a folder. Choose another --output.")
        self.path = path
        self._safe = safe_csv
        self._columns: list[Any] | None = None
        self._aside = path.with_name(f".{path.name}.part")
        self._parquet: Any = None
        self._header = True

    def write(self, frame: pd.DataFrame) -> None:
        """Append a chunk. A column that a later chunk lacks is empty there.

        Raises:
            DataError: a later chunk has columns of its own, the format cannot hold a value, or the system refuses.
        """
        try:
            self._write(self._aligned(frame))
        except OSError as error:
            raise DataError(f"Cannot write {self.path}: {error.strerror or error}.") from error

    def _aligned(self, frame: pd.DataFrame) -> pd.DataFrame:
        """The chunk under the columns of the first one: one table, not several."""
        if self._columns is None:
            self._columns = list(frame.columns)
        new = [str(name) for name in frame.columns if name not in self._columns]
        if self.path.suffix.lower() in _JSON:
            return frame  # every record names its own columns
        if new:
            raise DataError(
                f"{', '.join(map(repr, new))}: these columns begin after row {CHUNK}, when the header of {self.path} "
                "was written already. Write .jsonl, or give every record the same keys."
            )
        return frame.reindex(columns=self._columns)

    def _write(self, frame: pd.DataFrame) -> None:
        suffix = self.path.suffix.lower()
        if suffix == ".parquet":
            self._write_parquet(frame)
        elif suffix in (".jsonl", ".ndjson"):
            with self._aside.open("a", encoding="utf-8", newline="") as stream:
                for record in frame.to_dict("records"):
                    # A key that a record lacked is NaN in the frame, and JSON knows no NaN.
                    known = {key: value for key, value in record.items() if not _is_nan(value)}
                    stream.write(json.dumps(known, ensure_ascii=False, default=_plain) + "\n")
        else:
            separator = "\t" if suffix == ".tsv" else ","
            with self._aside.open("a", encoding="utf-8", newline="") as stream:
                stream.write(_csv_text(without_formulas(frame) if self._safe else frame, separator, self._header))
        self._header = False

    def _write_parquet(self, frame: pd.DataFrame) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            if self._parquet is None:
                table = pa.Table.from_pandas(frame, preserve_index=False)
                self._parquet = pq.ParquetWriter(self._aside, table.schema)
            else:
                table = pa.Table.from_pandas(frame, schema=self._parquet.schema, preserve_index=False)
            self._parquet.write_table(table)
        except (pa.ArrowException, OverflowError) as error:
            raise DataError(
                f"{self.path}: Parquet cannot hold a column whose values differ in kind: {error}. Write .csv or .jsonl."
            ) from error

    def __enter__(self) -> Self:
        self._aside.unlink(missing_ok=True)
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if self._parquet is not None:
            self._parquet.close()
        try:
            if kind is None and self._aside.exists():
                self._aside.replace(self.path)
        finally:
            self._aside.unlink(missing_ok=True)


def _csv_text(frame: pd.DataFrame, separator: str, header: bool) -> str:
    text = frame.to_csv(None, header=header, index=False, sep=separator, lineterminator="\n")
    if "\r" in text:
        # Before Python 3.13 a lone carriage return is left unquoted, and readers take it for a line's end.
        text = frame.to_csv(
            None, header=header, index=False, sep=separator, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC
        )
    return str(text)


_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def without_formulas(frame: pd.DataFrame) -> pd.DataFrame:
    """A copy in which spreadsheets see texts where they would see formulas: those get an apostrophe in front.

    Texts and column names that begin with `=`, `+`, `-`, `@`, tab or carriage return are changed; numbers are not.
    """

    def plain(value: Any) -> Any:
        return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value

    return frame.map(plain).rename(columns=plain)


def _is_nan(value: Any) -> bool:
    return isinstance(value, float) and math.isnan(value)


def _plain(value: Any) -> Any:
    """JSON for numpy scalars and arrays."""
    return value.tolist() if hasattr(value, "tolist") else str(value)
