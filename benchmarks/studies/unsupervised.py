"""Features learned from banking77's training texts without their labels, against the untouched encoder's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pretrained import accuracy, pretrained

from studies import Comparison, compared, mean_and_spread

TITLE = "Unsupervised transfer: banking77 texts without labels, then frozen features at 10-shot"
Row = dict[str, Any]

STEPS = {"none": 0, "simcse": 80, "tsdae": 80}
CLASSES, SHOTS = 77, 10
SETTINGS = {"corpus.max_length": 64, "evaluations": 2, "corpus.held_out": 0.05}


def cases(quick: bool) -> list[Row]:
    """Objective x draw of the labelled rows."""
    return [
        {"objective": objective, "steps": min(steps, 4) if quick else steps, "seed": seed}
        for seed in range(1 if quick else 5)
        for objective, steps in STEPS.items()
    ]


def measure(root: Path, case: Row) -> Row:
    """Test accuracy of a linear head on frozen features."""
    checkpoint: str | Path = "minilm"
    if case["objective"] != "none":
        limit = {"corpus.limit": 500} if case["steps"] == 4 else {}
        checkpoint = pretrained(
            {**SETTINGS, **limit},
            data=[root / "banking77" / "train.csv"],
            checkpoint="minilm",
            objective=case["objective"],
            steps=case["steps"],
        )
    labels = SHOTS * CLASSES
    mode = "feature_extraction"
    return {"accuracy": accuracy(root / "banking77", "chatbot-intent", checkpoint, mode, labels, case["seed"], CLASSES)}


def table(rows: list[Row]) -> str:
    """A line for each objective, and its comparison with the untouched encoder."""
    rows = sorted(rows, key=lambda row: row["seed"])
    scores = {name: [row["accuracy"] for row in rows if row["objective"] == name] for name in STEPS}
    lines = ["| objective | banking77 test accuracy, frozen features, 10-shot |", "|---|---|"]
    lines += [f"| {name} ({STEPS[name]} steps) | {mean_and_spread(scores[name])} |" for name in STEPS]
    lines.append("")
    comparisons = [
        Comparison(name, scores[name], "the untouched encoder", scores["none"])
        for name in ("simcse", "tsdae")
        if scores[name] and len(scores[name]) == len(scores["none"])
    ]
    lines += [f"- {said}" for said in compared(comparisons)]
    return "\n".join(lines)
