"""Metrics as `evaluate` modules that live in the package, so that they need no hub.

Importing this module loads the `evaluate` library, and with it much of transformers: seconds. So it is reached through
`nlptl.registry.METRICS` alone, when something is measured.

Each takes what it measures: `predictions` (label ids, or 0/1 rows for several labels) or `scores` (probabilities).
"""

from __future__ import annotations

from typing import Any, ClassVar

import datasets
import evaluate
import numpy as np
from sklearn import metrics as sk

PRECISION_FLOOR = 0.9


class OfflineMetric(evaluate.Metric):  # type: ignore[misc]
    """Base: one number between 0 and 1, computed in memory. `_compute` returns it under the registered name.

    Class attributes say what a subclass needs: `on_scores` (scores instead of predicted ids) and `needs_positive`
    (defined only where the task has a positive label).
    """

    description: ClassVar[str] = ""
    on_scores: ClassVar[bool] = False
    needs_positive: ClassVar[bool] = False

    def __init__(self, **settings: Any) -> None:
        super().__init__(keep_in_memory=True, **settings)

    def _info(self) -> evaluate.MetricInfo:
        number = datasets.Value("float32")
        several = [
            datasets.Features({"predictions": datasets.Value("int64"), "references": datasets.Value("int64")}),
            datasets.Features({"predictions": datasets.Sequence(number), "references": datasets.Sequence(number)}),
            datasets.Features({"predictions": number, "references": datasets.Value("int64")}),
        ]
        # evaluate reads the schema off the first batch when there are alternatives; scores go first for score metrics.
        ordered = several[::-1] if self.on_scores else several
        return evaluate.MetricInfo(description=self.description, citation="", inputs_description="", features=ordered)


class Accuracy(OfflineMetric):
    """Share of rows whose label (or whole set of labels) is right."""

    description = "accuracy"

    def _compute(self, predictions: Any, references: Any) -> dict[str, float]:
        return {"accuracy": float(sk.accuracy_score(np.asarray(references), np.asarray(predictions)))}


class MacroF1(OfflineMetric):
    """Mean over labels of F1; a label that occurs neither in references nor in predictions does not count."""

    description = "macro-averaged F1"

    def _compute(self, predictions: Any, references: Any) -> dict[str, float]:
        score = sk.f1_score(np.asarray(references), np.asarray(predictions), average="macro", zero_division=0)
        return {"macro_f1": float(score)}


class MicroF1(OfflineMetric):
    """F1 over all label decisions together; equals accuracy for single labels."""

    description = "micro-averaged F1"

    def _compute(self, predictions: Any, references: Any) -> dict[str, float]:
        score = sk.f1_score(np.asarray(references), np.asarray(predictions), average="micro", zero_division=0)
        return {"micro_f1": float(score)}


class AveragePrecision(OfflineMetric):
    """Area under the precision-recall curve of the positive label's score, as a step-wise sum."""

    description = "average precision"
    on_scores = True
    needs_positive = True

    def _compute(self, predictions: Any, references: Any) -> dict[str, float]:
        score = sk.average_precision_score(references, predictions) if any(references) else float("nan")
        return {"average_precision": float(score)}


class RocAuc(OfflineMetric):
    """Chance that a positive row scores above a negative one."""

    description = "area under the ROC curve"
    on_scores = True
    needs_positive = True

    def _compute(self, predictions: Any, references: Any) -> dict[str, float]:
        both = len(set(references)) == 2
        return {"roc_auc": float(sk.roc_auc_score(references, predictions)) if both else float("nan")}


class RecallAtPrecision(OfflineMetric):
    """Highest recall of the positive label at any threshold whose precision is at least 0.9."""

    description = f"recall at precision >= {PRECISION_FLOOR}"
    on_scores = True
    needs_positive = True

    def _compute(self, predictions: Any, references: Any) -> dict[str, float]:
        if not any(references):
            return {"recall_at_precision": float("nan")}
        precision, recall, _ = sk.precision_recall_curve(references, predictions)
        return {"recall_at_precision": float(recall[precision >= PRECISION_FLOOR].max(initial=0.0))}
