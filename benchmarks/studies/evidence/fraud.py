"""Fraud in short messages: average precision and F1 with intervals, beside a tuned linear SVM on TF-IDF.

What rare labels are answered with (class weights, focal loss, balanced sampling) is measured in mode `full`, with the
Brier score before and after calibration.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from studies import Comparison, compared, mean_and_spread

TITLE = "Fraud: average precision and F1 beside tuned TF-IDF and a linear SVM"
Row = dict[str, Any]
DATASETS = {
    "sms_spam": {"ham": "legitimate", "spam": "fraud"},
    "sms_phishing": {"ham": "legitimate", "spam": "fraud", "smishing": "fraud"},
}
CONTROL, SEEDS = "linear_svm", 3
METHODS: dict[str, Row] = {
    CONTROL: {},
    "logistic_regression": {},
    "feature_extraction": {},
    "full": {},
    "full, class weights": {"training.class_weights": "balanced"},
    "full, focal loss": {"training.loss": "focal"},
    "full, balanced sampling": {"training.sampling": "balanced"},
}


def cases(quick: bool) -> list[Row]:
    """Data set x method, seed by seed; quick: one seed of the control."""
    return [
        {"dataset": dataset, "method": method, "seed": seed}
        for method in ((CONTROL,) if quick else METHODS)
        for seed in range(1 if quick else SEEDS)
        for dataset in (("sms_spam",) if quick else DATASETS)
    ]


def measure(root: Path, case: Row) -> Row:
    """Average precision and F1 of fraud on test with intervals over rows, recall at budgets, and Brier scores."""
    import nlptl
    from nlptl.runs.answers import read_answers

    name, settings = case["method"].partition(",")[0], METHODS[case["method"]]
    with tempfile.TemporaryDirectory() as folder:
        shared: Row = {
            "data": root / case["dataset"] / "all.csv",
            "label_map": DATASETS[case["dataset"]],
            "seed": case["seed"],
            "output": Path(folder) / "run",
            "settings": {"data.duplicates": "drop", "runtime.progress": False, **settings},
        }
        if name in ("feature_extraction", "full"):
            run = nlptl.train("fraud-text", mode=name, **shared)
        else:
            run = nlptl.train_baseline("fraud-text", model=name, **shared)
        test, labels = run.metrics["test"], run.labels
        answers = read_answers(run.folder)["test"]
        seconds = run.metrics["time"]["total_seconds"]
    fraud = labels.index("fraud")
    interval = f1_interval(answers.logits.argmax(1) == fraud, answers.targets == fraud)
    return {
        "rows": test["rows"],
        "average_precision": test["alerts"]["average_precision"],
        "average_precision_interval": test["alerts"]["interval"],
        "f1": test["per_class"]["fraud"]["f1"],
        "f1_interval": interval,
        "recall_at": {budget: each["recall"] for budget, each in test["alerts"]["recall_at"].items()},
        "brier": [test["calibration"][when]["brier"] for when in ("before", "after")],
        "seconds": seconds,
    }


def f1_interval(said: Any, wanted: Any) -> list[float]:
    """95 % of a bootstrap over rows."""
    import numpy as np

    rng, rows = np.random.default_rng(0), len(wanted)
    weights = rng.multinomial(rows, np.full(rows, 1.0 / rows), size=1000).astype(float)
    hits, either = weights @ (said & wanted), weights @ said + weights @ wanted
    return [float(x) for x in np.percentile(2 * hits / np.maximum(either, 1), [2.5, 97.5])]


def table(rows: list[Row]) -> str:
    """A line per data set and method, and each method beside the control over the seeds that both have."""
    head = ("data", "method", "average precision", "95 %, rows", "F1", "95 %, rows", "recall at 100", "Brier", "seeds")
    lines, comparisons = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"], []
    for dataset in dict.fromkeys(row["dataset"] for row in rows):
        by = {
            method: {r["seed"]: r for r in rows if (r["dataset"], r["method"]) == (dataset, method)}
            for method in METHODS
        }
        for method, found in by.items():
            if not found:
                continue
            seeds = sorted(found)
            cells = [
                dataset,
                f"`{method}`",
                mean_and_spread([found[s]["average_precision"] for s in seeds]),
                _interval([found[s]["average_precision_interval"] for s in seeds]),
                mean_and_spread([found[s]["f1"] for s in seeds]),
                _interval([found[s]["f1_interval"] for s in seeds]),
                mean_and_spread([found[s]["recall_at"]["100"] for s in seeds]),
                " to ".join(mean_and_spread([found[s]["brier"][i] for s in seeds], 1.0) for i in (0, 1)),
                str(len(seeds)),
            ]
            lines.append(f"| {' | '.join(cells)} |")
            shared = sorted(by[CONTROL].keys() & found.keys())
            if method != CONTROL and shared:
                comparisons += [
                    Comparison(
                        f"{dataset}, {measure}: {method}",
                        [found[s][key] for s in shared],
                        CONTROL,
                        [by[CONTROL][s][key] for s in shared],
                    )
                    for measure, key in (("average precision", "average_precision"), ("F1", "f1"))
                ]
    lines.append(
        "\nPercent, mean ± sample standard deviation over seeds; intervals are those of a bootstrap over test rows, "
        "averaged over seeds. Recall at 100 alerts per 1000 rows. Brier: before to after calibration.\n"
    )
    return "\n".join([*lines, *(f"- {said}" for said in compared(comparisons))])


def _interval(intervals: list[list[float]]) -> str:
    low, high = (sum(one[i] for one in intervals) / len(intervals) for i in (0, 1))
    return f"{100 * low:.1f} to {100 * high:.1f}"
