"""Did adapting help? With labels of the target by its test rows, without them by signs that are stated."""

from __future__ import annotations

from typing import Any

import numpy as np

from nlptl.evaluation.calibration import fit_temperature
from nlptl.evaluation.evaluator import quick_metrics
from nlptl.evaluation.probabilities import probabilities_of
from nlptl.evaluation.significance import NO_DIFFERENCE, over_rows
from nlptl.objectives.alignment import information
from nlptl.strategies.job import Job, Trained

# Label shares of the target's predictions may wander this much further from the source's labels before it is told.
SHIFT = 0.05
# The information on the target may fall by this share of itself; single rows make that much.
FALL = 0.02


def describe_model(job: Job, trained: Trained, target_logits: np.ndarray | None) -> dict[str, Any]:
    """Metrics on test and on the source's validation split, and what can be said of the target without labels.

    Args:
        job: the run.
        trained: one of the models compared.
        target_logits: (target rows, C); None for the oracle, whose predictions there are of no use.
    """
    described: dict[str, Any] = {"test": quick_metrics(job.task, trained.test_logits, job.targets["test"])}
    if target_logits is None:
        return described
    several = job.task.kind == "multi_label"
    temperature = fit_temperature(trained.validation_logits, job.targets["validation"])
    probabilities = probabilities_of(target_logits / temperature, several)
    predicted = (probabilities >= 0.5) if several else np.eye(probabilities.shape[1])[probabilities.argmax(1)]
    shares = predicted.mean(0)
    labels = job.targets["train"] if several else np.eye(len(shares))[job.targets["train"]]
    described["source_validation"] = quick_metrics(job.task, trained.validation_logits, job.targets["validation"])
    described["target"] = {
        "information": information(probabilities),
        "label_shares": dict(zip(job.task.label_list(), map(float, shares), strict=True)),
        "shift_of_shares": float(np.abs(shares - labels.mean(0)).sum() / 2),
    }
    described["source_validation"]["rows"] = len(job.targets["validation"])
    return described


def doubts(source: dict[str, Any], adapted: dict[str, Any]) -> list[str]:
    """Signs, without a label of the target, that adapting did harm; they can be wrong either way.

    - The source's validation accuracy falls by more than one standard error of it.
    - The information between rows and predictions on the target falls: rows are told apart less. Predictions are
      calibrated on the source first, or the more confident of two equally good models would look the better one.
    - The predicted label shares on the target move away from the source's labels; where the domains truly have
      different shares, this is no fault.

    Args:
        source: `describe_model` of the source-only model.
        adapted: of the adapted one.
    """
    found = []
    before, after = source["source_validation"], adapted["source_validation"]
    error = float(np.sqrt(max(before["accuracy"] * (1 - before["accuracy"]), 1e-6) / before["rows"]))
    if after["accuracy"] < before["accuracy"] - error:
        found.append(
            f"accuracy on the source's validation rows fell {before['accuracy']:.3f} -> {after['accuracy']:.3f}"
        )
    old, new = source["target"], adapted["target"]
    if new["information"] < (1 - FALL) * old["information"]:
        found.append(
            f"predictions on the target tell less apart ({old['information']:.3f} -> {new['information']:.3f} nats)"
        )
    if new["shift_of_shares"] > old["shift_of_shares"] + SHIFT:
        found.append(
            f"the target's predicted label shares moved away from the source's ({old['shift_of_shares']:.2f} -> "
            f"{new['shift_of_shares']:.2f})"
        )
    return found


def compare(job: Job, source: Trained, adapted: Trained) -> dict[str, Any]:
    """Rows of the target's test split that one model gets right and the other does not.

    Returns:
        `gain` in accuracy, the `standard_error` of that paired difference, the `p` of an exact McNemar test, `rows`,
        and `verdict`: helped or hurt where p is below 0.05, else no clear difference. It is about these two models:
        another seed gives other ones.
    """
    targets = job.targets["test"]
    found = over_rows(_right(adapted.test_logits, targets), _right(source.test_logits, targets))
    verdict = {"better": "helped", "worse": "hurt"}.get(found.outcome, NO_DIFFERENCE)
    return {
        "gain": found.mean,
        "standard_error": found.standard_error,
        "p": found.p,
        "rows": len(targets),
        "verdict": verdict,
    }


def _right(logits: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """(rows,) 1.0 where the prediction is right; for several labels at once, where all of them are."""
    if targets.ndim == 2:
        return np.asarray(((logits > 0) == (targets > 0.5)).all(1), float)
    return np.asarray(logits.argmax(1) == targets, float)
