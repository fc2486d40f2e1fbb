"""How cost grows: 1x, 4x and 16x rows, memory of streamed prediction, and two processes against two threads.

    python benchmarks/scale.py
    python benchmarks/scale.py --base-rows 50 --growth 1 2 --rounds 1      # shows that it runs

Needs no data: texts are drawn from the words of the bundled sample, with labels that their first word gives away.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
from pathlib import Path

from measuring import HERE, Contender, alternate, disturbance, markdown, middle, spread, times
from records import Row, in_order, read, versions_and_dates

LABELS = ("alpha", "bravo", "charlie", "delta")
FORMATS = ("parquet", "jsonl")
ONE, TWO = "one process, two threads", "two processes, one thread each"


def main() -> None:
    """Measure what is missing, then print the tables."""
    arguments = parse()
    rows = [] if arguments.fresh else read(arguments.output)
    failed = 0
    if not arguments.table_only:
        with tempfile.TemporaryDirectory() as folder:
            failed = measure(arguments, Path(folder), rows)
    print(table(rows))
    sys.exit(1 if failed else 0)


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--base-rows", type=int, default=1000, help="training rows at 1x (default 1000)")
    parser.add_argument("--predicted", type=int, default=20, help="rows to predict per training row (default 20)")
    parser.add_argument("--growth", type=int, nargs="+", default=[1, 4, 16], help="default: 1 4 16")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--idle-wait", type=float, default=60, help="most seconds to wait for a quiet machine")
    parser.add_argument("--output", type=Path, default=HERE / "results" / "scale.json")
    parser.add_argument("--fresh", action="store_true", help="measure again what stands in --output")
    parser.add_argument("--table-only", action="store_true", help="print the tables of --output and stop")
    arguments = parser.parse_args()
    if arguments.table_only and not arguments.output.exists():
        parser.error(f"there is no {arguments.output}")
    return arguments


def measure(arguments: argparse.Namespace, folder: Path, rows: list[Row]) -> int:
    """All parts; how many measurements failed."""
    failed = 0
    shared = (arguments.rounds, rows, arguments.output)
    for factor in arguments.growth:
        size = factor * arguments.base_rows
        data = folder / f"data-{factor}"
        data.mkdir()
        for split, count in (("train", size), ("validation", 100), ("test", 100)):
            write_texts(data / f"{split}.csv", count, seed=f"{factor}, {split}")
        identity: Row = {"part": "training", "factor": factor, "rows": size}
        failed += alternate(
            lambda turn, data=data: training(
                data, folder / f"{data.name}-{turn}", folder / f"cache-{data.name}-{turn}"
            ),
            *shared,
            identity,
            idle_wait=arguments.idle_wait,
        )
    run = next((path for path in sorted(folder.glob("data-*-full")) if (path / "metrics.json").exists()), None)
    if run is None:  # all trainings stood in the file already, or failed
        run = folder / "data-run-full"
        alternate(
            lambda _: [one_training(folder / f"data-{arguments.growth[0]}", run, "full", folder / "cache")],
            1,
            [],
            folder / "discarded.json",
            {},
            idle_wait=0,
        )
    for factor in arguments.growth:
        size = factor * arguments.base_rows * arguments.predicted
        cast = [predicting(run, folder, kind, size) for kind in FORMATS]
        identity = {"part": "predicting", "factor": factor, "rows": size}
        failed += alternate(lambda _, cast=cast: cast, *shared, identity, idle_wait=arguments.idle_wait)
    identity = {"part": "processes", "rows": arguments.growth[0] * arguments.base_rows}
    failed += alternate(
        lambda turn: processes(folder / f"data-{arguments.growth[0]}", folder / f"shared-{turn}"),
        *shared,
        identity,
        idle_wait=arguments.idle_wait,
    )
    return failed


def write_texts(file: Path, rows: int, seed: str) -> None:
    """A CSV, JSON Lines or Parquet file of texts and labels, in pieces, so that writing takes no memory either."""
    import pandas as pd

    from nlptl.data.files import TableWriter
    from nlptl.storage.paths import bundled

    sample = pd.read_csv(bundled("tasks") / "chatbot-intent" / "sample" / "train.csv")
    words = sorted({word for text in sample["text"] for word in text.split()})
    draw = random.Random(seed)
    with TableWriter(file) as writer:
        for start in range(0, rows, 10_000):
            labels = [draw.choice(LABELS) for _ in range(min(10_000, rows - start))]
            texts = [" ".join([label, *draw.choices(words, k=draw.randint(4, 28))]) for label in labels]
            writer.write(pd.DataFrame({"text": texts, "label": labels}))


def training(data: Path, output: Path, cache: Path) -> list[Contender]:
    """One epoch of full fine-tuning, feature extraction, and the same again with what it left in the cache."""
    return [
        one_training(data, Path(f"{output}-full"), "full", cache),
        one_training(data, Path(f"{output}-features"), "feature_extraction", Path(f"{cache}-features")),
        one_training(data, Path(f"{output}-again"), "feature_extraction", Path(f"{cache}-features"), ", second run"),
    ]


def one_training(data: Path, output: Path, mode: str, cache: Path, note: str = "") -> Contender:
    """A whole run with one epoch."""
    command = ["-m", "ours", "job", "--data", str(data), "--mode", mode, "--output", str(output)]
    two = {"OMP_NUM_THREADS": "2", "NLPTL_CACHE": str(cache)}
    return Contender(f"{mode}{note}", [*command, "--set", "training.epochs=1"], two)


def predicting(run: Path, folder: Path, kind: str, rows: int) -> Contender:
    """File to file through the command line."""
    source = folder / f"input-{rows}.{kind}"
    if not source.exists():
        write_texts(source, rows, seed=f"{rows}")
    output = folder / f"output-{rows}.{kind}"
    command = ["-m", "nlptl", "predict", str(run), "--input", str(source), "--output", str(output)]
    return Contender(kind, command, {"OMP_NUM_THREADS": "2"})


def processes(data: Path, output: Path) -> list[Contender]:
    """The same training shared by two processes, and with two threads in one."""
    train = [
        "nlptl",
        "train",
        "chatbot-intent",
        "--data",
        str(data),
        "--epochs",
        "1",
        "--set",
        "runtime.progress=false",
    ]
    report = ["-m", "scale_report"]
    launch = ["-m", "accelerate.commands.accelerate_cli", "launch", "--multi_gpu", "--num_processes", "2"]
    shared = [*launch, "--main_process_port", "0", "-m", *train, "--output", f"{output}-two"]
    cache = {"NLPTL_CACHE": f"{output}-cache", "ACCELERATE_USE_CPU": "1"}
    return [
        Contender(
            ONE, [*report, f"{output}-one", "-m", *train, "--output", f"{output}-one"], cache | {"OMP_NUM_THREADS": "2"}
        ),
        Contender(TWO, [*report, f"{output}-two", *shared], cache | {"OMP_NUM_THREADS": "1"}),
    ]


def table(rows: list[Row]) -> str:
    """All parts that have rows, as Markdown."""
    if not rows:
        return "Not measured yet."
    parts = [
        f"### {title}\n\n{of(chosen)}"
        for part, title, of in (
            ("training", "Training, one epoch", training_table),
            ("predicting", "Predicting, file to file", predicting_table),
            ("processes", "Two processes against two threads", processes_table),
        )
        if (chosen := [row for row in rows if row["part"] == part])
    ]
    machine = "machine: " + " / ".join(in_order(row["machine"] for row in rows))
    return "\n\n".join([*parts, "; ".join([machine, disturbance(rows), *versions_and_dates(rows)]) + "."])


def training_table(rows: list[Row]) -> str:
    """Seconds by size; growth beyond the rows' own growth shows as more than 1.0x per row."""
    lines = []
    for name in in_order(row["contender"] for row in rows):
        of = [row for row in rows if row["contender"] == name]
        smallest = min(of, key=lambda row: row["rows"])
        base = middle([row for row in of if row["rows"] == smallest["rows"]], "seconds")
        for size in sorted({row["rows"] for row in of}):
            these = [row for row in of if row["rows"] == size]
            seconds = middle(these, "seconds")
            grown = f"{size / smallest['rows']:.0f}x"
            lines.append(
                [name, size, grown, spread(these, "seconds"), times(seconds, base), spread(these, "peak_mb", 0)]
            )
    return markdown(["", "rows", "rows grow", "job, s", "job grows", "peak memory, MB"], lines)


def predicting_table(rows: list[Row]) -> str:
    """Seconds of the whole command, and peak memory, by format and size."""
    lines = [
        [row["contender"], row["rows"], f"{row['process_seconds']:.1f}", row["peak_mb"]]
        for row in sorted(rows, key=lambda row: (row["contender"], row["rows"]))
    ]
    return markdown(["", "rows", "process, s", "peak memory, MB"], lines)


def processes_table(rows: list[Row]) -> str:
    """Seconds of the training part, and what sharing it costs."""
    one = middle([row for row in rows if row["contender"] == ONE], "training_seconds")
    lines = []
    for name in in_order(row["contender"] for row in rows):
        of = [row for row in rows if row["contender"] == name]
        seconds = middle(of, "training_seconds")
        lost = f"{100 * (seconds / one - 1):+.0f} %" if seconds and one else "-"
        lines.append([name, spread(of, "training_seconds"), lost, spread(of, "total_seconds")])
    return markdown(["", "training, s", "against one", "whole job, s"], lines)


if __name__ == "__main__":
    main()
