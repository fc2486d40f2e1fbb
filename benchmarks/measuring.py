"""Contenders in turn: each measurement is a process of its own, and what is compared alternates round by round.

A machine changes its speed from minute to minute; A B C A B C spreads that over all, A A A B B B does not. Each row
says how many cores other programs kept busy meanwhile, so that a disturbed one can be seen.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from records import Row, is_measured, put_into, read, surroundings, write

HERE = Path(__file__).resolve().parent
PACKAGES = ("nlptl", "torch", "transformers", "accelerate", "peft", "sentence-transformers", "scikit-learn", "setfit")
IDLE_CORES = 0.15


@dataclass(frozen=True)
class Contender:
    """One way to do the work: `python COMMAND`, whose last line of output is a JSON object of its numbers."""

    name: str
    command: Sequence[str]
    environment: dict[str, str] = field(default_factory=dict)
    needs: tuple[str, ...] = ()
    """Modules without which it is left out, visibly."""


@dataclass(frozen=True)
class Finished:
    """A process that has ended."""

    output: str
    error: str
    """Empty if it went well; else the last lines it said."""
    seconds: float
    """From start to end, interpreter and imports included."""
    peak_mb: float
    cpu_seconds: float
    """Of all its threads together."""
    others_cores: float
    """Cores that other programs kept busy meanwhile, on average."""


def parser_of(script: str | None, name: str, rounds: int) -> argparse.ArgumentParser:
    """The options that such scripts share; `parsed` reads them.

    Args:
        script: its docstring.
        name: of the file of results.
        rounds: how often each contender is measured.
    """
    made = argparse.ArgumentParser(description=(script or "").split("\n", 1)[0])
    made.add_argument("--rounds", type=int, default=rounds, help=f"turns of every contender (default {rounds})")
    made.add_argument("--idle-wait", type=float, default=60, help="most seconds to wait for a quiet machine")
    made.add_argument("--output", type=Path, default=HERE / "results" / f"{name}.json")
    made.add_argument("--fresh", action="store_true", help="measure again what stands in --output")
    made.add_argument("--table-only", action="store_true", help="print the table of --output and stop")
    made.add_argument("--page", type=Path, metavar="FILE", help="also put the table into this page, at its markers")
    return made


def parsed(made: argparse.ArgumentParser) -> argparse.Namespace:
    """The command line; a table alone needs rows."""
    arguments = made.parse_args()
    if arguments.table_only and not arguments.output.exists():
        made.error(f"there is no {arguments.output}")
    return arguments


def told(
    arguments: argparse.Namespace,
    marker: str,
    measure: Callable[[Path, list[Row]], int],
    table: Callable[[list[Row]], str],
) -> None:
    """Measure what is missing, print the table, and end with 1 if something failed.

    Args:
        arguments: of `parsed`.
        marker: of the table in a page.
        measure: takes a folder and the rows so far, which it adds to; returns how many measurements failed.
        table: of the rows.
    """
    rows, failed = ([] if arguments.fresh else read(arguments.output)), 0
    if not arguments.table_only:
        with tempfile.TemporaryDirectory() as folder:
            failed = measure(Path(folder), rows)
    print(table(rows))
    if arguments.page:
        put_into(arguments.page, marker, table(rows))
    sys.exit(1 if failed else 0)


def run(command: Sequence[str], environment: dict[str, str], limit: float) -> Finished:
    """Run `python COMMAND` in this folder to its end, or kill it after `limit` seconds."""
    busy, started = _busy_seconds(), time.perf_counter()
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        child = subprocess.Popen(
            [sys.executable, *command],
            stdout=out,
            stderr=err,
            cwd=HERE,
            env={**os.environ, "HF_HUB_OFFLINE": "1", **environment},
            start_new_session=True,
        )
        killer = threading.Timer(limit, os.killpg, (child.pid, signal.SIGKILL))
        killer.start()
        try:
            # wait4 rather than wait: it says how much memory and processor time this one child took.
            _, status, usage = os.wait4(child.pid, 0)
        except BaseException:  # the user's Ctrl-C ends the child as well
            os.killpg(child.pid, signal.SIGKILL)
            raise
        finally:
            killer.cancel()
        child.returncode = os.waitstatus_to_exitcode(status)
        seconds = time.perf_counter() - started
        texts = [(stream.seek(0), stream.read())[1] for stream in (out, err)]
    own = usage.ru_utime + usage.ru_stime
    said = "" if child.returncode == 0 else f"ended with {child.returncode} after {seconds:.0f} s: {texts[1][-1500:]}"
    per_mb = 1024 if sys.platform.startswith("linux") else 1024**2
    others = max(0.0, _busy_seconds() - busy - own) / seconds
    return Finished(texts[0], said, seconds, usage.ru_maxrss / per_mb, own, others)


def alternate(
    cast: Callable[[int], list[Contender]],
    rounds: int,
    rows: list[Row],
    output: Path,
    identity: Row,
    limit: float = 1800,
    idle_wait: float = 60,
) -> int:
    """Measure every contender once per round, adding to `rows` and to the file; rows that stand there are kept.

    Args:
        cast: round -> contenders.
        rounds: how often each is measured.
        rows: what was measured before.
        output: the file of the rows.
        identity: what else identifies a row, such as its section and number of steps.
        limit: seconds after which a process is stopped.
        idle_wait: most seconds to wait before each process until other programs are quiet.

    Returns:
        How many measurements failed.
    """
    failed = 0
    left_out: set[str] = set()
    for turn in range(rounds):
        for contender in cast(turn):
            case = {**identity, "contender": contender.name, "round": turn}
            lacking = [name for name in contender.needs if find_spec(name) is None]
            if lacking and contender.name not in left_out:
                print(f"left out: {contender.name} needs {', '.join(lacking)}, which is not installed", flush=True)
                left_out.add(contender.name)
            if lacking or is_measured(case, rows):
                continue
            _wait_until_idle(idle_wait)
            finished = run(contender.command, contender.environment, limit)
            if finished.error:
                print(f"failed: {contender.name}: {finished.error}", file=sys.stderr, flush=True)
                failed += 1
                continue
            rows.append({**case, **numbers(finished), **surroundings([name for name in PACKAGES if _installed(name)])})
            write(output, rows)
            print(f"{contender.name}, round {turn + 1}: {summary(rows[-1])}", flush=True)
    return failed


def numbers(finished: Finished) -> Row:
    """What a process said of itself in its last JSON line, and what was seen of it from outside."""
    lines = [line for line in finished.output.splitlines() if line.startswith("{")]
    said: Row = json.loads(lines[-1]) if lines else {}
    return {
        **said,
        "process_seconds": round(finished.seconds, 2),
        "cpu_seconds": round(finished.cpu_seconds, 2),
        "peak_mb": round(finished.peak_mb),
        "others_cores": round(finished.others_cores, 2),
    }


def summary(row: Row) -> str:
    """One line of progress: the numbers of a row that are plain."""
    plain = {k: v for k, v in row.items() if isinstance(v, float) and k != "round"}
    return ", ".join(f"{name} {value:g}" for name, value in plain.items())


def middle(rows: Sequence[Row], key: str) -> float | None:
    """Median of one number over the rounds that have it."""
    values = [row[key] for row in rows if row.get(key) is not None]
    return statistics.median(values) if values else None


def spread(rows: Sequence[Row], key: str, digits: int = 1) -> str:
    """`47.1 (46.0-48.2)`: median and range over the rounds; `-` for none."""
    values = sorted(row[key] for row in rows if row.get(key) is not None)
    if not values:
        return "-"
    around = f" ({values[0]:.{digits}f}-{values[-1]:.{digits}f})" if len(values) > 1 else ""
    return f"{statistics.median(values):.{digits}f}{around}"


def times(value: float | None, reference: float | None) -> str:
    """`5.8x`, or `-` where one of the two is not there."""
    return f"{value / reference:.1f}x" if value and reference else "-"


def markdown(head: Sequence[str], lines: Sequence[Sequence[Any]]) -> str:
    """A Markdown table."""
    body = [f"| {' | '.join(map(str, line))} |" for line in (head, *lines)]
    return "\n".join([body[0], f"|{'---|' * len(head)}", *body[1:]])


def disturbance(rows: Sequence[Row]) -> str:
    """A sentence on what else ran: the largest number of cores that others kept busy during any measurement."""
    worst = max((row.get("others_cores", 0.0) for row in rows), default=0.0)
    verdict = "idle" if worst < 2 * IDLE_CORES else "NOT idle: do not quote these seconds"
    return f"other programs kept at most {worst:.2f} cores busy ({verdict})"


def _wait_until_idle(longest: float) -> None:
    end = time.perf_counter() + longest
    while time.perf_counter() < end:
        before, pause = _busy_seconds(), 1.0
        time.sleep(pause)
        if (_busy_seconds() - before) / pause < IDLE_CORES:
            return


def _busy_seconds() -> float:
    """Processor seconds of all programs together since the machine started; 0 where the system does not say."""
    try:
        line = Path("/proc/stat").read_text(encoding="ascii").split("\n", 1)[0]
    except OSError:
        return 0.0
    user, nice, system, _, _, interrupts, soft, *_ = map(int, line.split()[1:])
    return (user + nice + system + interrupts + soft) / os.sysconf("SC_CLK_TCK")


def _installed(package: str) -> bool:
    return find_spec({"scikit-learn": "sklearn"}.get(package, package.replace("-", "_"))) is not None
