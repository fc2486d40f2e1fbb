"""What transfer does on the bundled samples: every mode beside the best classical baseline; prints a table.

    python benchmarks/samples.py
    python benchmarks/samples.py --tasks sentiment --methods full --seeds 1
    python benchmarks/samples.py --table-only

Each row is one run by default settings: learned from a sample's train split, chosen on its validation split, measured
on its test split and on the task's 60 obvious sentences, none of which is in the sample. Of the baselines on TF-IDF all
are trained, and the one that is best on validation is measured. A row is written to --output as soon as it is there,
and a row that stands there already is not measured again. Each case has a cache of its own.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

from records import Row, in_order, is_measured, own_cache, put_into, read, surroundings, versions_and_dates, write
from studies import Comparison, compared, mean_and_spread

TASKS = ("sentiment", "chatbot-intent", "fraud-text")
TFIDF = "tfidf"
METHODS = {
    TFIDF: "TF-IDF, best baseline on validation",
    "feature_extraction": "`feature_extraction`",
    "lora": "`lora`",
    "full": "`full`",
}
PACKAGES = ("nlptl", "torch", "transformers", "peft", "scikit-learn")
QUIET = {"runtime.progress": False}
MARKER = "samples"
RESULTS = Path(__file__).resolve().parent / "results" / "samples.json"


def main() -> None:
    """Measure the cases that are missing, then print the table."""
    arguments = parse()
    rows = read(arguments.output)
    if not arguments.table_only:
        for case in plan(arguments):
            if is_measured(case, rows):
                continue
            with own_cache():
                numbers = measure(**case)
            rows.append({**case, **numbers, **surroundings(PACKAGES)})
            write(arguments.output, rows)
            print(f"{case['task']}, {case['method']}, seed {case['seed']}: {rows[-1]['test']:.4f}", flush=True)
    print(table(rows))
    if arguments.page:
        put_into(arguments.page, MARKER, table(rows))


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=list(TASKS))
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    parser.add_argument("--seeds", type=int, default=3, help="seeds 0 to N-1 (default 3)")
    parser.add_argument("--output", type=Path, default=RESULTS, help="default: samples.json in benchmarks/results")
    parser.add_argument("--table-only", action="store_true", help="print the table of --output and stop")
    parser.add_argument("--page", type=Path, metavar="FILE", help="also put the table into this page, at its markers")
    arguments = parser.parse_args()
    if arguments.table_only and not arguments.output.exists():
        parser.error(f"there is no {arguments.output}")
    return arguments


def plan(arguments: argparse.Namespace) -> list[Row]:
    """What identifies each row, in the order it is measured: seed by seed, so that an early stop leaves whole sets."""
    return [
        {"task": task, "method": method, "seed": seed}
        for seed in range(arguments.seeds)
        for task in arguments.tasks
        for method in arguments.methods
    ]


def measure(task: str, method: str, seed: int) -> Row:
    """Train by default settings and read the numbers; the run itself is not kept."""
    import nlptl
    from nlptl.tasks import load_task

    spec = load_task(task)
    with tempfile.TemporaryDirectory() as folder:
        if method == TFIDF:
            runs = baselines(task, seed, Path(folder))
        else:
            runs = [nlptl.train(task, mode=method, seed=seed, output=Path(folder) / "run", settings=QUIET)]
        # Chosen on validation; ties go to the lower loss there.
        run = max(runs, key=lambda one: (one.metrics["validation"][spec.metric], -one.metrics["validation"]["loss"]))
        metrics, seconds = run.metrics, sum(one.metrics["time"]["total_seconds"] for one in runs)
        answered = on_obvious(run, spec)
    return {
        "metric": spec.metric,
        "validation": metrics["validation"][spec.metric],
        "test": metrics["test"][spec.metric],
        **answered,
        "seconds": seconds,
        "baseline": metrics["model"].get("baseline"),
        "best_epoch": metrics["training"].get("best_epoch"),
        "rows": {split: metrics["data"][split] for split in ("train", "validation", "test")},
        "device": metrics["runtime"]["device"],
        "precision": metrics["runtime"]["precision"],
    }


def baselines(task: str, seed: int, folder: Path) -> list[Any]:
    """A run of every classical baseline."""
    import nlptl
    from nlptl.registry import BASELINES

    return [
        nlptl.train_baseline(task, model=name, seed=seed, output=folder / name, settings=QUIET) for name in BASELINES
    ]


def on_obvious(run: Any, task: Any) -> Row:
    """Share of the obvious sentences that a run answers right, and its mean confidence in the labels it answers."""
    from nlptl.data.files import read_frame

    frame = read_frame(task.folder / task.data["obvious"].files["test"])
    answers = run.predict(frame["text"].tolist())
    right = [answer.label == label for answer, label in zip(answers, frame["label"], strict=True)]
    return {
        "obvious_rows": len(frame),
        "obvious_right": sum(right) / len(frame),
        "obvious_confidence": sum(answer.score for answer in answers) / len(frame),
    }


def table(rows: list[Row]) -> str:
    """A line per task and method: mean and spread over seeds; below it `full` beside each other method."""
    head = ("task", "method", "test", "obvious right", "mean confidence there", "seconds", "seeds")
    lines, said = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"], []
    for task in (name for name in TASKS if any(row["task"] == name for row in rows)):
        by_method = {name: [row for row in rows if (row["task"], row["method"]) == (task, name)] for name in METHODS}
        for name, measured in by_method.items():
            if measured:
                lines.append(f"| {' | '.join([task_and_metric(measured[0]), *cells(name, measured)])} |")
        said += [f"- {sentence}" for sentence in compared(comparisons(task, by_method))]
    return "\n".join([*lines, "", "; ".join(notes(rows)) + ".", "", *said])


def task_and_metric(row: Row) -> str:
    """`sentiment (accuracy)`."""
    return f"{row['task']} ({row['metric'].replace('_', ' ')})"


def cells(method: str, rows: list[Row]) -> list[str]:
    """One line's cells but the first."""
    chosen = in_order(row["baseline"] for row in rows if row["baseline"])
    name = METHODS[method] + (f" ({', '.join(chosen)})" if chosen else "")
    shown = [mean_and_spread([row[key] for row in rows]) for key in ("test", "obvious_right")]
    confidence = mean_and_spread([row["obvious_confidence"] for row in rows], unit=1.0)
    seconds = sum(row["seconds"] for row in rows) / len(rows)
    return [name, *shown, confidence, f"{seconds:.0f}", str(len(rows))]


def comparisons(task: str, by_method: dict[str, list[Row]]) -> list[Comparison]:
    """`full` against each other method on the seeds they share."""
    scores = {name: {row["seed"]: row["test"] for row in rows} for name, rows in by_method.items()}
    found = []
    for other in (name for name in METHODS if name != "full"):
        seeds = sorted(scores["full"].keys() & scores[other].keys())
        if seeds:
            first, second = [scores["full"][seed] for seed in seeds], [scores[other][seed] for seed in seeds]
            found.append(Comparison(f"{task}: full", first, METHODS[other], second))
    return found


def notes(rows: list[Row]) -> list[str]:
    """Below the table: what a cell says, the splits' sizes, machine, versions, date."""
    sizes = {row["task"]: "/".join(str(row["rows"][split]) for split in row["rows"]) for row in rows}
    return [
        "Mean ± standard deviation over seeds, in percent but for confidence, which lies between 0 and 1",
        "rows of train/validation/test: " + ", ".join(f"{task} {said}" for task, said in sizes.items()),
        "seconds are of whole jobs, with whatever else the machine did",
        "machine: " + " / ".join(in_order(f"{row['machine']} ({row['device']}, {row['precision']})" for row in rows)),
        *versions_and_dates(rows),
    ]


if __name__ == "__main__":
    main()
