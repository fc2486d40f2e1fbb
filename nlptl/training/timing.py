"""Where the time of a run went."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager


class Clock:
    """Seconds by name; names are those of `metrics.json`'s `time`. What is measured inside another part counts once."""

    def __init__(self) -> None:
        self._started = time.perf_counter()
        self._inside = [0.0]
        self.seconds: dict[str, float] = {}

    @contextmanager
    def measure(self, name: str) -> Iterator[None]:
        """Add the block's duration to `name`, without that of parts measured inside it."""
        start = time.perf_counter()
        self._inside.append(0.0)
        try:
            yield
        finally:
            duration = time.perf_counter() - start
            own = duration - self._inside.pop()
            self._inside[-1] += duration
            self.seconds[name] = self.seconds.get(name, 0.0) + own

    def report(self) -> dict[str, float]:
        """`NAME_seconds` for each part, and `total_seconds`."""
        parts = {f"{name}_seconds": round(value, 4) for name, value in self.seconds.items()}
        return {**parts, "total_seconds": round(time.perf_counter() - self._started, 4)}
