"""The most probable label, or no answer where it is not sure enough."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from nlptl.evaluation.decisions.argmax import Argmax
from nlptl.evaluation.decisions.floors import lowest_cut, proportion
from nlptl.evaluation.decisions.policy import NEVER, Decision
from nlptl.tasks import TaskSpec

if TYPE_CHECKING:
    import numpy as np

UNSURE = "unsure"


@dataclass(frozen=True, kw_only=True)
class Abstain(Decision):
    """The most probable label where the answers given are right often enough, else `label` (by default "unsure").

    With the probability `decision.confidence`, at least `decision.floor` of the answers that are given are right, on
    rows like those of validation (selective classification, Geifman & El-Yaniv 2017). Where no threshold can promise
    that, no text is answered, and a note says so.
    """

    policy: ClassVar[str] = "abstain"
    reads: ClassVar[frozenset[str]] = frozenset({"floor", "confidence", "label"})

    @classmethod
    def faults(cls, task: TaskSpec) -> Iterator[str]:
        yield from super().faults(task)
        if task.kind == "multi_label":
            yield "decision.policy abstain needs kind single_label"
        if task.decision.floor is None:
            yield "decision.policy abstain needs decision.floor, the share of answers that are to be right"

    @classmethod
    def fit(cls, task: TaskSpec, probabilities: np.ndarray, targets: np.ndarray) -> Decision:
        label, floor, confidence = task.decision.label or UNSURE, task.decision.floor or 0.0, task.decision.confidence
        right = probabilities.argmax(1) == targets
        found = lowest_cut(probabilities.max(1), right, floor, confidence) if len(right) else None
        if found is not None:
            return cls(threshold=found, label=label)
        note = (
            f"No threshold makes {floor:.0%} of the answers right with {confidence:.0%} confidence on the {len(right)} "
            f"validation rows: every text is answered {label!r}. Give more validation rows, or ask for a lower floor."
        )
        return cls(threshold=NEVER, label=label, note=note)

    def apply(self, probabilities: np.ndarray, labels: list[str]) -> tuple[list[Any], np.ndarray]:
        names, scores = Argmax().apply(probabilities, labels)
        cut = 0.0 if self.threshold is None else self.threshold
        return [name if score >= cut else str(self.label) for name, score in zip(names, scores, strict=True)], scores

    def measures(self, wanted: list[Any], decided: list[Any]) -> dict[str, Any]:
        """Share of rows that are answered, and of these, the share that is right, with an exact 95 % interval."""
        given = [(w, d) for w, d in zip(wanted, decided, strict=True) if d != self.label]
        right = proportion(sum(w == d for w, d in given), len(given))
        return {
            "answered": len(given) / len(decided) if decided else None,
            "answered_right": right["value"],
            "answered_right_interval": right["interval"],
        }
