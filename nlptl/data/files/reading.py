"""Reading a table of any format, whole or in chunks."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd

from nlptl.config.data import Quotes
from nlptl.data.files.delimited import read_delimited
from nlptl.data.files.encodings import GZIP, undecodable
from nlptl.data.files.json_tables import read_json, read_json_lines
from nlptl.data.files.parquet import read_parquet
from nlptl.data.files.tables import CHUNK, Dialect, check_frame, check_names, compact
from nlptl.errors import DataError, shortened

_READERS: dict[str, Callable[[Path, int, Dialect], Iterator[pd.DataFrame]]] = {
    ".csv": read_delimited,
    ".tsv": read_delimited,
    ".jsonl": read_json_lines,
    ".ndjson": read_json_lines,
    ".json": read_json,
    ".parquet": read_parquet,
}
_JSON = (".json", ".jsonl", ".ndjson")


def read_frame(
    path: Path,
    encoding: str | None = None,
    delimiter: str | None = None,
    quotes: Quotes | None = None,
    section: str | None = "data",
) -> pd.DataFrame:
    """A whole file as a DataFrame; CSV cells are text, other formats keep their values.

    Columns of nothing but texts are of pandas' type `str`, all others hold objects.

    Raises:
        DataError: missing, empty, undecodable, malformed (with the line or row), or of an unknown format.
    """
    chunks = list(map(compact, read_chunks(path, CHUNK, encoding, delimiter, quotes, section)))
    return pd.concat(chunks, ignore_index=True) if chunks else pd.DataFrame()


def read_chunks(
    path: Path,
    rows: int = CHUNK,
    encoding: str | None = None,
    delimiter: str | None = None,
    quotes: Quotes | None = None,
    section: str | None = "data",
) -> Iterator[pd.DataFrame]:
    """The file as DataFrames of at most `rows` rows, so that memory does not grow with the file.

    Args:
        path: its ending says the format; text formats may be compressed with gzip (`.csv.gz`).
        rows: most rows of a chunk.
        encoding: of text formats, as `data.encoding`.
        delimiter: of CSV and TSV, as `data.delimiter`.
        quotes: of CSV and TSV, as `data.quotes`.
        section: what messages point to, as `Dialect.section`.

    Raises:
        DataError: as `read_frame`.
    """
    reader = _READERS.get(_ending(path))
    if reader is None:
        raise DataError(
            f"{path}: unknown format {path.suffix!r}. Use one of {', '.join(_READERS)}; "
            "text formats also compressed, such as .csv.gz."
        )
    try:
        if not path.is_file():
            raise DataError(f"{path} does not exist or is not a file.")
        if path.stat().st_size == 0:
            raise DataError(f"{path} is empty.")
    except OSError as error:  # such as a name that is too long
        raise DataError(f"Cannot read {shortened(str(path))}: {error.strerror or error}.") from error
    dialect = Dialect(encoding, delimiter, quotes, section)
    try:
        for chunk in reader(path, rows, dialect):
            # Decoding leaves no halves of characters; a JSON escape may be one.
            check = check_frame if _ending(path) in _JSON else _check_names
            check(str(path), chunk)
            yield chunk
    except UnicodeError as error:
        raise DataError(undecodable(path, dialect, error)) from error
    except LookupError as error:
        raise DataError(f"{path}: {error}. Python knows names such as utf-8, cp1252, latin-1, utf-16.") from error
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"Cannot read {path}: {error}") from error


def is_table(path: Path) -> bool:
    """Whether the file's ending is one that can be read."""
    return _ending(path) in _READERS


def table_stem(path: Path) -> str:
    """The file's name without its ending: `train` for `train.csv` and `train.csv.gz`."""
    return Path(path.stem).stem if path.suffix.lower() == GZIP else path.stem


def _ending(path: Path) -> str:
    """`.csv` for `a.CSV` and for `a.csv.gz`; Parquet compresses by itself."""
    ending = path.suffix.lower()
    inner = Path(path.stem).suffix.lower()
    return inner if ending == GZIP and inner in _READERS and inner != ".parquet" else ending


def _check_names(origin: str, frame: pd.DataFrame) -> None:
    check_names(origin, list(frame.columns))
