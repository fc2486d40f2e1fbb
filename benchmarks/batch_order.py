"""Does sorting texts by length inside windows cost accuracy? nlptl's order beside a fully random one, same seeds.

    python benchmarks/batch_order.py --data-root DATA

Mode lora with 1 000 rows of sst2 and 30 rows per label of banking77, three seeds each, without the refit. The random
order is the same plan with windows of one batch. Rows are written as soon as measured and not measured again.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from unittest.mock import patch

from measuring import HERE, markdown
from records import Row, is_measured, own_cache, read, surroundings, versions_and_dates, write
from studies import Comparison, compared, mean_and_spread

CASES = {"banking77": ("chatbot-intent", 30), "sst2": ("sentiment", 500)}
ORDERS = {"by length in windows": None, "random": 1}
PACKAGES = ("nlptl", "torch", "transformers", "peft")


def main() -> None:
    """Measure what is missing and print the table."""
    arguments = parse()
    rows = read(arguments.output)
    for case in [] if arguments.table_only else plan(arguments.seeds):
        if not is_measured(case, rows):
            with own_cache():
                numbers = measure(arguments.data_root, case)
            rows.append({**case, **numbers, **surroundings(PACKAGES)})
            write(arguments.output, rows)
    print(table(rows))


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--data-root", type=Path, metavar="DIR", help="folder that holds banking77/ and sst2/")
    parser.add_argument("--seeds", type=int, default=3, help="seeds 0 to N-1 (default 3)")
    parser.add_argument("--output", type=Path, default=HERE / "results" / "batch_order.json")
    parser.add_argument("--table-only", action="store_true", help="print the table of --output and stop")
    arguments = parser.parse_args()
    if not arguments.table_only and (arguments.data_root is None or not arguments.data_root.is_dir()):
        parser.error("--data-root DIR must be a folder with the data sets")
    return arguments


def plan(seeds: int) -> list[Row]:
    """What identifies each row."""
    return [
        {"dataset": name, "order": order, "seed": seed} for seed in range(seeds) for name in CASES for order in ORDERS
    ]


def measure(root: Path, case: Row) -> Row:
    """One training; the seed draws its rows."""
    import nlptl
    from nlptl.data.tokens import batching

    task, shots = CASES[case["dataset"]]
    window = ORDERS[case["order"]] or batching.WINDOW
    with tempfile.TemporaryDirectory() as folder, patch.object(batching, "WINDOW", window):
        metrics = nlptl.train(
            task,
            data=root / case["dataset"],
            mode="lora",
            seed=case["seed"],
            output=Path(folder) / "run",
            settings={"data.shots": shots, "training.refit": False, "runtime.progress": False},
        ).metrics
    return {
        "accuracy": metrics["test"]["accuracy"],
        "padding": metrics["time"]["padding_share"],
        "rate": metrics["time"]["train_examples_per_second"],
    }


def table(rows: list[Row]) -> str:
    """Data set x order, and whether one is better than the other over the same seeds."""
    lines, comparisons = [], []
    for name in CASES:
        of = {order: [r for r in rows if (r["dataset"], r["order"]) == (name, order)] for order in ORDERS}
        for order, some in of.items():
            cells = [
                mean_and_spread([row[key] for row in some], unit)
                for key, unit in (("accuracy", 100), ("padding", 100), ("rate", 1))
            ]
            lines.append([name, order, *cells])
        ours, other = ([row["accuracy"] for row in some] for some in of.values())
        if ours and len(ours) == len(other):
            comparisons.append(Comparison(f"{name}: {next(iter(ORDERS))}", ours, "random", other))
    said = [f"- {sentence}" for sentence in compared(comparisons)]
    head = markdown(["data", "order", "test accuracy, %", "padding, %", "examples/s"], lines)
    machines = ", ".join({row["machine"] for row in rows})
    return "\n".join([head, "", *said, "", f"machine: {machines}; {'; '.join(versions_and_dates(rows))}."])


if __name__ == "__main__":
    main()
