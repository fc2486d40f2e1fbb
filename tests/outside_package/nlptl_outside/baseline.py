"""A baseline that is saved in a form of its own: the nearest centroid (Rocchio 1971)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from nlptl.baselines.models import Baseline, Setting


@dataclass(frozen=True)
class Centroids:
    """(C, V) mean vectors; a text scores by its cosine-like product with each."""

    means: np.ndarray

    @property
    def parameters(self) -> int:
        return int(self.means.size)

    def logits(self, matrix: Any) -> np.ndarray:
        return np.asarray(matrix @ self.means.T, np.float32)

    def arrays(self) -> dict[str, np.ndarray]:
        return {"means": self.means}

    @classmethod
    def from_arrays(cls, arrays: dict[str, np.ndarray]) -> Centroids:
        return cls(arrays["means"])


def _fit(matrix: Any, targets: np.ndarray, classes: int, setting: Setting, balanced: bool, seed: int) -> Centroids:
    rows = [matrix[targets == label] for label in range(classes)]
    means = [np.asarray(of.mean(0)).ravel() if of.shape[0] else np.zeros(matrix.shape[1]) for of in rows]
    return Centroids(setting["scale"] * np.stack(means).astype(np.float32))


NEAREST_CENTROID = Baseline(_fit, ({"scale": 1.0}, {"scale": 4.0}), weighs_labels=False)
