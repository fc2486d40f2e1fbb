"""Text files as lines: which encoding, byte order marks, gzip, and what a file is that is no text."""

from __future__ import annotations

import codecs
import gzip
import io
from collections.abc import Iterator
from pathlib import Path
from typing import IO, cast

from nlptl.data.files.tables import Dialect
from nlptl.errors import DataError

GZIP = ".gz"
_MARKS = [
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
]
_OTHER_FILES = [
    (b"\x1f\x8b", "compressed with gzip; add .gz to its name"),
    (b"PK\x03\x04", "a ZIP archive or an Excel workbook; save the table as CSV in UTF-8"),
    (b"\xd0\xcf\x11\xe0", "an old Excel workbook; save the table as CSV in UTF-8"),
    (b"PAR1", "a Parquet file; give it the ending .parquet"),
    (b"ARROW1", "an Arrow file; save it as Parquet"),
]


def text_lines(path: Path, dialect: Dialect) -> Iterator[str]:
    """The lines of a text file with their line ends, without byte order marks.

    Raises:
        DataError: it is a file of another kind.
        UnicodeError: it cannot be decoded (see `undecodable`).
        LookupError: there is no such encoding.
        OSError: it cannot be read.
    """
    with _open(path) as binary:
        encoding = text_encoding(path, dialect)
        with io.TextIOWrapper(binary, encoding=encoding, newline="") as stream:
            first = True
            for line in stream:
                # A second mark comes from a program that kept the first one as a letter.
                rest = line.lstrip("\ufeff") if first else line
                first = False
                if rest:
                    yield rest


def text_encoding(path: Path, dialect: Dialect) -> str:
    """The encoding asked for, else what a byte order mark says, else UTF-8.

    Raises:
        DataError: the file is of another kind, or begins with the mark of another encoding.
        LookupError: there is no such encoding.
    """
    with _open(path) as stream:
        head = stream.read(64)
    for start, meaning in _OTHER_FILES:
        if head.startswith(start):
            raise DataError(f"{path} is no text, but {meaning}.")
    marked = next((name for mark, name in _MARKS if head.startswith(mark)), None)
    chosen = dialect.encoding
    if chosen is None:
        _refuse_unmarked_utf16(path, head if marked is None else b"", dialect)
        return marked or "utf-8"
    if "\0" in chosen:
        raise LookupError("unknown encoding")
    name = codecs.lookup(chosen).name
    if marked is None:
        return chosen
    if not name.startswith(marked.removesuffix("-sig")):
        raise DataError(
            f"{path} begins with a byte order mark of {marked.removesuffix('-sig')}, but is to be read as {chosen}. "
            f"Name the encoding of the mark{dialect.setting('encoding', marked.removesuffix('-sig'))}, or save it anew."
        )
    return marked


def _refuse_unmarked_utf16(path: Path, head: bytes, dialect: Dialect) -> None:
    """Western text in UTF-16 is valid UTF-8: every other letter would be a NUL."""
    for name, blank, filled in (("utf-16-le", head[1::2], head[::2]), ("utf-16-be", head[::2], head[1::2])):
        if len(head) >= 8 and not any(blank) and all(filled):
            raise DataError(
                f"{path} looks like {name} without a byte order mark. Save it as UTF-8, or name its encoding"
                f"{dialect.setting('encoding', name)}."
            )


def undecodable(path: Path, dialect: Dialect, error: UnicodeError) -> str:
    """What to say of a file that cannot be decoded: where, and what to do."""
    used = text_encoding(path, dialect).removesuffix("-sig")
    where = ""
    if isinstance(error, UnicodeDecodeError) and not used.startswith(("utf-16", "utf-32")):
        with _open(path) as stream:
            data = stream.read()
        try:
            data.decode(used)
        except UnicodeDecodeError as exact:
            start = data.rfind(b"\n", 0, exact.start) + 1
            line = data.count(b"\n", 0, exact.start) + 1
            shown = data[start : exact.start + 20].decode("cp1252", "replace")[-40:]
            where = f" at line {line} (byte {data[exact.start]:#04x}; as cp1252 it would read {shown!r})"
    advice = dialect.advice("encoding", "cp1252")
    instead = f", or name its encoding: {advice}" if advice else "."
    return f"{path} is not valid {used}{where}. Save it as UTF-8{instead}"


def _open(path: Path) -> IO[bytes]:
    return cast(IO[bytes], gzip.open(path, "rb")) if path.suffix.lower() == GZIP else path.open("rb")
