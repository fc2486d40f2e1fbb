"""Does transfer pay? The bundled checkpoint against the same architecture from random weights and against TF-IDF."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from pretrained import train_and_test

from . import Comparison, compared, mean_and_spread

TITLE = "Transfer against no transfer"
TASKS = {"sst2": ("sentiment", 2), "banking77": ("chatbot-intent", 77)}
# Few and many labels, as rows per label; two per label is the least from which a validation split can be cut.
SHOTS = {"sst2": (50, 500), "banking77": (2, 13)}
BASELINES = ("decision_tree", "knn", "linear_svm", "logistic_regression", "naive_bayes")
SCRATCH = "from scratch"
MODES = ("full", "feature_extraction", SCRATCH)
TFIDF = "TF-IDF, best on validation"


def cases(quick: bool) -> list[dict[str, Any]]:
    if quick:
        methods = ("feature_extraction", "logistic_regression", "naive_bayes")
        return [{"dataset": "sst2", "shots": 20, "method": method, "seed": 0} for method in methods]
    return [
        {"dataset": dataset, "shots": shots, "method": method, "seed": seed}
        for few in (0, 1)
        for dataset in TASKS
        for shots in (SHOTS[dataset][few],)
        for seed in range(3 if few else 5)
        for method in (*MODES, *BASELINES)
    ]


def measure(root: Path, case: dict[str, Any]) -> dict[str, Any]:
    import nlptl

    task, _ = TASKS[case["dataset"]]
    method, settings = case["method"], {"data.shots": case["shots"], "runtime.progress": False}
    with tempfile.TemporaryDirectory() as folder:
        given: dict[str, Any] = {
            "data": train_and_test(root / case["dataset"]),
            "seed": case["seed"],
            "output": Path(folder) / "run",
        }
        if method in BASELINES:
            run = nlptl.train_baseline(task, model=method, settings=settings, **given)
        elif method == SCRATCH:
            run = nlptl.train(task, settings={**settings, "model.weights": "random"}, **given)
        else:
            run = nlptl.train(task, mode=method, settings=settings, **given)
        metrics = run.metrics
    return {
        "validation": metrics["validation"]["accuracy"],
        "validation_loss": metrics["validation"]["loss"],
        "test": metrics["test"]["accuracy"],
        "seconds": metrics["time"]["total_seconds"],
        "train_rows": metrics["data"]["train"],
    }


def table(rows: list[dict[str, Any]]) -> str:
    """Method x data set and labels, and each control against full."""
    columns = list(dict.fromkeys((row["dataset"], row["shots"]) for row in rows))
    heads = [f"{name}, {shots * TASKS[name][1]} labels" for name, shots in columns]
    scores = {column: _scores([row for row in rows if (row["dataset"], row["shots"]) == column]) for column in columns}
    methods = [m for m in (*MODES, TFIDF, *BASELINES) if any(m in scores[column] for column in columns)]
    lines = [f"| method | {' | '.join(heads)} |", f"|---|{'---|' * len(heads)}"]
    for method in methods:
        cells = [mean_and_spread(list(scores[column].get(method, {}).values())) for column in columns]
        lines.append(f"| {method} | {' | '.join(cells)} |")
    seeds = ", ".join(f"{head} {len(scores[c].get('full', {}))}" for head, c in zip(heads, columns, strict=True))
    lines += [
        "",
        f"Test accuracy in percent, mean ± standard deviation over draws of the labels; draws of full: {seeds}.",
    ]
    for head, column in zip(heads, columns, strict=True):
        comparisons = []  # each column asks a question of its own, with three controls side by side
        for control in (SCRATCH, TFIDF, "feature_extraction"):
            both = sorted(scores[column].get("full", {}).keys() & scores[column].get(control, {}).keys())
            if both:
                first, second = ([scores[column][m][seed] for seed in both] for m in ("full", control))
                comparisons.append(Comparison(f"{head}: full", first, control, second))
        lines += [f"- {said}" for said in compared(comparisons)]
    return "\n".join(lines)


def _scores(rows: list[dict[str, Any]]) -> dict[str, dict[int, float]]:
    """Method -> seed -> test accuracy; the TF-IDF row is, for each seed, the baseline that validation prefers."""
    scores: dict[str, dict[int, float]] = {}
    for row in rows:
        scores.setdefault(row["method"], {})[row["seed"]] = row["test"]
    for seed in {row["seed"] for row in rows}:
        tried = [row for row in rows if row["seed"] == seed and row["method"] in BASELINES]
        if len(tried) == len(BASELINES):
            best = max(tried, key=lambda row: (row["validation"], -row["validation_loss"]))
            scores.setdefault(TFIDF, {})[seed] = best["test"]
    return scores
