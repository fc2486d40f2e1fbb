"""How accuracy grows with the labels: TF-IDF and the three modes on banking77, with 2 rows per label up to all of them.

    python benchmarks/learning_curve.py --data-root DATA
    python benchmarks/learning_curve.py --table-only

DATA is a folder that holds banking77/ with train.csv and test.csv (text,label). Rows per label are drawn with the
seed, from train; validation is cut from them. All settings are the defaults, so that mode full contrasts where rows are
drawn (up to 50 per label), and fine-tunes on all rows. TF-IDF is, for each draw, the classical model that is best on
validation. Rows are written as soon as they are measured, and not measured again; nor are cases that `accuracy.py` or
the study `controls` of `transfer.py` measured by the same calls: their rows count too.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from accuracy import measure_mode, settings_of
from measuring import HERE, markdown
from records import Row, in_order, is_measured, own_cache, read, surroundings, versions_and_dates, write
from studies import Comparison, compared, mean_and_spread

DATASET, TASK, LABELS = "banking77", "chatbot-intent", 77
SIZES = (2, 5, 10, 30, 0)
"""Rows per label; 0: all there are, which is 130 per label on average."""
BASELINES = ("decision_tree", "knn", "linear_svm", "logistic_regression", "naive_bayes")
TFIDF = "TF-IDF"
MODES = ("feature_extraction", "lora", "full")
METHODS = (TFIDF, *MODES)
ONE_SEED = {(0, "lora"), (0, "full")}
"""Cases that take minutes each on two cores, and are measured with the first seed alone."""
IDENTITY = ("dataset", "shots", "mode", "seed")
RESULTS = HERE / "results" / "learning_curve.json"
NEEDED = ("nlptl", "torch", "transformers", "peft", "scikit-learn")


def main() -> None:
    """Measure what is missing, then print the table."""
    arguments = parse()
    rows, shared = read(arguments.output), elsewhere()
    for case in [] if arguments.table_only else plan(arguments):
        if is_measured(case, [*rows, *shared]):
            continue
        measure = measure_baseline if case["mode"] in BASELINES else measure_mode
        with own_cache():
            numbers = measure(arguments.data_root, **case)
        rows.append({**case, **numbers, **surroundings(NEEDED)})
        write(arguments.output, rows)
        print(f"{case}: {rows[-1]['score']:.4f} ({rows[-1]['seconds']:.0f} s)", flush=True)
    print(table(measured(arguments.output)))


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--data-root", type=Path, metavar="DIR", help="folder that holds banking77/")
    parser.add_argument(
        "--sizes", nargs="+", type=int, choices=SIZES, default=list(SIZES), help="rows per label; 0: all"
    )
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    parser.add_argument("--seeds", type=int, default=3, help="seeds 0 to N-1 (default 3)")
    parser.add_argument("--output", type=Path, default=RESULTS, help="default: results/learning_curve.json")
    parser.add_argument("--table-only", action="store_true", help="print the table of --output and stop")
    arguments = parser.parse_args()
    if not arguments.table_only and (arguments.data_root is None or not arguments.data_root.is_dir()):
        parser.error("--data-root DIR must be a folder with the data set")
    return arguments


def plan(arguments: argparse.Namespace) -> list[Row]:
    """What identifies each row, cheap ones first within a seed."""
    return [
        {"dataset": DATASET, "shots": size, "mode": name, "seed": seed}
        for seed in range(arguments.seeds)
        for method in arguments.methods
        for size in arguments.sizes
        if seed == 0 or (size, method) not in ONE_SEED
        for name in (BASELINES if method == TFIDF else (method,))
    ]


def measure_baseline(root: Path, dataset: str, shots: int, mode: str, seed: int) -> Row:
    """Fit a classical model with nlptl, on the rows that its modes learn from; what `accuracy.measure_mode` notes."""
    import nlptl

    with tempfile.TemporaryDirectory() as folder:
        metrics = nlptl.train_baseline(
            TASK,
            model=mode,
            data=root / dataset,
            seed=seed,
            output=Path(folder) / "run",
            settings=settings_of(dataset, shots),
        ).metrics
    return {
        "metric": "accuracy",
        "score": metrics["test"]["accuracy"],
        "validation": metrics["validation"]["accuracy"],
        "validation_loss": metrics["validation"]["loss"],
        "seconds": metrics["time"]["total_seconds"],
        "train_rows": metrics["data"]["train"],
        "test_rows": metrics["data"]["test"],
    }


def measured(output: Path = RESULTS) -> list[Row]:
    """The rows of this benchmark, and those that others measured by the same calls."""
    rows = read(output)
    return [*rows, *(row for row in elsewhere() if not is_measured({key: row[key] for key in IDENTITY}, rows))]


def elsewhere() -> list[Row]:
    """Rows of the same cases in the results of `accuracy.py`, and of `transfer.py` under the names used here."""
    rows = read(RESULTS.with_name("accuracy.json"))
    for row in read(RESULTS.with_name("transfer.json")):
        if row["study"] == "controls":
            rows.append({**row, "mode": row["method"], "score": row["test"]})
    known = (*MODES, *BASELINES)
    return [row for row in rows if row["dataset"] == DATASET and row["mode"] in known and row["shots"] in SIZES]


def curves(rows: list[Row]) -> dict[str, dict[int, dict[int, float]]]:
    """Method -> rows per label (0: all) -> seed -> test accuracy; TF-IDF is for each seed validation's choice."""
    found: dict[str, dict[int, dict[int, float]]] = {method: {} for method in METHODS}
    for row in rows:
        if row["mode"] in MODES:
            found[row["mode"]].setdefault(row["shots"], {})[row["seed"]] = row["score"]
    for size, seed in sorted({(row["shots"], row["seed"]) for row in rows}):
        tried = [row for row in rows if (row["shots"], row["seed"]) == (size, seed) and row["mode"] in BASELINES]
        if len(tried) == len(BASELINES):
            best = max(tried, key=lambda row: (row["validation"], -row["validation_loss"]))
            found[TFIDF].setdefault(size, {})[seed] = best["score"]
    return found


def table(rows: list[Row]) -> str:
    """Method x rows per label; then, for each size, the modes against TF-IDF and against the frozen encoder."""
    found = curves(rows)
    heads = [str(size) if size else "all" for size in SIZES]
    lines = [[method, *(_cell(found[method].get(size, {})) for size in SIZES)] for method in METHODS]
    said = []
    for size, head in zip(SIZES, heads, strict=True):
        pairs = [(mode, TFIDF) for mode in MODES] + [(mode, MODES[0]) for mode in MODES[1:]]
        comparisons = []
        for first, second in pairs:
            one, other = found[first].get(size, {}), found[second].get(size, {})
            both = sorted(one.keys() & other.keys())
            if both:
                scores = [one[seed] for seed in both], [other[seed] for seed in both]
                comparisons.append(Comparison(f"{head} per label: {first}", scores[0], second, scores[1]))
        said += [f"- {sentence}" for sentence in compared(comparisons)]
    notes = [
        "Test accuracy in percent, mean ± standard deviation over draws (number of draws)",
        "machine: " + " / ".join(in_order(row["machine"] for row in rows)),
        *versions_and_dates(rows),
    ]
    return "\n".join([markdown(["rows per label", *heads], lines), "", "; ".join(notes) + ".", "", *said])


def _cell(scores: dict[int, float]) -> str:
    return f"{mean_and_spread(list(scores.values()))} ({len(scores)})" if scores else "-"


if __name__ == "__main__":
    main()
