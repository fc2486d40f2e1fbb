"""The commands of `nlptl` as the command line itself knows them."""

from __future__ import annotations

from functools import cache
from typing import Any

import typer

from nlptl.cli import app


@cache
def options_of() -> dict[tuple[str, ...], set[str]]:
    """Command, nested ones as two words -> the names of its options; the empty command is `nlptl` itself."""
    found: dict[tuple[str, ...], set[str]] = {}
    waiting: list[tuple[tuple[str, ...], Any]] = [((), typer.main.get_command(app))]
    while waiting:
        words, command = waiting.pop()
        if not command.hidden:
            found[words] = {"--help", *(name for p in command.params for name in [*p.opts, *p.secondary_opts])}
            waiting += [((*words, name), inner) for name, inner in getattr(command, "commands", {}).items()]
    return found


def verbs() -> list[tuple[str, ...]]:
    """Every command below `nlptl`."""
    return sorted(words for words in options_of() if words)
