"""Signals that ask a training to stop: they are noted, and heeded between two steps, where the state is consistent."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

# What schedulers and people send: `kill`, Ctrl-C, and Slurm's `--signal=USR1@60`. Windows has no SIGUSR1.
SIGNALS = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGINT", "SIGUSR1") if hasattr(signal, name))
# A terminal and a launcher may both pass on one Ctrl-C; a second one after this many seconds is meant.
IMPATIENT = 2.0


class StopFlag:
    """Whether a signal has asked this process to stop."""

    def __init__(self) -> None:
        self.requested: str | None = None
        """Name of the signal."""
        self._since = 0.0
        self._cutting = False

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Note signals instead of dying of them; earlier handlers are back afterwards.

        Outside the main thread, where Python allows no handlers, signals do what they did before.
        """
        self.requested = None
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.signal(number, self._note) for number in SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler if handler is not None else signal.SIG_DFL)

    @contextmanager
    def cutting(self) -> Iterator[None]:
        """For work whose result is thrown away if a stop was asked for meanwhile: `until` ends early in it."""
        self._cutting = True
        try:
            yield
        finally:
            self._cutting = False

    def until(self, items: Iterable[Any]) -> Iterator[Any]:
        """The items; within `cutting`, only those before a stop was asked for."""
        for item in items:
            if self._cutting and self.requested:
                return
            yield item

    def _note(self, number: int, _frame: FrameType | None) -> None:
        now = time.monotonic()
        if self.requested is None:
            self.requested, self._since = signal.Signals(number).name, now
        elif number == signal.SIGINT and now - self._since > IMPATIENT:
            raise KeyboardInterrupt
