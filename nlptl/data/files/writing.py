"""Writing a table chunk by chunk: the file appears whole, and one writer at a time has it."""

from __future__ import annotations

import os
import re
import secrets
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

import pandas as pd
from filelock import FileLock, Timeout

from nlptl.data.files.formats import CsvFormat, Format, JsonLinesFormat, ParquetFormat
from nlptl.data.files.tables import CHUNK
from nlptl.errors import DataError

_ENDINGS = (".csv", ".tsv", ".jsonl", ".ndjson", ".parquet")


class TableWriter:
    """Writes DataFrames to CSV, TSV, JSONL or Parquet chunk by chunk.

    The file appears under its own name only when everything was written: an interrupted job leaves none, and an older
    file of that name stays as it was. While one process writes a file, another that wants to is refused.

    Values are written as they are: whole numbers as such, missing cells empty (null in JSON and Parquet), lists and
    objects as JSON, bytes in base64.

    Args:
        path: its ending says the format.
        safe_csv: in CSV and TSV, put an apostrophe before texts that a spreadsheet would run as formulas.
        like: where both are Parquet, the file whose columns have their types and metadata in the new one.

    Raises:
        DataError: the format cannot be written, there is no such folder, or another process is writing this file.
    """

    def __init__(self, path: Path, safe_csv: bool = False, like: Path | None = None) -> None:
        if path.suffix.lower() not in _ENDINGS:
            raise DataError(f"{path}: cannot write {path.suffix!r}. Use .csv, .tsv, .jsonl or .parquet.")
        if not path.parent.is_dir():
            raise DataError(f"The folder {path.parent} does not exist.")
        if path.is_dir():
            raise DataError(f"{path} is a folder. Choose another --output.")
        self.path = path
        self._safe = safe_csv
        self._like = like if like is not None and like.suffix.lower() == ".parquet" else None
        self._columns: list[str] | None = None
        self._aside = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}.part")
        self._lock = FileLock(path.with_name(f".{path.name}.lock"), timeout=0)
        self._format: Format | None = None

    def write(self, frame: pd.DataFrame) -> None:
        """Append a chunk. A column that a later chunk lacks is empty there.

        Raises:
            DataError: a later chunk has columns of its own, the format cannot hold a value, or the system refuses.
        """
        try:
            if self._format is None:
                self._format = self._open()
            self._format.write(self._aligned(frame))
        except OSError as error:
            raise DataError(f"Cannot write {self.path}: {error.strerror or error}.") from error

    def _open(self) -> Format:
        ending = self.path.suffix.lower()
        if ending == ".parquet":
            return ParquetFormat(self._aside, self.path, self._like)
        if ending in (".jsonl", ".ndjson"):
            return JsonLinesFormat(self._aside)
        return CsvFormat(self._aside, "\t" if ending == ".tsv" else ",", self._safe)

    def _aligned(self, frame: pd.DataFrame) -> dict[str, list[Any]]:
        """The chunk as columns of Python values, under the columns of the first one: one table, not several."""
        columns = {str(name): frame.iloc[:, i].tolist() for i, name in enumerate(frame.columns)}
        if self._columns is None:
            self._columns = list(columns)
        new = [name for name in columns if name not in self._columns]
        if self._format is None or self._format.grows:
            return columns
        if new:
            raise DataError(
                f"{', '.join(map(repr, new))}: these columns begin after row {CHUNK}, when the header of {self.path} "
                "was written already. Write .jsonl, or give every record the same keys."
            )
        return {name: columns.get(name, [None] * len(frame)) for name in self._columns}

    def __enter__(self) -> Self:
        try:
            self._lock.acquire()
        except Timeout as error:
            raise DataError(
                f"Another process is writing {self.path} at this moment. Wait for it, or choose another --output."
            ) from error
        except NotImplementedError:
            pass  # no locks here: whoever finishes last wins, and its file is whole
        except OSError as error:
            raise DataError(f"Cannot write {self.path}: {error.strerror or error}.") from error
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if self._format is not None:
                self._format.close()
                if kind is None:
                    self._aside.replace(self.path)
        except OSError as error:
            if kind is None:
                raise DataError(f"Cannot write {self.path}: {error.strerror or error}.") from error
        finally:
            self._aside.unlink(missing_ok=True)
            if self._lock.is_locked:
                self._remove_left_overs()
                # While it is held: a process that waits for the removed file sees that, and asks for a new one.
                with suppress(OSError):
                    Path(self._lock.lock_file).unlink()
                self._lock.release()

    def _remove_left_overs(self) -> None:
        """What killed writers of this file left beside it; only the holder of the lock may."""
        part = re.compile(rf"\.{re.escape(self.path.name)}\.(\d+-[0-9a-f]{{8}}\.part(\.before\.part)?|part)")
        for left in self.path.parent.iterdir():
            if part.fullmatch(left.name):
                left.unlink(missing_ok=True)
