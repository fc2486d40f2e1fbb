"""Metrics that need no hub: scikit-learn computes them, and each can be had as a module of the `evaluate` library.

That library imports transformers' pipelines, image processing and the compiler, which takes seconds; so it is imported
where somebody asks for such a module, and not where something is measured.

Each takes what it measures: `predictions` (label ids, or 0/1 rows for several labels) or `scores` (probabilities).
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from sklearn import metrics as sk

PRECISION_FLOOR = 0.9


class OfflineMetric:
    """Base: one number between 0 and 1. `_compute` returns it under the registered name.

    Class attributes say what a subclass needs: `on_scores` (scores instead of predicted ids) and `needs_positive`
    (defined only where the task has a positive label).
    """

    description: ClassVar[str] = ""
    on_scores: ClassVar[bool] = False
    needs_positive: ClassVar[bool] = False

    def compute(self, *, predictions: Any, references: Any) -> dict[str, float]:
        """The number, under the metric's name.

        Args:
            predictions: (N,) label ids, (N, C) 0/1 or, for a metric on scores, (N,) probabilities.
            references: (N,) or (N, C), what is right; for a metric on scores 1 where the label holds.
        """
        return self._compute(predictions, references)

    def _compute(self, predictions: Any, references: Any) -> dict[str, float]:
        raise NotImplementedError

    def as_evaluate_module(self) -> Any:
        """The same as an `evaluate.Metric`, for `evaluate.combine` and whatever else takes one."""
        import datasets
        import evaluate

        metric, number, label = self, datasets.Value("float32"), datasets.Value("int64")
        several = [
            datasets.Features({"predictions": label, "references": label}),
            datasets.Features({"predictions": datasets.Sequence(number), "references": datasets.Sequence(number)}),
            datasets.Features({"predictions": number, "references": label}),
        ]
        # evaluate reads the schema off the first batch when there are alternatives; scores go first for score metrics.
        features = several[::-1] if self.on_scores else several

        class Module(evaluate.Metric):  # type: ignore[misc]
            def _info(self) -> evaluate.MetricInfo:
                said = {"description": metric.description, "citation": "", "inputs_description": ""}
                return evaluate.MetricInfo(**said, features=features)

            def _compute(self, predictions: Any, references: Any) -> dict[str, float]:
                return metric._compute(predictions, references)

        return Module(keep_in_memory=True)


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
