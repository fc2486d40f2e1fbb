"""A metric: the mean over labels of recall."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.metrics import balanced_accuracy_score

from nlptl.evaluation.metrics import OfflineMetric


class BalancedAccuracy(OfflineMetric):
    description = "balanced accuracy"

    def _compute(self, predictions: Any, references: Any) -> dict[str, float]:
        return {"balanced_accuracy": float(balanced_accuracy_score(np.asarray(references), np.asarray(predictions)))}
