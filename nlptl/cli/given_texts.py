"""Texts that `nlptl predict` is given: on the command line, or line by line on standard input."""

from __future__ import annotations

import codecs
import sys
from typing import NamedTuple

from nlptl.errors import ConfigError, DataError, shortened

STANDARD_INPUT = "-"


class Given(NamedTuple):
    """Texts, and whether they are lines of standard input."""

    texts: list[str]
    lines: bool


def given_texts(texts: list[str], encoding: str | None) -> Given:
    """The texts of the command line, or where there are none, or only -, the lines of standard input.

    Raises:
        ConfigError: - among texts, or an encoding of texts that are decoded already.
        DataError: standard input is empty or cannot be decoded.
    """
    if texts and texts != [STANDARD_INPUT]:
        if STANDARD_INPUT in texts:
            raise ConfigError(
                "- stands for standard input, and then no other text can be given. To predict the text - itself, "
                "write it into standard input."
            )
        if encoding is not None:
            raise ConfigError("--encoding is for files and standard input; texts on the command line are decoded.")
        return Given(texts, lines=False)
    lines = _standard_input(encoding)
    if not lines:
        raise DataError("There is no text to predict: standard input was empty.")
    return Given(lines, lines=True)


def _standard_input(encoding: str | None) -> list[str]:
    """Its lines, without their ends and without a byte order mark."""
    if sys.stdin.isatty():
        print("Type texts, one a line; Ctrl-D ends them.", file=sys.stderr)
    content = sys.stdin.buffer.read()
    marks = {"utf-16": (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE), "utf-8-sig": (codecs.BOM_UTF8,)}
    marked = next((name for name, known in marks.items() if content.startswith(known)), None)
    try:
        text = content.decode(encoding or marked or "utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        raise DataError(
            f"Standard input is not valid {error.encoding}: {error.reason}. Convert it, or name its encoding: "
            "--encoding cp1252"
        ) from error
    except LookupError as error:
        raise DataError(f"{error}. Python knows names such as utf-8, cp1252, latin-1, utf-16.") from error
    lines = text.split("\n")
    if lines[-1] == "":
        lines.pop()
    return [line.removesuffix("\r") for line in lines]


def pairs_of(given: Given) -> list[tuple[str, ...]]:
    """Texts of a pair task: two after each other, or on one line of standard input with a tab between."""
    if not given.lines:
        if len(given.texts) % 2:
            raise DataError(
                f"This run takes pairs of texts, two after each other; of {len(given.texts)} the last has no partner: "
                f"{shortened(given.texts[-1])!r}. Write: nlptl predict RUN FIRST SECOND"
            )
        return list(zip(given.texts[::2], given.texts[1::2], strict=True))
    for number, line in enumerate(given.texts, 1):
        if line.count("\t") != 1:
            raise DataError(
                f"This run takes pairs of texts: each line of standard input holds two with a tab between. Line "
                f"{number} holds {line.count(chr(9)) + 1}."
            )
    return [tuple(line.split("\t")) for line in given.texts]
