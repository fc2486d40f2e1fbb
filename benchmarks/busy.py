"""What a busy machine costs: training and predicting beside no, one and two spinning programs, and a peer beside them.

    python benchmarks/busy.py --data-root DATA
    python benchmarks/busy.py --data-root DATA --rows 300 --steps 5 --rounds 1 --idle-wait 0      # shows that it runs
    python benchmarks/busy.py --table-only --page docs/speed.md

DATA holds banking77/. Contenders alternate, each a process of its own; a spinning program is a Python loop that never
waits, in a session of its own, as other people's programs are. How much of the machine a program is given beside them
is the operating system's business, so it is measured: the first contender runs as many loops as there are cores for
some seconds, none of which waits for another, and its slowdown is the fair share's. The last contender is nlptl as it
was: libgomp's own spinning, and no following of free cores.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from measuring import Contender, alternate, disturbance, markdown, middle, parsed, parser_of, spread, told
from records import Row, in_order, versions_and_dates
from training_speed import DATASET, bundled_checkpoint, cut

LOADS = (0, 1, 2)
MARKER = "busy"
SHARE = "loops that never wait: the fair share"
NLPTL, PEER, PREDICT = "nlptl, `full`", "HF Trainer at its best, full", "`nlptl predict`, file to file"
BEFORE = "nlptl, `full`, threads as before"
FIRST = "import nlptl, runpy, sys; sys.argv.pop(0); runpy.run_module(sys.argv[0], run_name='__main__', alter_sys=True)"
"""nlptl is imported before torch, as its command line does."""
LOOPS = """
import json, os, time
def loop(end):
    rounds = 0
    while time.monotonic() < end:
        sum(range(1000))
        rounds += 1
    return rounds
end, pipes = time.monotonic() + 8, []
for _ in range(os.cpu_count()):
    read, write = os.pipe()
    if os.fork() == 0:
        os.write(write, str(loop(end)).encode())
        os._exit(0)
    pipes.append(read)
print(json.dumps({"examples_per_second_whole": sum(int(os.read(pipe, 20)) for pipe in pipes) / 8}))
"""
SPUN = "300000"
"""libgomp's own number of rounds."""


def main() -> None:
    """Measure what is missing, then print the table."""
    made = parser_of(__doc__, "busy", 3)
    made.add_argument("--data-root", type=Path, metavar="DIR", help=f"folder that holds {DATASET}/")
    made.add_argument("--steps", type=int, default=80, help="of each training (default 80)")
    made.add_argument("--repeats", type=int, default=6, help="times that the test texts are predicted (default 6)")
    made.add_argument("--rows", type=int, help="use only so many rows of train and test: shows that it runs")
    made.add_argument("--limit", type=float, default=300, help="seconds until a process is given up")
    arguments = parsed(made)
    if not arguments.table_only and (arguments.data_root is None or not (arguments.data_root / DATASET).is_dir()):
        made.error(f"--data-root DIR must be a folder that holds {DATASET}/")
    told(arguments, MARKER, lambda folder, rows: measure(arguments, folder, rows), table)


def measure(arguments: argparse.Namespace, folder: Path, rows: list[Row]) -> int:
    """Every contender beside every load, load by load within a round; how many measurements failed."""
    data = cut(arguments.data_root / DATASET, folder / "data", arguments.rows)
    cast, failed = contenders(arguments, data, folder), 0
    for turn in range(arguments.rounds):
        for load in LOADS:
            with spinning(load):
                failed += alternate(
                    lambda _: cast,
                    1,
                    rows,
                    arguments.output,
                    {"load": load, "turn": turn, "asked_steps": arguments.steps, "rows_used": arguments.rows or 0},
                    arguments.limit,
                    0 if load else arguments.idle_wait,
                )
    return failed


def contenders(arguments: argparse.Namespace, data: Path, folder: Path) -> list[Contender]:
    """The trainings are timed by their own clocks; predicting as a whole process."""
    import pandas as pd

    import nlptl

    run = nlptl.train(
        "chatbot-intent", data=data, mode="feature_extraction", output=folder / "run",
        settings={"runtime.progress": False},
    )  # fmt: skip
    texts = folder / "texts.csv"
    pd.concat([pd.read_csv(data / "test.csv")] * arguments.repeats).to_csv(texts, index=False)
    steps = ["--data", str(data), "--mode", "full", "--steps", str(arguments.steps)]
    ours = ["-c", FIRST, "ours", "steps", *steps]
    peer = ["-m", "peers.hf_trainer", "--checkpoint", bundled_checkpoint(), *steps, "--settings", "best"]
    predict = ["-m", "nlptl", "predict", str(run.folder), "--input", str(texts), "--output", str(folder / "out.csv")]
    return [
        Contender(SHARE, ["-c", LOOPS]),
        Contender(NLPTL, ours),
        Contender(PEER, peer),
        Contender(PREDICT, predict),
        Contender(BEFORE, [*ours, "--set", f"runtime.threads={os.cpu_count()}"], {"GOMP_SPINCOUNT": SPUN}),
    ]


@contextmanager
def spinning(programs: int) -> Iterator[None]:
    """So many programs that never wait."""
    loop = [sys.executable, "-c", "while True: pass"]
    started = [subprocess.Popen(loop, start_new_session=True) for _ in range(programs)]
    try:
        yield
    finally:
        for program in started:
            program.kill()
            program.wait()


def seconds_of(row: Row) -> float:
    """Of a thousand examples (or loops) from start to end; in predicting, of the whole process."""
    speed = row.get("examples_per_second_whole")
    return 1000 / speed if speed else float(row["process_seconds"])


def table(rows: list[Row]) -> str:
    """A line per contender, a column per load: how many times its idle time it takes, and what that is of the share."""
    if not rows:
        return "Not measured yet."
    timed = [{**row, "time": seconds_of(row)} for row in rows]
    slower = {
        name: [slowdown(timed, name, load) for load in LOADS] for name in in_order(row["contender"] for row in timed)
    }
    lines = []
    for name, found in slower.items():
        idle = spread([row for row in timed if row["contender"] == name and row["load"] == 0], "time", 2)
        cells = []
        for number, share in zip(found[1:], slower.get(SHARE, found)[1:], strict=True):
            against = "" if name == SHARE or not (number and share) else f"; {number / share:.2f} of its share's"
            cells.append(f"{number:.2f}x{against}" if number else "-")
        lines.append([name, "-" if name == SHARE else f"{idle} s", *cells])
    quiet = [row for row in rows if row["load"] == 0]
    said = [
        "Idle: seconds for 1 000 examples, or of the whole process in predicting, median (range)",
        "beside others: how many times as long, medians, and what that is of the fair share's slowdown",
        "machine: " + " / ".join(in_order(row["machine"] for row in rows)),
        "in the first column, " + disturbance(quiet),
        *versions_and_dates(rows),
    ]
    return f"{markdown(['', 'idle', 'beside one', 'beside two'], lines)}\n\n{'; '.join(said)}."


def slowdown(timed: list[Row], name: str, load: int) -> float | None:
    """Median time beside a load against the median idle one."""
    of = [row for row in timed if row["contender"] == name]
    idle, busy = (middle([row for row in of if row["load"] == each], "time") for each in (0, load))
    return busy / idle if idle and busy else None


if __name__ == "__main__":
    main()
