"""How far probabilities can be trusted: calibration error, Brier score and log-loss.

Shapes: N rows, C labels. Of one label a text, the confidence is the highest probability, and a row is right where that
label is the gold one. Of several labels at once, every label of every row is a case of its own.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from nlptl.evaluation.probabilities import mean_loss

BINS = 15


class Bin(NamedTuple):
    """Rows of like confidence."""

    confidence: float
    """Mean."""
    share_right: float
    rows: int


def calibration_measures(probabilities: np.ndarray, targets: np.ndarray) -> dict[str, float]:
    """What `metrics.json` says of a split's probabilities; NaN without rows.

    ece: mean distance between confidence and share right, over bins of equally many rows (Nguyen & O'Connor 2015).
    ece_debiased: root mean square distance, less what chance alone puts into it (Kumar, Liang & Ma 2019).
    brier: squared distance from the gold labels, summed over labels and averaged over rows (Brier 1950).
    log_loss: mean negative log-likelihood.

    Args:
        probabilities: (N, C).
        targets: (N,) label ids, or (N, C) 0/1.
    """
    if not len(targets):
        return dict.fromkeys(("ece", "ece_debiased", "brier", "log_loss"), float("nan"))
    bins = reliability(probabilities, targets)
    rows = sum(each.rows for each in bins)
    gaps = [abs(each.confidence - each.share_right) for each in bins]
    chance = [each.share_right * (1 - each.share_right) / max(each.rows - 1, 1) for each in bins]
    squares = sum(each.rows * (gap**2 - noise) for each, gap, noise in zip(bins, gaps, chance, strict=True)) / rows
    wanted = targets if targets.ndim == 2 else np.eye(probabilities.shape[1], dtype=np.float32)[targets]
    return {
        "ece": sum(each.rows * gap for each, gap in zip(bins, gaps, strict=True)) / rows,
        "ece_debiased": float(np.sqrt(max(squares, 0.0))),
        "brier": float(((probabilities - wanted) ** 2).sum(1).mean()),
        "log_loss": mean_loss(probabilities, targets),
    }


def reliability(probabilities: np.ndarray, targets: np.ndarray, bins: int = BINS) -> list[Bin]:
    """The rows in bins of equally many, by rising confidence: a reliability diagram.

    Args:
        probabilities: (N, C).
        targets: (N,) label ids, or (N, C) 0/1.
        bins: at most; no more than there are rows.
    """
    if targets.ndim == 2:
        confidence, right = probabilities.ravel(), targets.ravel() > 0.5
    else:
        confidence, right = probabilities.max(1), probabilities.argmax(1) == targets
    order = np.argsort(confidence, kind="stable")
    parts = np.array_split(order, min(bins, len(order))) if len(order) else []
    return [Bin(float(confidence[part].mean()), float(right[part].mean()), len(part)) for part in parts]


def bins_noted(found: list[Bin]) -> list[dict[str, Any]]:
    """What `metrics.json` keeps of a reliability diagram."""
    return [each._asdict() for each in found]
