"""How far probabilities can be trusted, before and after calibration on validation.

One training for each case; the methods are fitted on the same validation answers and measured on the same test rows.
"""

from __future__ import annotations

import statistics
import tempfile
from pathlib import Path
from typing import Any

from studies import Comparison, compared, mean_and_spread

TITLE = "Calibration"
Row = dict[str, Any]
DATASETS: dict[str, dict[str, Any]] = {
    "banking77": {"task": "chatbot-intent"},
    "clinc150": {"task": "chatbot-intent"},
    "sst2": {"task": "sentiment"},
    "sms_spam": {
        "task": "fraud-text",
        "file": "all.csv",
        "settings": {"data.label_map": {"ham": "legitimate", "spam": "fraud"}, "data.duplicates": "drop"},
    },
}
METHODS = ("none", "temperature", "vector", "isotonic")
MEASURES = ("ece", "ece_debiased", "brier", "log_loss")


def cases(quick: bool) -> list[Row]:
    """Frozen for three seeds, and mode full for one, which takes minutes; quick: sms_spam frozen."""
    chosen = ["sms_spam"] if quick else [*DATASETS]
    modes = {"feature_extraction": 1 if quick else 3, **({} if quick else {"full": 1})}
    return [
        {"dataset": name, "mode": mode, "seed": seed}
        for mode, seeds in modes.items()
        for name in chosen
        for seed in range(seeds)
    ]


def measure(root: Path, case: Row) -> Row:
    """Each method's measures on test, from one training."""
    import nlptl
    from nlptl.evaluation.calibration import fit_calibration
    from nlptl.evaluation.calibration.measures import calibration_measures
    from nlptl.runs.answers import read_answers

    facts = DATASETS[case["dataset"]]
    with tempfile.TemporaryDirectory() as folder:
        run = nlptl.train(
            facts["task"],
            data=root / case["dataset"] / facts.get("file", ""),
            mode=case["mode"],
            seed=case["seed"],
            output=Path(folder) / "run",
            settings={**facts.get("settings", {}), "runtime.progress": False},
        )
        answers, accuracy = read_answers(run.folder), run.metrics["test"]["accuracy"]
    held, test = answers["validation"], answers["test"]
    found, changed = {}, {}
    for method in METHODS:
        fitted = fit_calibration(method, held.logits, held.targets)
        probabilities = fitted.probabilities(test.logits, False)
        found[method] = calibration_measures(probabilities, test.targets)
        changed[method] = float((probabilities.argmax(1) == test.targets).mean())
    return {"measures": found, "accuracies": changed, "accuracy": accuracy, "validation": len(held.targets)}


def table(rows: list[Row]) -> str:
    """A line for each data set, mode and method; log-loss with and without a temperature is tested over the seeds."""
    head = ("data", "mode", "method", "calibration error", "debiased", "Brier", "log-loss", "accuracy, %", "seeds")
    lines, comparisons = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"], []
    for name, mode in dict.fromkeys((row["dataset"], row["mode"]) for row in rows):
        here = [row for row in rows if (row["dataset"], row["mode"]) == (name, mode)]
        for method in METHODS:
            values = [[row["measures"][method][each] for row in here] for each in MEASURES]
            cells = (
                name,
                f"`{mode}`",
                f"`{method}`",
                *map(_small, values),
                mean_and_spread([row["accuracies"][method] for row in here]),
                str(len(here)),
            )
            lines.append(f"| {' | '.join(cells)} |")
        losses = [[-row["measures"][method]["log_loss"] for row in here] for method in ("temperature", "none")]
        comparisons.append(Comparison(f"{name}, {mode}: temperature", losses[0], "none, by log-loss", losses[1]))
    lines.append("\nOn test rows; bundled checkpoint, default settings; mean ± sample standard deviation over seeds.\n")
    return "\n".join([*lines, *(f"- {said}" for said in compared(comparisons, 1.0))])


def _small(values: list[float]) -> str:
    spread = f" ± {statistics.stdev(values):.4f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.4f}{spread}"
