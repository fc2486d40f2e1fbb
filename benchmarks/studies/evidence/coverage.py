"""Do conformal sets hold the true label as often as was asked, for each label too, and once texts change?"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from frozen_draws import Draw, pool_of

from studies import mean_and_spread

TITLE = "Conformal sets"
Row = dict[str, Any]
FILES = {
    "banking77": ("banking77/train.csv", "banking77/test.csv"),
    "sst2": ("sst2/train.csv", "sst2/validation.csv", "sst2/test.csv"),
    "sms_spam": ("sms_spam/all.csv",),
    "Amazon books": ("amazon_multidomain/books.csv",),
}
SHIFTED = "Amazon books to kitchen"
COVERAGE = 0.9
SETS = ("lac", "aps", "raps")


def cases(quick: bool) -> list[Row]:
    """Data set by data set; quick: three draws of sms_spam."""
    names = ["sms_spam"] if quick else [*FILES, SHIFTED]
    return [{"dataset": name, "draws": 3 if quick else 50, "seed": 0} for name in names]


def measure(root: Path, case: Row) -> Row:
    """Coverage, that of the worst label, and mean size, for each way of making sets and each draw."""
    name = case["dataset"]
    files = FILES["Amazon books"] if name == SHIFTED else FILES[name]
    pool = pool_of([root / file for file in files])
    beside = pool_of([root / "amazon_multidomain" / "kitchen.csv"]) if name == SHIFTED else None
    found: dict[str, dict[str, list[float]]] = {}
    for seed in range(case["seed"], case["seed"] + case["draws"]):
        rows = len(pool.targets)
        draw = pool.draw(seed, rows // 2, rows // 4, beside)
        for sets in SETS:
            for measured, value in _measures(draw, pool.labels, sets).items():
                found.setdefault(sets, {}).setdefault(measured, []).append(value)
    return {"found": found, "validation": len(draw.validation[1])}


def table(rows: list[Row]) -> str:
    """A line for each data set and way of making sets."""
    head = ("data", "sets", "coverage, %", "of the worst label, %", "labels in a set", "empty, %")
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    for row in rows:
        for sets, values in row["found"].items():
            cells = (
                f"{row['dataset']} ({row['validation']} validation rows)",
                f"`{sets}`",
                mean_and_spread(values["coverage"]),
                mean_and_spread(values["least_coverage"]),
                mean_and_spread(values["mean_size"], 1.0),
                mean_and_spread(values["empty"]),
            )
            lines.append(f"| {' | '.join(cells)} |")
    lines.append(
        f"\nAsked for: {100 * COVERAGE:.0f} %. Bundled checkpoint, frozen; mean ± sample standard deviation over 50 "
        "draws of train, validation and test. In the last data set validation is books and test kitchen: texts that "
        "were not drawn alike, for which nothing is promised."
    )
    return "\n".join(lines)


def _measures(draw: Draw, labels: list[str], sets: str) -> dict[str, float]:
    from nlptl.evaluation.calibration import fit_calibration
    from nlptl.evaluation.decisions import fit_decision
    from nlptl.tasks import DecisionSpec, TaskSpec

    decision = DecisionSpec(policy="conformal", coverage=COVERAGE, sets=sets)
    task = TaskSpec(name="x", description="", labels=labels, decision=decision)
    calibration = fit_calibration("auto", *draw.validation)
    (held, targets), (new, truth) = ((calibration.probabilities(logits, False), ids) for logits, ids in draw)
    fitted = fit_decision(task, held, targets)
    measures = fitted.measures([labels[i] for i in truth], fitted.apply(new, labels)[0])
    return {name: measures[name] for name in ("coverage", "least_coverage", "mean_size", "empty")}
