"""Pieces of Markdown that the generated parts share."""

from __future__ import annotations

import re


def plain(text: str) -> str:
    """Text as one line of Markdown: code in backticks stays code, and nothing else is read as markup."""
    parts = re.split(r"(`[^`]*`)", " ".join(text.split()))
    return "".join(part if part.startswith("`") else re.sub(r"([<*_\[\]$])", r"\\\1", part) for part in parts)


def code(text: str) -> str:
    """Text as code, also where it holds a backtick."""
    fence = "``" if "`" in text else "`"
    return f"{fence}{text}{fence}"


def entry(term: str, *paragraphs: str) -> str:
    """A term of a definition list and what is said of it; empty paragraphs are left out."""
    said = [paragraph for paragraph in paragraphs if paragraph]
    return f"{term}\n" + "\n".join(f": {paragraph}\n" for paragraph in said or ["\N{NO-BREAK SPACE}"])
