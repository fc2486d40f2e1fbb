"""A decision policy with a setting and a field of its own: answers only where it is sure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from nlptl.evaluation.decisions import Decision
from nlptl.tasks import TaskSpec


@dataclass(frozen=True, kw_only=True)
class Cautious(Decision):
    """The most probable label where it reaches the floor, else "ask a human"."""

    policy: ClassVar[str] = "cautious"
    floor: float = 0.5

    @classmethod
    def faults(cls, task: TaskSpec) -> Iterator[str]:
        if not isinstance(task.decision.settings.get("floor"), float):
            yield "decision.policy cautious needs decision.settings.floor, a number"

    @classmethod
    def fit(cls, task: TaskSpec, probabilities: np.ndarray, targets: np.ndarray) -> Decision:
        return cls(floor=float(task.decision.settings["floor"]), label="ask a human", note="cautious was fitted")

    def apply(self, probabilities: np.ndarray, labels: list[str]) -> tuple[list[Any], np.ndarray]:
        best, score = probabilities.argmax(1), probabilities.max(1, initial=0.0)
        return [labels[i] if p >= self.floor else str(self.label) for i, p in zip(best, score, strict=True)], score

    def measures(self, wanted: list[Any], decided: list[Any]) -> dict[str, Any]:
        return {"answered": float(np.mean([name != self.label for name in decided]))}
