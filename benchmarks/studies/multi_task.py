"""Three public tasks on one encoder beside the same tasks alone: what does sharing cost?"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from studies import compared, mean_and_spread

TITLE = "Multi-task against single-task training"
# Task -> data set, file, metric.
TASKS = {
    "sentiment": ("sst2", "", "accuracy"),
    "chatbot-intent": ("clinc150", "", "accuracy"),
    "fraud-text": ("sms_spam", "all.csv", "macro_f1"),
}
SPAM = {"ham": "legitimate", "spam": "fraud"}
TOGETHER = "together"
BAR = 0.5
QUICK_ROWS = 400


def cases(quick: bool) -> list[dict[str, Any]]:
    """Three seeds; quick: one, on few rows."""
    seeds, rows = ((0,), QUICK_ROWS) if quick else ((0, 1, 2), 0)
    return [
        {"mode": "full", "trained": trained, "rows": rows, "seed": seed}
        for seed in seeds
        for trained in (TOGETHER, *TASKS)
    ]


def measure(root: Path, case: dict[str, Any]) -> dict[str, Any]:
    """Each trained task's metric on test, with default settings."""
    import nlptl

    names = list(TASKS) if case["trained"] == TOGETHER else [case["trained"]]
    data = {name: _data(root, name, case["rows"]) for name in names}
    # sms_spam is one file without a split and with hundreds of repeated messages: dropped first, then cut by the seed.
    settings: dict[str, Any] = {"runtime.progress": False, "data.duplicates": "drop"}
    if case["trained"] == TOGETHER:
        settings["multi_task.label_maps"] = {"fraud-text": SPAM}
    elif case["trained"] == "fraud-text":
        settings["data.label_map"] = SPAM
    with tempfile.TemporaryDirectory() as folder:
        run = nlptl.train(
            "+".join(names),
            data=data if len(names) > 1 else data[names[0]],
            mode=case["mode"],
            seed=case["seed"],
            output=Path(folder) / "run",
            settings=settings,
        )
        found = {name: run.task(name).metrics["test"][TASKS[name][2]] for name in names}
        metrics = run.metrics
    return {
        "scores": found,
        "seconds": metrics["time"]["total_seconds"],
        "parameters": metrics["model"]["parameters"],
    }


def table(rows: list[dict[str, Any]]) -> str:
    """Task by task: together, alone, the difference, and whether it stays within the bar."""
    lines = ["| task | data | metric | together | alone |", "|---|---|---|---|---|"]
    said = []
    for task, (dataset, _, metric) in TASKS.items():
        together, alone = _by_seed(rows, TOGETHER, task), _by_seed(rows, task, task)
        cells = [mean_and_spread(list(scores.values())) for scores in (together, alone)]
        lines.append(f"| {task} | {dataset} | {metric} | {' | '.join(cells)} |")
        shared = sorted(together.keys() & alone.keys())
        if shared:
            ours, theirs = [together[s] for s in shared], [alone[s] for s in shared]
            lost = 100 * (sum(theirs) - sum(ours)) / len(shared)
            verdict = f"within {BAR} points" if lost <= BAR else f"more than {BAR} points down"
            said.append(f"- {task}: {compared('together', ours, 'alone', theirs)} On average {verdict}.")
    small = any(row["rows"] for row in rows)
    note = f" At most {QUICK_ROWS} rows per split: shows that it runs, proves nothing." if small else ""
    lines.append(f"\nTest metric in percent, mean ± sample standard deviation over seeds; mode full.{note}\n")
    return "\n".join([*lines, *said])


def _data(root: Path, task: str, rows: int) -> Any:
    """A data set's path, or its first rows in an order of their own."""
    import pandas as pd

    dataset, file, _ = TASKS[task]
    path = root / dataset / file
    if not rows:
        return path
    files = {path.stem: path} if file else {split: path / f"{split}.csv" for split in ("train", "validation", "test")}
    frames = {split: pd.read_csv(each).sample(frac=1.0, random_state=0) for split, each in files.items()}
    if file:
        return frames["all"].head(3 * rows)
    # Whole labels, so that every split knows the labels of the others.
    labels = sorted(frames["train"]["label"].unique())[:10]
    return {split: frame[frame["label"].isin(labels)].head(rows) for split, frame in frames.items()}


def _by_seed(rows: list[dict[str, Any]], trained: str, task: str) -> dict[int, float]:
    return {row["seed"]: row["scores"][task] for row in rows if row["trained"] == trained}
