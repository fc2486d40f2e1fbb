"""What reading long texts whole is worth: truncation, both ends and windows, beside TF-IDF and a linear SVM.

    python benchmarks/long_texts.py --data-root DATA
    python benchmarks/long_texts.py --data-root DATA --datasets ling_spam --methods full_truncate full_windows --folds 1
    python benchmarks/long_texts.py --table-only --page docs/results.md

DATA holds the folders ling_spam (part01.csv to part10.csv, the source's ten folds), op_spam (all.csv, cut by the seed)
and amazon_multidomain (one file per domain, cut by the seed). Each fold of ling_spam is test once; the nine others
are train and validation. All settings are nlptl's defaults but for those that a method names; none was chosen on test.
A row is written to --output as soon as it is there, and a row that stands there already is not measured again.
Frozen features are computed once for all methods, so that no row says how long it took.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from records import Row, in_order, is_measured, own_cache, put_into, read, surroundings, versions_and_dates, write
from studies import Comparison, compared, mean_and_spread

SVM = "tfidf"
WINDOWS = {"model.long_text": "windows"}
METHODS: dict[str, tuple[str, str, dict[str, Any]]] = {
    SVM: ("TF-IDF of words, linear SVM", "", {"baseline.features": ["words"]}),
    "tfidf_letters": ("TF-IDF of words, or of letters too, linear SVM", "", {}),
    "truncate": ("frozen, `truncate`", "feature_extraction", {}),
    "head_tail": ("frozen, `head_tail`", "feature_extraction", {"model.long_text": "head_tail"}),
    "auto": ("frozen, `truncate`, `max_length: auto`", "feature_extraction", {"model.max_length": "auto"}),
    "windows": ("frozen, `windows`, mean", "feature_extraction", WINDOWS),
    "windows_max": ("frozen, `windows`, max", "feature_extraction", {**WINDOWS, "model.window_pooling": "max"}),
    "full_truncate": ("`full`, `truncate`", "full", {}),
    "full_windows": ("`full`, `windows`, mean", "full", WINDOWS),
}
FROZEN = (SVM, "truncate", "head_tail", "auto", "windows", "windows_max")
DOMAINS = ("books", "dvd", "electronics", "kitchen")
PACKAGES = ("nlptl", "torch", "transformers", "scikit-learn")
MARKER = "long-texts"
RESULTS = Path(__file__).resolve().parent / "results" / "long_texts.json"


class Dataset(NamedTuple):
    """A data set in folds or seeds."""

    task: str
    metric: str
    folds: int
    tables: Callable[[Path, int], dict[str, Any]]
    """Root and fold (from 0) to `data` and `test` of a run."""
    label_map: dict[str, str]


def ling_spam(root: Path, fold: int) -> dict[str, Any]:
    """The fold is test, the other nine are train."""
    import pandas as pd

    parts = [pd.read_csv(root / "ling_spam" / f"part{number:02d}.csv") for number in range(1, 11)]
    others = pd.concat([part for number, part in enumerate(parts) if number != fold], ignore_index=True)
    return {"data": others, "test": parts[fold]}


DATASETS = {
    "ling_spam": Dataset("fraud-text", "macro_f1", 10, ling_spam, {"ham": "legitimate", "spam": "fraud"}),
    "op_spam": Dataset(
        "fraud-text",
        "accuracy",
        5,
        lambda root, _: {"data": root / "op_spam" / "all.csv"},
        {"truthful": "legitimate", "deceptive": "fraud"},
    ),
    "amazon": Dataset(
        "sentiment",
        "accuracy",
        len(DOMAINS),
        lambda root, fold: {"data": root / "amazon_multidomain" / f"{DOMAINS[fold]}.csv"},
        {},
    ),
}
FOLD_OF = {"ling_spam": "fold", "op_spam": "seed", "amazon": "domain"}


def main() -> None:
    """Measure the cases that are missing, then print the table."""
    arguments = parse()
    rows = read(arguments.output)
    if not arguments.table_only:
        with own_cache():
            for case in plan(arguments):
                if is_measured(case, rows):
                    continue
                rows.append({**case, **measure(arguments.data_root, **case), **surroundings(PACKAGES)})
                write(arguments.output, rows)
                print(f"{case['dataset']} {case['fold']}, {case['method']}: {rows[-1]['test']:.4f}", flush=True)
    print(table(rows))
    if arguments.page:
        put_into(arguments.page, MARKER, table(rows))


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--data-root", type=Path, metavar="DIR", help="one folder per data set")
    parser.add_argument("--datasets", nargs="+", choices=DATASETS, default=list(DATASETS))
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(FROZEN), help="default: the frozen ones")
    parser.add_argument("--folds", type=int, default=10, help="at most so many of each data set (default 10)")
    parser.add_argument("--output", type=Path, default=RESULTS, help="default: long_texts.json in benchmarks/results")
    parser.add_argument("--table-only", action="store_true", help="print the table of --output and stop")
    parser.add_argument("--page", type=Path, metavar="FILE", help="also put the table into this page, at its markers")
    arguments = parser.parse_args()
    if not arguments.table_only and (arguments.data_root is None or not arguments.data_root.is_dir()):
        parser.error("--data-root DIR must be a folder with the data sets")
    if arguments.table_only and not arguments.output.exists():
        parser.error(f"there is no {arguments.output}")
    return arguments


def plan(arguments: argparse.Namespace) -> list[Row]:
    """What identifies each row, in the order it is measured: fold by fold, so that an early stop leaves whole sets."""
    return [
        {"dataset": name, "fold": fold, "method": method}
        for name in arguments.datasets
        for fold in range(min(DATASETS[name].folds, arguments.folds))
        for method in arguments.methods
    ]


def measure(root: Path, dataset: str, fold: int, method: str) -> Row:
    """Train and read the numbers; the run itself is not kept. The seed is the fold's number."""
    import nlptl

    data = DATASETS[dataset]
    _, mode, chosen = METHODS[method]
    given = {**data.tables(root, fold), "label_map": data.label_map or None, "seed": fold}
    # Repeated mails and reviews would stand in train and test.
    settings = {"runtime.progress": False, "data.duplicates": "drop", **chosen}
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "run"
        if not mode:
            run = nlptl.train_baseline(data.task, model="linear_svm", output=output, settings=settings, **given)
        else:
            run = nlptl.train(data.task, mode=mode, output=output, settings=settings, **given)
        metrics = run.metrics
    return {
        "metric": data.metric,
        "validation": metrics["validation"][data.metric],
        "test": metrics["test"][data.metric],
        "max_length": metrics["model"].get("max_length"),
        "unread_share": metrics.get("long_texts", {}).get("splits", {}).get("test", {}).get("unread_share"),
        "rows": {split: metrics["data"][split] for split in ("train", "validation", "test")},
        "device": metrics["runtime"]["device"],
        "precision": metrics["runtime"]["precision"],
    }


def table(rows: list[Row]) -> str:
    """A line per method, a column per data set; below it windows beside each other frozen method."""
    names = [name for name in DATASETS if any(row["dataset"] == name for row in rows)]
    heads = [f"{name} ({DATASETS[name].metric.replace('_', ' ')}, {FOLD_OF[name]}s)" for name in names]
    lines = [f"| {' | '.join(['method', *heads])} |", f"|---|{'---|' * len(names)}"]
    for method, (title, _, _) in METHODS.items():
        found = [[row for row in rows if (row["dataset"], row["method"]) == (name, method)] for name in names]
        if any(found):
            lines.append(f"| {' | '.join([title, *map(cell, found)])} |")
    said = [f"- {sentence}" for name in names for sentence in compared(comparisons(name, rows))]
    return "\n".join([*lines, "", "; ".join(notes(rows)) + ".", "", *said])


def cell(rows: list[Row]) -> str:
    """Mean and spread over folds, what was not read of the test texts, folds."""
    if not rows:
        return "-"
    unread = [row["unread_share"] for row in rows if row["unread_share"]]
    share = f"; {sum(unread) / len(rows):.0%} unread" if unread else ""
    return f"{mean_and_spread([row['test'] for row in rows])} ({len(rows)}{share})"


def comparisons(dataset: str, rows: list[Row]) -> list[Comparison]:
    """`windows` against truncation and TF-IDF on the folds they share."""
    scores = {
        name: {row["fold"]: row["test"] for row in rows if (row["dataset"], row["method"]) == (dataset, name)}
        for name in METHODS
    }
    found = []
    for ours, other in (("windows", "truncate"), ("windows", SVM), ("full_windows", "full_truncate")):
        folds = sorted(scores[ours].keys() & scores[other].keys())
        if len(folds) > 1:
            first, second = [scores[ours][fold] for fold in folds], [scores[other][fold] for fold in folds]
            found.append(Comparison(f"{dataset}: {METHODS[ours][0]}", first, METHODS[other][0], second))
    return found


def notes(rows: list[Row]) -> list[str]:
    """Below the table: what a cell says, machine, versions, date."""
    return [
        "Mean ± standard deviation over folds, seeds or domains, in percent; in brackets their number, and what share "
        "of the test texts' tokens the encoder did not read",
        "machine: " + " / ".join(in_order(f"{row['machine']} ({row['device']}, {row['precision']})" for row in rows)),
        *versions_and_dates(rows),
    ]


if __name__ == "__main__":
    main()
