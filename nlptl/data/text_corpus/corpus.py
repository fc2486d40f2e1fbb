"""Unlabelled texts: read in chunks, held out by their content, and kept on disk as tokens.

A corpus may be larger than memory: what grows with it here is eight bytes per row, and for unpacked rows a short digest
of each different text.
"""

from __future__ import annotations

import hashlib
import json
from array import array
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pandas as pd

from nlptl.data.files import CHUNK, Dialect, is_table, read_chunks
from nlptl.data.sources import pick_columns
from nlptl.data.tokens.encoding import Encoded
from nlptl.errors import DataError
from nlptl.storage.paths import user_path

CORPUS = Dialect(section="corpus")
"""Found out from the files; messages point to the settings of a pre-training."""
Track = Callable[[Iterable[list[str]]], Iterable[list[str]]]


def read_texts(
    sources: list[str], column: str | None = None, dialect: Dialect = CORPUS, limit: int | None = None
) -> Iterator[list[str]]:
    """The non-empty texts of files and folders, in chunks.

    Args:
        sources: .txt files (one text a line), tables, or folders of both.
        column: the tables' text column; None: `text`, or the only column.
        dialect: how they are written, and what messages point to.
        limit: most texts.

    Raises:
        DataError: nothing to read, a file that cannot be read, or an unclear text column.
    """
    left = limit
    for file in [file for source in sources for file in text_files(user_path(source))]:
        for chunk in _lines(file, dialect) if file.suffix.lower() == ".txt" else _column(file, column, dialect):
            texts = [text for text in chunk if text.strip()][:left]
            if texts:
                yield texts
            if left is not None:
                left -= len(texts)
                if left <= 0:
                    return


def text_files(source: Path) -> list[Path]:
    """The file itself, or a folder's files that hold texts, in the order of their names.

    Raises:
        DataError: there is none.
    """
    if source.is_dir():
        found = sorted(path for path in source.rglob("*") if path.suffix.lower() == ".txt" or is_table(path))
        if not found:
            raise DataError(f"{source} holds no text: no .txt, CSV, TSV, JSONL, JSON or Parquet file.")
        return found
    if not source.is_file():
        raise DataError(f"{source} does not exist. Give .txt files (one text a line), tables, or folders of them.")
    return [source]


def _lines(file: Path, dialect: Dialect) -> Iterator[list[str]]:
    try:
        with file.open(encoding=dialect.encoding or "utf-8-sig") as stream:
            while chunk := [line.rstrip("\r\n") for line in islice(stream, CHUNK)]:
                yield chunk
    except (UnicodeError, LookupError) as error:
        advice = dialect.setting("encoding", "cp1252")
        used = dialect.encoding or "UTF-8"
        raise DataError(f"{file} cannot be read as {used}: {error}. Name its encoding{advice}.") from error
    except OSError as error:
        raise DataError(f"Cannot read {file}: {error.strerror or error}.") from error


def _column(file: Path, column: str | None, dialect: Dialect) -> Iterator[list[str]]:
    for frame in read_chunks(file, CHUNK, dialect.encoding, dialect.delimiter, dialect.quotes, dialect.section):
        names = [str(name) for name in frame.columns if not str(name).startswith("__index_level_")]
        chosen = column or ("text" if len(names) != 1 else names[0])
        pick_columns(frame, [chosen], str(file), "--text-column")
        yield [str(text) for text in frame[chosen] if isinstance(text, str) or pd.notna(text)]


def is_held_out(text: str, share: float) -> bool:
    """Whether a text measures instead of being learned from: decided by its content, so repeats stay together."""
    drawn = int.from_bytes(hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=8).digest(), "big")
    return drawn < share * 2**64


@dataclass
class CorpusFacts:
    """What was read."""

    texts: int = 0
    held_out_texts: int = 0
    repeats_dropped: int = 0
    tokens: int = 0
    rows: int = 0
    held_out_rows: int = 0
    sha256: str = ""


def write_corpus(
    chunks: Iterable[list[str]],
    tokenizer: Any,
    folder: Path,
    length: int,
    packed: bool,
    held_out: float,
) -> CorpusFacts:
    """Tokenise a corpus onto disk: `folder/train` and `folder/held_out`, for `open_corpus`.

    Args:
        chunks: texts.
        tokenizer: a transformers tokenizer.
        folder: must not hold a corpus yet.
        length: tokens per row, special tokens included.
        packed: texts end to end, parted by the separator, in rows of full length; else one text a row, cut to the
            length, each text once.
        held_out: share of the texts that go to `held_out`.

    Raises:
        DataError: there are too few texts to hold some out.
    """
    facts, digest = CorpusFacts(), hashlib.sha256()
    seen: set[bytes] = set()
    with ExitStack() as stack:
        writers = {name: stack.enter_context(_RowWriter(folder / name)) for name in ("train", "held_out")}
        packers = {name: _Packer(writer, tokenizer, length) for name, writer in writers.items()}
        for chunk in chunks:
            kept = chunk if packed else _unseen(chunk, seen)
            facts.repeats_dropped += len(chunk) - len(kept)
            ids = tokenizer(
                kept,
                add_special_tokens=not packed,
                truncation=not packed,
                max_length=None if packed else length,
                return_attention_mask=False,
                return_token_type_ids=False,
                verbose=False,
            )["input_ids"]
            for text, row in zip(kept, ids, strict=True):
                digest.update(text.encode("utf-8", "replace") + b"\n")
                name = "held_out" if is_held_out(text, held_out) else "train"
                facts.texts += 1
                facts.held_out_texts += name == "held_out"
                facts.tokens += len(row)
                if packed:
                    packers[name].add(row)
                else:
                    writers[name].add(row)
        if packed:
            for packer in packers.values():
                packer.finish()
        facts.rows, facts.held_out_rows = (len(writers[name].offsets) - 1 for name in ("train", "held_out"))
    facts.sha256 = digest.hexdigest()
    if not facts.rows or not facts.held_out_rows:
        raise DataError(
            f"The corpus has {facts.texts} different texts, too few to hold {held_out:.0%} of them out. "
            "Give more texts, or --set corpus.held_out=0.2"
        )
    return facts


def open_corpus(folder: Path) -> Encoded:
    """What `write_corpus` wrote to one of its folders, mapped rather than read."""
    offsets = np.load(folder / "offsets.npy", allow_pickle=False)
    return Encoded(np.memmap(folder / "tokens.bin", np.int32, "r"), offsets, None)


def write_facts(path: Path, facts: dict[str, Any]) -> None:
    """Note what was read; the note says that the corpus is complete."""
    aside = path.with_name(path.name + ".part")
    aside.write_text(json.dumps(facts), encoding="utf-8")
    aside.replace(path)


def _unseen(texts: list[str], seen: set[bytes]) -> list[str]:
    """The texts that did not occur before; a repeat would be its own negative."""
    kept = []
    for text in texts:
        key = hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=8).digest()
        if key not in seen:
            seen.add(key)
            kept.append(text)
    return kept


class _RowWriter:
    """Rows of token ids, end to end in `tokens.bin`, with their bounds in `offsets.npy`."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.offsets = array("q", [0])
        self._stream: BinaryIO = (folder / "tokens.bin").open("wb")

    def add(self, ids: list[int]) -> None:
        self._stream.write(np.asarray(ids, np.int32).tobytes())
        self.offsets.append(self.offsets[-1] + len(ids))

    def __enter__(self) -> _RowWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self._stream.close()
        np.save(self.folder / "offsets.npy", np.asarray(self.offsets, np.int64), allow_pickle=False)


@dataclass
class _Packer:
    """Fills rows: [CLS] text [SEP] text [SEP] te | [CLS] xt [SEP] ..."""

    writer: _RowWriter
    tokenizer: Any
    length: int
    waiting: list[int] = field(default_factory=list)

    def add(self, ids: list[int]) -> None:
        self.waiting += [*ids, self.tokenizer.sep_token_id]
        room = self.length - 2
        while len(self.waiting) >= room:
            self._write(self.waiting[:room])
            del self.waiting[:room]

    def finish(self) -> None:
        if len(self.waiting) > 1:
            self._write(self.waiting)
        self.waiting = []

    def _write(self, ids: list[int]) -> None:
        self.writer.add([self.tokenizer.cls_token_id, *ids, self.tokenizer.sep_token_id])
