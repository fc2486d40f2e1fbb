"""How many threads PyTorch computes with on a CPU: as many as other programs leave free, and one for a moment's work.

PyTorch's threads wait for one another many times in a training step, and each of them spins while it waits (libgomp,
the OpenMP library of its builds for Linux). On a core that another program uses, a thread is not there when the others
wait for it, and what they spin away is lost to all. Two things keep a training at its fair share: waiting threads
soon sleep (`import nlptl` sets GOMP_SPINCOUNT), and there are no more threads than cores for them (`FreeCores`).
"""

from __future__ import annotations

import logging
import math
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import torch

log = logging.getLogger("nlptl")
QUOTAS = Path("/sys/fs/cgroup")
"""Of the container that this process is in (cgroup v2)."""
SECONDS = 2.0
"""Between looks at what other programs use."""


@contextmanager
def one_thread() -> Iterator[None]:
    """Compute in the calling thread alone while this lasts."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


class FreeCores:
    """Follows the cores that other programs leave free.

    Args:
        threads: compute with so many, whatever others do. None: with at most as many as PyTorch has and as this process
            may use (affinity, container limits), and fewer while other programs, or other guests of the same host,
            keep cores busy. Where OMP_NUM_THREADS is set, that counts and is not departed from.
        follows: False: keep the number.
    """

    def __init__(self, threads: int | None = None, follows: bool = True) -> None:
        if threads is not None:
            torch.set_num_threads(threads)
        self.follows = follows and threads is None and "OMP_NUM_THREADS" not in os.environ
        self.most = torch.get_num_threads()
        self._before = self.most
        self._seen: tuple[float, float] | None = None
        self._users = 0
        self._told = False

    @contextmanager
    def followed(self) -> Iterator[None]:
        """While this lasts `look` may change the number of threads; afterwards it is as before."""
        if not self._users:
            self._before, self._seen = torch.get_num_threads(), None  # the caller may have chosen meanwhile
        self._users += 1
        try:
            yield
        finally:
            self._users -= 1
            if self.follows and not self._users:
                torch.set_num_threads(self._before)

    def look(self) -> None:
        """Change the number of threads if it is time to, and cores were taken or freed; costs next to nothing."""
        now = time.monotonic()
        if not self.follows or self._before == 1 or (self._seen is not None and now - self._seen[0] < SECONDS):
            return
        available = _available_seconds()
        if self._seen is None:
            self.most = min(self._before, _usable_cores())
        else:
            then, before = self._seen
            free = (available - before) / (now - then)
            self._use(min(self.most, max(1, round(free))))
        self._seen = now, available

    def _use(self, threads: int) -> None:
        if threads == torch.get_num_threads():
            return
        torch.set_num_threads(threads)
        told = logging.DEBUG if self._told else logging.INFO
        log.log(told, f"Other programs keep cores busy: computing with {threads} of {self.most} threads meanwhile")
        self._told = True


def _available_seconds() -> float:
    """Seconds that the cores of this process were idle or worked for it, together, since some point in the past."""
    import psutil

    cores = psutil.cpu_times(percpu=True)
    mine = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else range(len(cores))
    idle = sum(cores[i].idle + getattr(cores[i], "iowait", 0.0) for i in mine if i < len(cores))
    return float(idle + time.process_time())


def _usable_cores() -> int:
    """Cores that this process may use: by its affinity, and by the limits of its container."""
    mine = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    with suppress(OSError, ValueError):  # not Linux, or no limit
        quota, period = (QUOTAS / "cpu.max").read_text(encoding="ascii").split()
        mine = min(mine, max(1, math.ceil(int(quota) / int(period))))
    return mine
