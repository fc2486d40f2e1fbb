"""How far long work is: one bar on a terminal or in a notebook, elsewhere a line of the log every ten seconds."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterable
from typing import Any

from tqdm import tqdm as plain_bar
from tqdm.auto import tqdm

log = logging.getLogger("nlptl")
SECONDS_BETWEEN_LINES = 10.0
"""What is done sooner has no line; what takes longer has another one at its end."""
_LINE = "{desc}{unit} {n_fmt} of {total_fmt} after {elapsed}, {rate_noinv_fmt}, {remaining} left{postfix}"


class LogLines:
    """A file for tqdm whose every frame becomes a line of the log."""

    encoding = "utf-8"

    def write(self, text: str) -> None:
        """Log a frame; those that only clear or end a line say nothing."""
        if text.strip():
            log.info(text.strip())

    def flush(self) -> None:
        """Nothing waits here."""


def track(items: Iterable[Any] | None, description: str, total: int | None, unit: str, bars: bool, here: bool) -> Any:
    """A tqdm object over the items, or one to be told of each (`update`).

    Args:
        items: None where the caller says itself what is done.
        description: what goes on.
        total: how many there are, where the items do not say.
        unit: what they are.
        bars: whether a bar may be drawn; there is at most one at a time, and none but on a terminal or in a notebook.
        here: False on processes that say nothing.
    """
    if not here or _drawn():
        return tqdm(items, desc=description, total=total, unit=unit, disable=True)
    if bars and (_in_notebook() or sys.stderr.isatty()):
        return tqdm(items, desc=description, total=total, unit=unit, leave=False, dynamic_ncols=True)
    wait = SECONDS_BETWEEN_LINES
    return plain_bar(
        items,
        desc=f"{description}: ",
        total=total,
        unit=unit,
        leave=True,
        file=LogLines(),
        bar_format=_LINE,
        delay=wait,
        mininterval=wait,
        maxinterval=wait,
    )


def _in_notebook() -> bool:
    """Whether tqdm draws a widget, or would: what it writes there is no terminal either."""
    return any(cls.__module__ == "tqdm.notebook" for cls in tqdm.__mro__)


def _drawn() -> bool:
    """Whether there is a bar, or its lines, already: work inside of other work shows none of its own."""
    return any(getattr(cls, "_instances", ()) for cls in (tqdm, plain_bar))
