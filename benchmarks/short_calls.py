"""Processor time of short calls, beside importing PyTorch and loading the weights, which none of them can do without.

    python benchmarks/short_calls.py
    python benchmarks/short_calls.py --table-only --page docs/speed.md

A run is trained on the bundled checkpoint and sample in each of two modes; then predicting one text, opening the run in
Python, training on four rows until its first step, and the whole of it are measured in turns, each a process of its
own. Processor time counts all threads, and what other programs do changes it less than it changes seconds on the clock.
"""

from __future__ import annotations

from pathlib import Path

from measuring import Contender, alternate, disturbance, markdown, middle, parsed, parser_of, spread, times, told
from records import Row, in_order, versions_and_dates

BASE = "`import torch`, and the weights loaded"
START = "`nlptl train`, until the first step"
BARS = {
    "`nlptl predict RUN TEXT`, full": 2.2,
    "`nlptl predict RUN TEXT`, frozen": 2.2,
    "`nlptl.load(RUN)`": 2.2,
    START: 4,
}
TRAIN = "`nlptl train` of four rows, whole"
MARKER = "short-calls"
LOAD = "import sys, torch; from safetensors.torch import load_file; load_file(sys.argv[1])"
TRAINING = (
    "import sys, tempfile, nlptl\n"
    "with tempfile.TemporaryDirectory() as folder:\n"
    "    nlptl.train('sentiment', data=sys.argv[1], mode='full', epochs=1, output=folder + '/run')"
)
UNTIL_THE_FIRST_STEP = (
    "import os, sys, nlptl\n"
    "from nlptl.training.step import OptimizerStep\n"
    "OptimizerStep.take = lambda *given: os._exit(0)\n"
    "nlptl.train('sentiment', data=sys.argv[1], mode='full', epochs=1, output=sys.argv[2])"
)
OPEN = "import sys, nlptl; nlptl.load(sys.argv[1])"
ROWS = [
    ("a good film", "positive"),
    ("a bad film", "negative"),
    ("a fine book", "positive"),
    ("a poor book", "negative"),
]


def main() -> None:
    """Measure what is missing, then print the table."""
    arguments = parsed(parser_of(__doc__, "short_calls", 5))

    def measure(folder: Path, rows: list[Row]) -> int:
        cast = contenders(folder)
        return alternate(lambda _: cast, arguments.rounds, rows, arguments.output, {}, 300, arguments.idle_wait)

    told(arguments, MARKER, measure, table)


def contenders(folder: Path) -> list[Contender]:
    """Train the runs that are called, and say how."""
    import nlptl

    runs = {
        mode: nlptl.train(
            "sentiment", mode=mode, epochs=1, output=folder / mode, settings={"runtime.progress": False}
        ).folder
        for mode in ("full", "feature_extraction")
    }
    data = folder / "data"
    data.mkdir()
    for split in ("train", "validation", "test"):
        (data / f"{split}.csv").write_text(
            "text,label\n" + "".join(f"{split} {text},{label}\n" for text, label in ROWS)
        )
    weights = str(runs["full"] / "model" / "encoder" / "model.safetensors")
    predict = ["-m", "nlptl", "predict"]
    return [
        Contender(BASE, ["-c", LOAD, weights]),
        Contender("`nlptl predict RUN TEXT`, full", [*predict, str(runs["full"]), "a good film"]),
        Contender("`nlptl predict RUN TEXT`, frozen", [*predict, str(runs["feature_extraction"]), "a good film"]),
        Contender("`nlptl.load(RUN)`", ["-c", OPEN, str(runs["full"])]),
        Contender(START, ["-c", UNTIL_THE_FIRST_STEP, str(data), str(folder / "begun")]),
        Contender(TRAIN, ["-c", TRAINING, str(data)]),
    ]


def table(rows: list[Row]) -> str:
    """A line per contender: processor time, its multiple of the base, and the bar."""
    if not rows:
        return "Not measured yet."
    by_name = {
        name: [row for row in rows if row["contender"] == name] for name in in_order(r["contender"] for r in rows)
    }
    base = middle(by_name.get(BASE, []), "cpu_seconds")
    lines = [
        [name, spread(found, "cpu_seconds", 2), times(middle(found, "cpu_seconds"), base), BARS.get(name, "-")]
        for name, found in by_name.items()
    ]
    rounds = max(len(found) for found in by_name.values())
    said = [
        f"Processor seconds: median (range) of {rounds} processes",
        "machine: " + " / ".join(in_order(row["machine"] for row in rows)),
        disturbance(rows),
        *versions_and_dates(rows),
    ]
    return f"{markdown(['call', 'processor seconds', 'of the first line', 'at most'], lines)}\n\n{'; '.join(said)}."


if __name__ == "__main__":
    main()
