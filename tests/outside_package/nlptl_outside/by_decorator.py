"""What a program registers by itself: it has to import this module."""

from __future__ import annotations

from typing import Any

from nlptl.evaluation.metrics import OfflineMetric
from nlptl.models.modes import FeatureExtraction
from nlptl.registry import METRICS, MODES


@METRICS.register("error_rate", "share of rows whose label is wrong")
class ErrorRate(OfflineMetric):
    description = "error rate"

    def _compute(self, predictions: Any, references: Any) -> dict[str, float]:
        wrong = [p != r for p, r in zip(predictions, references, strict=True)]
        return {"error_rate": sum(wrong) / len(wrong)}


@MODES.register("frozen_twin", "feature extraction under another name")
class FrozenTwin(FeatureExtraction):
    pass
