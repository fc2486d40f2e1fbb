"""Texts per second from file to file, beside transformers' pipeline and a plain sorted PyTorch loop.

    python benchmarks/inference_speed.py --data-root DATA
    python benchmarks/inference_speed.py --data-root DATA --run RUN        # a cls-pooled full run that is there already
    python benchmarks/inference_speed.py --table-only

DATA holds banking77/train.csv and test.csv. A classifier with the checkpoint's own pooling (cls) is trained quickly by
nlptl, so that plain transformers opens the same weights; each contender then labels the 3 080 test texts: reading,
tokenising, computing and writing. Their labels are compared row by row.
"""

from __future__ import annotations

import argparse
import csv
import os
import sys
import tempfile
from pathlib import Path

from measuring import HERE, Contender, alternate, disturbance, markdown, middle, spread, times
from records import Row, in_order, read, versions_and_dates, write
from training_speed import DATASET, cut

PEER = "pipeline, batch_size=32"


def main() -> None:
    """Measure what is missing, then print the table."""
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
    parser.add_argument("--data-root", type=Path, metavar="DIR", help=f"folder that holds {DATASET}/")
    parser.add_argument("--run", type=Path, help="a finished full run with model.pooling=cls; default: train one")
    parser.add_argument("--epochs", type=int, default=2, help="of that training (default 2)")
    parser.add_argument("--rounds", type=int, default=3, help="processes per contender (default 3)")
    parser.add_argument("--repeats", type=int, default=3, help="passes over the file in each (default 3)")
    parser.add_argument("--rows", type=int, help="use only so many rows: shows that it runs")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="of every process (default: all cores)")
    parser.add_argument("--idle-wait", type=float, default=60, help="most seconds to wait for a quiet machine")
    parser.add_argument("--output", type=Path, help="default: in benchmarks/results; with --rows a file apart")
    parser.add_argument("--fresh", action="store_true", help="measure again what stands in --output")
    parser.add_argument("--table-only", action="store_true", help="print the table of --output and stop")
    arguments = parser.parse_args()
    arguments.output = arguments.output or HERE / "results" / f"inference_speed{'-small' * bool(arguments.rows)}.json"
    if not arguments.table_only and (arguments.data_root is None or not (arguments.data_root / DATASET).is_dir()):
        parser.error(f"--data-root DIR must be a folder that holds {DATASET}/")
    if arguments.table_only and not arguments.output.exists():
        parser.error(f"there is no {arguments.output}")
    return arguments


def measure(arguments: argparse.Namespace, folder: Path, rows: list[Row]) -> int:
    """Train the model if none was given, then time the contenders in turn and compare their labels."""
    os.environ["OMP_NUM_THREADS"] = str(arguments.threads)
    data = cut(arguments.data_root / DATASET, folder / "data", arguments.rows)
    run = arguments.run.resolve() if arguments.run else train(data, folder / "run", arguments.epochs)
    written = {name: folder / f"{i}.csv" for i, name in enumerate(commands(run, data, Path(), 1))}
    identity: Row = {"threads": arguments.threads, "rows_used": arguments.rows or 0}
    before = len(rows)
    failed = alternate(
        lambda _: [
            Contender(name, command[name])
            for name, output in written.items()
            for command in [commands(run, data, output, arguments.repeats)]
        ],
        arguments.rounds,
        rows,
        arguments.output,
        identity,
        idle_wait=arguments.idle_wait,
    )
    reference, gold = column(written[PEER], "predicted"), column(data / "test.csv", "label")
    for row in rows[before:]:
        labels = column(written[row["contender"]], "predicted")
        if labels and reference:
            row["same_as_pipeline"] = share(labels, reference)
        row["test_accuracy"] = share(labels, gold) if labels else None
    write(arguments.output, rows)
    return failed


def train(data: Path, folder: Path, epochs: int) -> Path:
    """A finished run whose `model` folder plain transformers opens."""
    import nlptl

    settings = {"model.pooling": "cls", "training.epochs": epochs, "runtime.progress": False}
    return Path(nlptl.train("chatbot-intent", data=data, mode="full", output=folder, settings=settings).folder)


def commands(run: Path, data: Path, output: Path, repeats: int) -> dict[str, list[str]]:
    """What each contender runs."""
    same = ["--data", str(data), "--output", str(output), "--repeats", str(repeats)]
    peer = ["--model", str(run / "model"), *same]
    return {
        PEER: ["-m", "peers.labelling", "pipeline", *peer],
        "PyTorch fp32, sorted": ["-m", "peers.labelling", "sorted", *peer],
        "nlptl": ["-m", "ours", "label", "--run", str(run), *same],
    }


def column(file: Path, name: str) -> list[str]:
    """One column of a CSV file; nothing where there is no file."""
    if not file.exists():
        return []
    with file.open(newline="", encoding="utf-8") as stream:
        return [row[name] for row in csv.DictReader(stream)]


def share(first: list[str], second: list[str]) -> float:
    """Share of rows on which two columns agree."""
    return sum(a == b for a, b in zip(first, second, strict=True)) / len(first)


def table(rows: list[Row]) -> str:
    """Texts per second and agreement, as Markdown."""
    if not rows:
        return "Not measured yet."
    peer = middle([row for row in rows if row["contender"] == PEER], "seconds")
    lines = []
    for name in in_order(row["contender"] for row in rows):
        of = [row for row in rows if row["contender"] == name]
        seconds, first = middle(of, "seconds"), middle(of, "first_seconds")
        lines.append(
            [
                name,
                f"{of[0]['texts'] / seconds:.0f}" if seconds else "-",
                times(peer, seconds),
                f"{of[0]['texts'] / first:.0f}" if first else "-",
                spread(of, "load_seconds"),
                spread(of, "process_seconds"),
                f"{100 * (middle(of, 'same_as_pipeline') or 0):.2f} %",
                f"{100 * (middle(of, 'test_accuracy') or 0):.2f} %",
            ]
        )
    head = ["", "texts/s", "x pipeline", "texts/s, first pass", "load, s", "process, s", "same labels", "test accuracy"]
    said = [
        f"{rows[0]['texts']} texts, from opening the file to the last row written; medians (range) over rounds",
        "machine: " + " / ".join(in_order(row["machine"] for row in rows)),
        f"threads: {rows[0]['threads']}",
        disturbance(rows),
        *versions_and_dates(rows),
    ]
    return f"{markdown(head, lines)}\n\n{'; '.join(said)}."


if __name__ == "__main__":
    main()
