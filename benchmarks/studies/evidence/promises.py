"""Is a promised precision or number of alerts kept on new rows, and what does the promise cost in recall?

Each draw learns a probe on frozen features, fits the threshold on validation rows, and looks at test rows, beside the
naive way: the lowest threshold that reaches the floor on validation. What was asked for counts as missed where the test
rows show less. How many validation rows a promise takes shows in "not reachable". How a search begins (FAULTS in
`floors.py`) was chosen on draws with seeds from 1000 on; reported are those from 0.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from frozen_draws import pool_of

TITLE = "Promises kept on new rows"
Row = dict[str, Any]
DATASETS = ("sms_spam", "sms_phishing")
FLOORS = (0.9, 0.95, 0.98)
ALERTS = 20.0
DRAWS, TRAIN, VALIDATION = 50, 1700, 1400


def cases(quick: bool) -> list[Row]:
    """One for each data set; quick: a few draws of the first."""
    chosen = DATASETS[:1] if quick else DATASETS
    return [{"dataset": name, "draws": 3 if quick else DRAWS, "validation": VALIDATION, "seed": 0} for name in chosen]


def measure(root: Path, case: Row) -> Row:
    """Of each policy and of the naive way, draw by draw: whether it was reachable, and what test rows show."""
    pool = pool_of([root / case["dataset"] / "all.csv"])
    positive = pool.labels.index("fraud")
    found: dict[str, list[dict[str, float | None]]] = {}
    for seed in range(case["seed"], case["seed"] + case["draws"]):
        draw = pool.draw(seed, TRAIN, case["validation"])
        (scores, wanted), (new, truth) = (
            (_probability(logits, positive), targets == positive) for logits, targets in draw
        )
        asked = [(f"precision {floor}", {"policy": "precision", "floor": floor}, floor) for floor in FLOORS]
        asked.append((f"alerts {ALERTS:g}", {"policy": "alerts", "alerts_per_thousand": ALERTS}, None))
        for name, settings, floor in asked:
            cut = _promised(settings, scores, wanted)
            found.setdefault(name, []).append(_seen(cut, new, truth))
            naive = _naive(scores, wanted, floor)
            found.setdefault(f"{name}, naive", []).append(_seen(naive, new, truth))
    return {"found": found, "test_rows": len(new), "share": float(np.mean(truth))}


def table(rows: list[Row]) -> str:
    """A line for each data set and promise."""
    head = ("data", "asked for", "missed", "not reachable", "recall", "naive: missed", "naive: recall")
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    for row in rows:
        for name in [name for name in row["found"] if "naive" not in name]:
            ours, theirs = row["found"][name], row["found"][f"{name}, naive"]
            both = [(a, b) for a, b in zip(ours, theirs, strict=True) if a["recall"] is not None]
            cells = (
                row["dataset"],
                _asked(name),
                _missed(name, ours),
                f"{sum(each['recall'] is None for each in ours)} of {len(ours)}",
                _mean([a["recall"] for a, _ in both]),
                _missed(name, theirs),
                _mean([b["recall"] for _, b in both]),
            )
            lines.append(f"| {' | '.join(cells)} |")
    lines.append(
        f"\nBundled checkpoint, frozen; a probe of {TRAIN} rows, {VALIDATION} validation rows, the rest is test; "
        f"{DRAWS} draws. Missed: the test rows, a draw themselves, show less than was asked for, of the draws where a "
        "threshold was found. Recall: mean over these draws, in percent. Confidence of a promise: 0.9. The naive way "
        "takes the lowest threshold that reaches the floor, or stays within the budget, on validation."
    )
    return "\n".join(lines)


def _promised(settings: Row, scores: np.ndarray, wanted: np.ndarray) -> float | None:
    from nlptl.evaluation.decisions import fit_decision
    from nlptl.evaluation.decisions.policy import NEVER
    from nlptl.tasks import DecisionSpec, TaskSpec

    labels = ["legitimate", "fraud"]
    task = TaskSpec(
        name="messages", description="", labels=labels, positive_label="fraud", decision=DecisionSpec(**settings)
    )
    threshold = fit_decision(task, np.stack([1 - scores, scores], 1), wanted.astype(np.int64)).threshold
    return None if threshold == NEVER else threshold


def _naive(scores: np.ndarray, wanted: np.ndarray, floor: float | None) -> float | None:
    order = np.argsort(-scores)
    if floor is None:
        return float(scores[order[int(ALERTS / 1000 * len(scores))]])
    share = np.cumsum(wanted[order]) / np.arange(1, len(order) + 1)
    reached = np.flatnonzero(share >= floor)
    return float(scores[order[reached[-1]]]) if len(reached) else None


def _seen(cut: float | None, scores: np.ndarray, truth: np.ndarray) -> dict[str, float | None]:
    if cut is None:
        return {"precision": None, "recall": None, "alerts": None}
    flagged = scores >= cut
    precision = float(truth[flagged].mean()) if flagged.any() else None
    return {
        "precision": precision,
        "recall": float(flagged[truth].mean()),
        "alerts": 1000 * float(flagged.mean()),
    }


def _probability(logits: np.ndarray, positive: int) -> np.ndarray:
    from scipy.special import softmax

    probabilities: np.ndarray = softmax(logits, 1)[:, positive]
    return probabilities


def _asked(name: str) -> str:
    kind, value = name.split()
    return f"precision {value}" if kind == "precision" else f"{value} alerts per thousand"


def _missed(name: str, found: list[Row]) -> str:
    kind, value = name.split()
    there = [each for each in found if each["recall"] is not None]
    if kind == "precision":
        missed = sum(each["precision"] is not None and each["precision"] < float(value) for each in there)
    else:
        missed = sum(each["alerts"] > float(value) for each in there)
    return f"{missed} of {len(there)}"


def _mean(values: list[float]) -> str:
    return f"{100 * float(np.mean(values)):.1f}" if values else "-"
