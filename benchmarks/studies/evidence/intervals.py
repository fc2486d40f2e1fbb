"""Do 95 % intervals hold the true value 95 times of 100? Test splits drawn over and over from many rows.

One model per data set; a linear head on the frozen bundled encoder. Its answers on a large pool of rows are the world:
the pool's metric is the true value, and each test split is drawn from the pool with replacement.
"""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

TITLE = "Intervals over test rows"
Row = dict[str, Any]
DATASETS: dict[str, dict[str, Any]] = {
    "sms_spam": {"task": "fraud-text", "shots": 100},
    "sst2": {"task": "sentiment", "shots": 200},
    "banking77": {"task": "chatbot-intent", "shots": 10},
}
SIZES, DRAWS = (100, 300, 1000), 300
METRICS = ("accuracy", "macro_f1", "average_precision", "roc_auc", "loss")


def cases(quick: bool) -> list[Row]:
    """Data set x rows of a test split; quick: one of each, and few draws."""
    if quick:
        return [{"dataset": "sst2", "rows": 100, "draws": 20, "seed": 0}]
    return [{"dataset": name, "rows": rows, "draws": DRAWS, "seed": 0} for name in DATASETS for rows in SIZES]


def measure(root: Path, case: Row) -> Row:
    """How many of the draws' intervals held the pool's value, and how many there were, by metric."""
    from nlptl.evaluation.intervals import metric_intervals

    probabilities, targets, positive, truth = pool(root, case["dataset"], case["seed"])
    random = np.random.default_rng([case["seed"], case["rows"]])
    held, known = dict.fromkeys(truth, 0), dict.fromkeys(truth, 0)
    for draw in range(case["draws"]):
        rows = random.integers(len(targets), size=case["rows"])
        found = metric_intervals(probabilities[rows], targets[rows], positive, seed=draw)
        for name, value in truth.items():
            if found[name] is not None:
                known[name] += 1
                held[name] += found[name].low <= value <= found[name].high
    return {"held": held, "known": known, "pool": len(targets), "truth": truth}


@cache
def pool(root: Path, dataset: str, seed: int) -> tuple[np.ndarray, np.ndarray, int | None, dict[str, float]]:
    """Probabilities and targets of the pool, the positive label's id, and the true values."""
    import nlptl
    from nlptl.evaluation.evaluator import quick_metrics
    from nlptl.evaluation.probabilities import probabilities_of
    from nlptl.runs.answers import read_answers

    facts = DATASETS[dataset]
    with tempfile.TemporaryDirectory() as folder:
        data, settings = _split(root / dataset, Path(folder), seed)
        run = nlptl.train(
            facts["task"],
            data=data,
            mode="feature_extraction",
            shots=facts["shots"],
            seed=seed,
            output=Path(folder) / "run",
            settings={"runtime.progress": False, "data.leaks": "drop", **settings},
        )
        answers, task = read_answers(run.folder)["test"], run.artifact.task
    metrics = quick_metrics(task, answers.logits, answers.targets)
    truth = {name: metrics[name] for name in METRICS if name in metrics}
    positive = None if task.positive_label is None else task.label_list().index(task.positive_label)
    return probabilities_of(answers.logits, False), answers.targets, positive, truth


def _split(source: Path, folder: Path, seed: int) -> tuple[Path, dict[str, Any]]:
    """A folder with train.csv and a large test.csv."""
    import pandas as pd
    from sklearn.model_selection import train_test_split

    if (source / "test.csv").is_file():
        train, test = (pd.read_csv(source / f"{name}.csv", keep_default_na=False) for name in ("train", "test"))
        settings: dict[str, Any] = {}
    else:
        every = pd.read_csv(source / "all.csv", keep_default_na=False).drop_duplicates("text")
        train, test = train_test_split(every, train_size=1000, random_state=seed, stratify=every["label"])
        settings = {"data.label_map": {"ham": "legitimate", "spam": "fraud"}}
    train.to_csv(folder / "train.csv", index=False)
    test.to_csv(folder / "test.csv", index=False)
    return folder, settings


def table(rows: list[Row]) -> str:
    """The share of intervals that held the true value, with an interval of its own, and what that comes to."""
    from nlptl.evaluation.intervals import of_share

    head = ("data (pool)", "test rows", *(name.replace("_", " ") for name in METRICS))
    lines, said = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"], []
    for row in rows:
        cells = [f"{row['dataset']} ({row['pool']})", str(row["rows"])]
        for name in METRICS:
            known = row["known"].get(name, 0)
            cells.append(f"{100 * row['held'][name] / known:.1f}" if known else "-")
            interval = of_share(row["held"][name], known) if known else None
            if interval is not None and not interval.low <= 0.95 <= interval.high:
                verdict = "too narrow" if interval.high < 0.95 else "wider than need be"
                share = 100 * row["held"][name] / known
                said.append(
                    f"- {row['dataset']}, {row['rows']} rows, {name.replace('_', ' ')}: {verdict}, {share:.1f} % held "
                    f"(95 % interval {100 * interval.low:.1f} to {100 * interval.high:.1f})."
                )
        lines.append(f"| {' | '.join(cells)} |")
    draws = max((row["draws"] for row in rows), default=0)
    lines.append(
        f"\nPercent of 95 % intervals that held the pool's value; {draws} test splits each, drawn with replacement. "
        f"{'All others are' if said else 'Each is'} within chance of 95.\n"
    )
    return "\n".join([*lines, *said])
