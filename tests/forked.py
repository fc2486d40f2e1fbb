"""`nlptl` commands in real processes that start at once: forked from one that has imported everything and run nothing.

For tests and a benchmark that start dozens of processes, whose imports alone would take seconds each. What a process
does is what `python -m nlptl`, or a rank that `accelerate launch` starts, does; the launcher itself is not here.
"""

from __future__ import annotations

import multiprocessing
import os
import pkgutil
import runpy
import signal
import socket
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(
    [
        "nlptl.cli",
        "nlptl.api",
        "nlptl.strategies.fine_tune",
        "nlptl.strategies.contrastive",
        "nlptl.pretraining.pretrain",
        "accelerate.tracking",
        "transformers.models.bert.modeling_bert",
        "transformers.models.bert.tokenization_bert",
        "peft",
        "pandas",
        "scipy.optimize",
        "sklearn.metrics",
        "torch.distributed",
        "torch._dynamo",
    ]
)
WAIT = 240.0


class Blow(NamedTuple):
    """A signal that a process sends itself when it comes to a place for the n-th time."""

    place: str
    """`module:Class.function`; the blow falls before its body."""
    time: int
    number: int = signal.SIGKILL
    rank: int | None = None
    """None: every process."""


class Group:
    """The processes of one command.

    Args:
        arguments: of `nlptl`; or a Python script and its own.
        log: a file for each process's output, its rank added to the name.
        cache: of this command.
        count: processes that train together.
        blow: see there.
    """

    def __init__(self, arguments: list[str], log: Path, cache: Path, count: int = 1, blow: Blow | None = None) -> None:
        own = {name: v for name, v in os.environ.items() if not name.startswith(("ACCELERATE_", "TORCHELASTIC"))}
        own |= {"ACCELERATE_USE_CPU": "1", "NLPTL_CACHE": str(cache), "OMP_NUM_THREADS": "1"}
        if count > 1:
            own |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(_free_port()), "WORLD_SIZE": str(count)}
        self._logs = [log.with_name(f"{log.name}-{rank}.txt") for rank in range(count)]
        self.ranks = [
            CONTEXT.Process(target=_rank, args=(arguments, str(file), own, rank, blow), daemon=True)
            for rank, file in enumerate(self._logs)
        ]
        for process in self.ranks:
            process.start()

    def send(self, number: int) -> None:
        """The signal to every process that still lives."""
        for process in self.ranks:
            if process.is_alive():
                os.kill(int(process.pid or 0), number)

    def wait(self, seconds: float = WAIT) -> list[int]:
        """Exit codes, by rank; a signal's number below zero.

        Raises:
            TimeoutError: one is still there; all are killed.
        """
        until = time.monotonic() + seconds
        for process in self.ranks:
            process.join(max(0.0, until - time.monotonic()))
        if any(process.is_alive() for process in self.ranks):
            self.send(signal.SIGKILL)
            raise TimeoutError(f"still running after {seconds} s:\n{self.said()}")
        return [int(process.exitcode or 0) for process in self.ranks]

    def said(self) -> str:
        """What all of them printed."""
        return "".join(file.read_text() for file in self._logs if file.exists())


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def _rank(arguments: list[str], log: str, environment: dict[str, str], rank: int, blow: Blow | None) -> None:
    os.environ.clear()
    os.environ.update(environment)
    if "WORLD_SIZE" in environment:
        os.environ.update(RANK=str(rank), LOCAL_RANK=str(rank), LOCAL_WORLD_SIZE=environment["WORLD_SIZE"])
    os.setsid()
    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for stream in (1, 2):
        os.dup2(file, stream)
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    # Tests that run in the background hand down that these are ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    if blow is not None and blow.rank in (None, rank):
        _arrange(blow)
    if arguments[0].endswith(".py"):
        sys.argv = arguments
        runpy.run_path(arguments[0], run_name="__main__")
        return
    sys.argv = ["nlptl", *arguments]
    from nlptl.cli import main

    main()


def launched(blow: Blow, launcher: list[str], arguments: list[str]) -> list[str]:
    """A command that starts `nlptl` by a real launcher, with a blow in the first of its lives."""
    told = [blow.place, str(blow.time), str(int(blow.number)), str(blow.rank)]
    return [sys.executable, *launcher, __file__, *told, *arguments]


def _launched() -> None:
    place, count, number, rank, *arguments = sys.argv[1:]
    first = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0") == "0"
    if first and rank == os.environ["RANK"]:
        _arrange(Blow(place, int(count), int(number)))
    sys.argv = ["nlptl", *arguments]
    from nlptl.cli import main

    main()


def _arrange(blow: Blow) -> None:
    module, path = blow.place.split(":")
    *outer, name = path.split(".")
    owner = pkgutil.resolve_name(f"{module}:{'.'.join(outer)}" if outer else module)
    whole, left = getattr(owner, name), blow.time

    def struck(*given: Any, **named: Any) -> Any:
        nonlocal left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), blow.number)
        return whole(*given, **named)

    setattr(owner, name, struck)


if __name__ == "__main__":
    _launched()
