"""Three public tasks on one encoder beside the same tasks alone: what does sharing cost?

Each task learns from 900 rows drawn by the seed, not from all it has, for cost; every other choice is a default.
sms_spam has no split: 1 800 of its other rows test. The test splits of sst2 and clinc150 are whole.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pandas as pd
from records import in_order

from studies import Comparison, compared, mean_and_spread

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
ROWS = 900
SEEDS = {"full": 3, "feature_extraction": 3}
QUICK_ROWS, QUICK_LABELS = 400, 10


def cases(quick: bool) -> list[dict[str, Any]]:
    """Mode x what is trained x seed; quick: one seed, on few rows."""
    return [
        {"mode": mode, "trained": trained, "rows": QUICK_ROWS if quick else ROWS, "seed": seed}
        for mode, seeds in SEEDS.items()
        for seed in range(1 if quick else seeds)
        for trained in (TOGETHER, *TASKS)
    ]


def measure(root: Path, case: dict[str, Any]) -> dict[str, Any]:
    """Each trained task's metric on test, with default settings."""
    import nlptl

    names = list(TASKS) if case["trained"] == TOGETHER else [case["trained"]]
    data = {name: _data(root, name, case["rows"], case["seed"]) for name in names}
    settings: dict[str, Any] = {"runtime.progress": False}
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
    """Mode by mode and task by task: together, alone, the difference, and whether it stays within the bar."""
    lines = ["| mode | task | data | metric | together | alone |", "|---|---|---|---|---|---|"]
    comparisons, verdicts = [], []
    for mode in in_order(row["mode"] for row in rows):
        for task, (dataset, _, metric) in TASKS.items():
            of = [row for row in rows if row["mode"] == mode]
            together, alone = _by_seed(of, TOGETHER, task), _by_seed(of, task, task)
            cells = [mean_and_spread(list(scores.values())) for scores in (together, alone)]
            lines.append(f"| `{mode}` | {task} | {dataset} | {metric} | {' | '.join(cells)} |")
            shared = sorted(together.keys() & alone.keys())
            if shared:
                ours, theirs = [together[s] for s in shared], [alone[s] for s in shared]
                lost = 100 * (sum(theirs) - sum(ours)) / len(shared)
                verdicts.append(f"within {BAR} points" if lost <= BAR else f"more than {BAR} points down")
                comparisons.append(Comparison(f"`{mode}`, {task}: together", ours, "alone", theirs))
    pairs = zip(compared(comparisons), verdicts, strict=True)
    said = [f"- {sentence} On average {verdict}." for sentence, verdict in pairs]
    rows_said = ", ".join(str(count) for count in sorted({row["rows"] for row in rows}))
    lines.append(f"\nTest metric in percent, mean ± sample standard deviation over seeds; {rows_said} rows a task.\n")
    return "\n".join([*lines, *said])


def _data(root: Path, task: str, rows: int, seed: int) -> dict[str, pd.DataFrame]:
    """So many rows to learn from, drawn by the seed, half as many to validate on, and a test split."""
    dataset, file, _ = TASKS[task]
    names = [file] if file else ["train.csv", "validation.csv", "test.csv"]
    frames = [pd.read_csv(root / dataset / name, keep_default_na=False) for name in names]
    # sms_spam repeats hundreds of messages: each once, or a text would stand in two splits.
    drawn = [frame.drop_duplicates("text").sample(frac=1.0, random_state=seed) for frame in frames]
    if file:
        drawn = [drawn[0][:rows], drawn[0][rows : rows + rows // 2], drawn[0][rows + rows // 2 :][: 2 * rows]]
    else:  # as many of each label, so that every split knows the labels of the others
        labels = sorted(drawn[0]["label"].unique())[: QUICK_LABELS if rows == QUICK_ROWS else None]
        drawn = [frame[frame["label"].isin(labels)] for frame in drawn]
        drawn[0] = drawn[0].groupby("label").head(rows // len(labels))
    test = drawn[2][:rows] if rows == QUICK_ROWS else drawn[2]
    return {"train": drawn[0], "validation": drawn[1][: rows // 2], "test": test}


def _by_seed(rows: list[dict[str, Any]], trained: str, task: str) -> dict[int, float]:
    return {row["seed"]: row["scores"][task] for row in rows if row["trained"] == trained}
