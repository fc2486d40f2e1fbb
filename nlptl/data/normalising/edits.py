"""What a step of normalisation says: which stretches of a text give way to what."""

from __future__ import annotations

from collections.abc import Callable, Sequence

Edit = tuple[int, int, str]
"""The stretch [start, stop) of a text, which is not empty, and what stands there instead."""
Step = Callable[[str], list[Edit]]
"""The edits of a text, from left to right, none in another."""


def applied(text: str, edits: Sequence[Edit]) -> str:
    """The text after these edits."""
    parts, done = [], 0
    for start, stop, new in edits:
        parts += [text[done:start], new]
        done = stop
    return "".join([*parts, text[done:]])
