"""The most probable label; for several labels at once, every label that is probable enough."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Self

from nlptl.errors import ArtifactError
from nlptl.evaluation.decisions.policy import Decision
from nlptl.tasks import TaskSpec

if TYPE_CHECKING:
    import numpy as np


def most_probable(several_labels: bool) -> Decision:
    """The decision without a policy: the most probable label, or every label with at least 0.5."""
    return EveryLabel(threshold=0.5) if several_labels else Argmax()


@dataclass(frozen=True, kw_only=True)
class Argmax(Decision):
    """The most probable label; for several labels at once, every label with a probability of at least 0.5."""

    policy: ClassVar[str] = "argmax"

    @classmethod
    def fit(cls, task: TaskSpec, probabilities: np.ndarray, targets: np.ndarray) -> Decision:
        return most_probable(targets.ndim == 2)

    def apply(self, probabilities: np.ndarray, labels: list[str]) -> tuple[list[Any], np.ndarray]:
        import numpy as np

        best = probabilities.argmax(1) if len(probabilities) else np.zeros(0, np.int64)
        return [labels[i] for i in best], probabilities[np.arange(len(best)), best]


@dataclass(frozen=True, kw_only=True)
class EveryLabel(Decision):
    """Every label whose probability reaches its threshold: what policies come to for several labels at once.

    It has no entry in the registry: a task asks for `argmax` (0.5) or `threshold` (fitted).
    """

    policy: ClassVar[str] = "multi_label"

    thresholds: dict[str, float] = field(default_factory=dict)
    """Label -> threshold of its own; the others have the common `threshold`."""

    @classmethod
    def fit(cls, task: TaskSpec, probabilities: np.ndarray, targets: np.ndarray) -> Decision:
        return cls(threshold=0.5)

    def apply(self, probabilities: np.ndarray, labels: list[str]) -> tuple[list[Any], np.ndarray]:
        import numpy as np

        common = 0.5 if self.threshold is None else self.threshold
        chosen = probabilities >= np.array([self.thresholds.get(label, common) for label in labels])
        names = [[labels[i] for i in np.flatnonzero(row)] for row in chosen]
        return names, probabilities.max(1, initial=0.0)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Self:
        own = values.get("thresholds", {})
        if not isinstance(own, dict) or not all(_is_number(number) for number in own.values()):
            raise ArtifactError(f"decision.json is damaged: thresholds is {own!r}, not a number for each label.")
        return super().from_json(values)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
