"""Few labels: contrastive tuning beside the linear probe, full fine-tuning and LoRA, on the same draws of rows."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from pretrained import train_and_test

from studies import Comparison, compared, mean_and_spread

TITLE = "Few-shot contrastive tuning"
DATASETS = {"banking77": ("chatbot-intent", 10), "sst2": ("sentiment", 8)}
METHODS: dict[str, dict[str, Any]] = {
    "probe": {"mode": "feature_extraction"},
    # With so few labels mode full would contrast by itself.
    "full": {"mode": "full", "strategy": "fine_tune"},
    "lora": {"mode": "lora"},
    "contrastive": {"mode": "full", "strategy": "contrastive"},
}
NAMES = {
    "probe": "linear probe",
    "full": "full fine-tuning",
    "lora": "LoRA",
    "contrastive": "contrastive, then a head",
}


def cases(quick: bool) -> list[dict[str, Any]]:
    """Five draws of each data set by every method; quick: one draw of the smaller, by two methods."""
    if quick:
        return [_case("sst2", method, 0) for method in ("probe", "contrastive")]
    return [_case(name, method, seed) for seed in range(5) for name in DATASETS for method in METHODS]


def measure(root: Path, case: dict[str, Any]) -> dict[str, Any]:
    """Test accuracy of one run with default settings; the seed draws the rows."""
    import nlptl

    task, _ = DATASETS[case["dataset"]]
    with tempfile.TemporaryDirectory() as folder:
        run = nlptl.train(
            task,
            data=train_and_test(root / case["dataset"]),
            **METHODS[case["method"]],
            seed=case["seed"],
            output=Path(folder) / "run",
            settings={"data.shots": case["shots"], "runtime.progress": False},
        )
        metrics = run.metrics
    return {
        "accuracy": metrics["test"]["accuracy"],
        "validation": metrics["validation"]["accuracy"],
        "seconds": metrics["time"]["total_seconds"],
        "head": metrics["training"].get("head"),
    }


def table(rows: list[dict[str, Any]]) -> str:
    """Method x data set, and contrastive against each other method over the draws they share."""
    columns = [name for name in DATASETS if any(row["dataset"] == name for row in rows)]
    heads = [f"{name}, {DATASETS[name][1]} per label" for name in columns]
    lines = [f"| method | {' | '.join(heads)} |", f"|---|{'---|' * len(columns)}"]
    for method in METHODS:
        cells = [mean_and_spread(list(_by_seed(rows, name, method).values())) for name in columns]
        lines.append(f"| {NAMES[method]} | {' | '.join(cells)} |")
    lines.append("\nTest accuracy in percent, mean ± sample standard deviation over draws of rows.\n")
    for name in columns:
        comparisons = []  # each data set asks a question of its own, with three controls side by side
        for other in ("probe", "full", "lora"):
            ours, theirs = _by_seed(rows, name, "contrastive"), _by_seed(rows, name, other)
            shared = sorted(ours.keys() & theirs.keys())
            if shared:
                first, second = [ours[s] for s in shared], [theirs[s] for s in shared]
                comparisons.append(Comparison(f"{name}: contrastive", first, NAMES[other], second))
        lines += [f"- {said}" for said in compared(comparisons)]
    return "\n".join(lines)


def _case(dataset: str, method: str, seed: int) -> dict[str, Any]:
    return {"dataset": dataset, "shots": DATASETS[dataset][1], "method": method, "seed": seed}


def _by_seed(rows: list[dict[str, Any]], dataset: str, method: str) -> dict[int, float]:
    return {row["seed"]: row["accuracy"] for row in rows if (row["dataset"], row["method"]) == (dataset, method)}
