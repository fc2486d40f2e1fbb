"""Did adapting help? With labels of the target by its test rows, without them by signs that are stated."""

from __future__ import annotations

from typing import Any

import numpy as np

from nlptl.evaluation.evaluator import mean_loss, probabilities_of, quick_metrics
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
    probabilities = probabilities_of(target_logits / _temperature(job, trained), several)
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
        `gain` in accuracy, the `standard_error` of that paired difference, and `verdict`: helped or hurt where the
        gain is more than one standard error, else no clear difference.
    """
    targets = job.targets["test"]
    difference = _right(adapted.test_logits, targets) - _right(source.test_logits, targets)
    gain = float(difference.mean())
    error = float(difference.std(ddof=1) / np.sqrt(len(difference))) if len(difference) > 1 else 0.0
    verdict = "no clear difference"
    if abs(gain) > error:
        verdict = "helped" if gain > 0 else "hurt"
    return {"gain": gain, "standard_error": error, "verdict": verdict}


def _temperature(job: Job, trained: Trained) -> float:
    """What logits are divided by so that their loss on the source's validation split is least (Guo et al. 2017)."""
    from scipy.optimize import minimize_scalar

    targets = job.targets["validation"]

    def loss(log_temperature: float) -> float:
        logits = trained.validation_logits / np.exp(log_temperature)
        return mean_loss(probabilities_of(logits, targets.ndim == 2), targets)

    return float(np.exp(minimize_scalar(loss, bounds=(-3.0, 3.0), method="bounded").x))


def _right(logits: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """(rows,) 1.0 where the prediction is right; for several labels at once, where all of them are."""
    if targets.ndim == 2:
        return np.asarray(((logits > 0) == (targets > 0.5)).all(1), float)
    return np.asarray(logits.argmax(1) == targets, float)
