"""Turns that threads take at what only one of them may use at a time."""

from __future__ import annotations

import threading
from typing import Self


class Turn:
    """A lock, of which a pickled or copied run has one of its own."""

    def __init__(self) -> None:
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        self._lock.acquire()
        return self

    def __exit__(self, *_: object) -> None:
        self._lock.release()

    def __reduce__(self) -> tuple[type[Turn], tuple[()]]:
        return Turn, ()
