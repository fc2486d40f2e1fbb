"""The Markdown pages of the documentation, and the code blocks in them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from markdown_it import MarkdownIt

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
README = ROOT / "README.md"
NOT_RUN = re.compile(r"<!-- not run: (?P<reason>.+?) -->\s*$|<!-- (?P<marker>quickstart-command|test-command) -->\s*$")
"""Right above a fence: why its block is not run. The README's marked commands install, and have tests of their own."""


@dataclass(frozen=True)
class Block:
    """A fenced block of Python or bash."""

    page: Path
    line: int
    """Of its first line of code, from 1."""
    language: str
    code: str
    not_run: str | None
    """Why it is not run; None: it is run."""

    @property
    def place(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"

    def commands(self) -> list[tuple[int, str]]:
        """A bash block's commands with their line in the page: continued lines joined, comments left out."""
        found: list[tuple[int, str]] = []
        pending, start = "", 0
        for number, line in enumerate(self.code.splitlines(), self.line):
            start = start if pending else number
            pending += line.removesuffix("\\")
            if line.endswith("\\"):
                continue
            if pending.strip() and not pending.lstrip().startswith("#"):
                found.append((start, pending.strip()))
            pending = ""
        assert not pending, f"{self.page}:{start}: the last line of a block is continued"
        return found


def pages() -> list[Path]:
    """The README and every page under docs/ but what the build makes."""
    return [README, *sorted(p for p in DOCS.rglob("*.md") if "_build" not in p.parts)]


def blocks(page: Path) -> list[Block]:
    """Blocks of Python and bash in the page's order, those inside admonitions and tabs too."""
    return list(_blocks(page, page.read_text(encoding="utf-8"), 1))


def _blocks(page: Path, text: str, first: int) -> Iterator[Block]:
    tokens = MarkdownIt().parse(text)
    for before, token in zip([None, *tokens], tokens, strict=False):
        if token.type != "fence" or token.map is None:
            continue
        language, line = token.info.strip(), first + token.map[0] + 1
        if language.startswith("{"):  # a directive of MyST, which may hold blocks
            yield from _blocks(page, token.content, line)
        elif language in ("python", "bash"):
            comment = before.content.strip() if before is not None and before.type == "html_block" else ""
            reason = NOT_RUN.search(comment)
            touching = before is not None and before.map is not None and before.map[1] == token.map[0]
            why = (reason["reason"] or reason["marker"]) if reason and touching else None
            yield Block(page, line, language, token.content, why)


def nlptl_calls(command: str) -> list[list[str]]:
    """Words behind each `nlptl` in a line of bash; `.venv/bin/nlptl` and `-m nlptl` are such calls too."""
    lexer = shlex.shlex(command, posix=True, punctuation_chars="();<>|&")
    lexer.whitespace_split = True
    calls: list[list[str]] = []
    inside = False
    for word in lexer:
        if not word.strip("();<>|&"):
            inside = False
        elif inside:
            calls[-1].append(word)
        elif Path(word).name == "nlptl":
            inside = True
            calls.append([])
    return calls


def needs_shell(command: str) -> bool:
    """Whether there is more in a line of bash than a program and its words."""
    return re.search(r"[|&;<>$`()]", re.sub(r"'[^']*'|\"[^\"$`]*\"", "", command)) is not None
