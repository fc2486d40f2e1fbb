"""Where the time of a run went."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager


class Clock:
    """Seconds by name; names are those of `metrics.json`'s `time`."""

    def __init__(self) -> None:
        self._started = time.perf_counter()
        self.seconds: dict[str, float] = {}

    @contextmanager
    def measure(self, name: str) -> Iterator[None]:
        """Add the block's duration to `name`."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - start

    def report(self) -> dict[str, float]:
        """`NAME_seconds` for each part, and `total_seconds`."""
        parts = {f"{name}_seconds": round(value, 4) for name, value in self.seconds.items()}
        return {**parts, "total_seconds": round(time.perf_counter() - self._started, 4)}
