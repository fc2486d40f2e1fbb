"""Pieces of Markdown that the generated parts share."""

from __future__ import annotations

import re

NO_BREAK_SPACE = "\N{NO-BREAK SPACE}"


def plain(text: str) -> str:
    """Text as one line of Markdown: code in backticks and `--options` are code, nothing else is read as markup."""
    parts = re.split(r"(`[^`]*`|(?<!\S)--[a-z][a-z_-]*)", " ".join(text.split()))
    return "".join(_escaped(part) if i % 2 == 0 else code(part.strip("`")) for i, part in enumerate(parts))


def code(text: str) -> str:
    """Text as code, also where it holds a backtick."""
    fence = "``" if "`" in text else "`"
    return f"{fence}{text}{fence}"


def entry(term: str, said: str) -> str:
    """A term of a definition list and what is said of it."""
    return f"{term}\n: {said or NO_BREAK_SPACE}\n"


def _escaped(text: str) -> str:
    return re.sub(r"([<*_\[\]$])", r"\\\1", text)
