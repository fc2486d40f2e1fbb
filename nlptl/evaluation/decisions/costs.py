"""The label whose expected cost is least."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from nlptl.evaluation.decisions.policy import Decision
from nlptl.tasks import TaskSpec

if TYPE_CHECKING:
    import numpy as np

BETWEEN = ">"


@dataclass(frozen=True, kw_only=True)
class ExpectedCost(Decision):
    """The label with the least expected cost under the calibrated probabilities (Elkan 2001).

    `decision.costs` names costs as `GOLD>ANSWER: number`; a mistake that is not named costs 1, a right answer 0 unless
    it is named too. Nothing is fitted: the better the probabilities are calibrated, the better the answers.
    """

    policy: ClassVar[str] = "cost"
    reads: ClassVar[frozenset[str]] = frozenset({"costs"})

    costs: dict[str, float] = field(default_factory=dict)

    @classmethod
    def faults(cls, task: TaskSpec) -> Iterator[str]:
        yield from super().faults(task)
        if task.kind == "multi_label":
            yield "decision.policy cost needs kind single_label"
        if not task.decision.costs:
            yield "decision.policy cost needs decision.costs, such as {GOLD>ANSWER: 20}"
        known = None if isinstance(task.labels, str) else set(task.labels)
        for pair in task.decision.costs:
            gold, between, answer = pair.partition(BETWEEN)
            if not (gold and between and answer):
                yield f"decision.costs: {pair!r} is not GOLD>ANSWER"
            elif known is not None and not {gold, answer} <= known:
                yield f"decision.costs: {pair!r} names a label that is not among {sorted(known)}"

    @classmethod
    def fit(cls, task: TaskSpec, probabilities: np.ndarray, targets: np.ndarray) -> Decision:
        return cls(costs=dict(task.decision.costs))

    def apply(self, probabilities: np.ndarray, labels: list[str]) -> tuple[list[Any], np.ndarray]:
        import numpy as np

        best = (probabilities @ self.matrix(labels)).argmin(1) if len(probabilities) else np.zeros(0, np.int64)
        return [labels[i] for i in best], probabilities[np.arange(len(best)), best]

    def matrix(self, labels: list[str]) -> np.ndarray:
        """(C, C) costs: row of the gold label, column of the answer."""
        import numpy as np

        matrix = 1.0 - np.eye(len(labels))
        for pair, cost in self.costs.items():
            gold, _, answer = pair.partition(BETWEEN)
            matrix[labels.index(gold), labels.index(answer)] = cost
        return matrix

    def measures(self, wanted: list[Any], decided: list[Any]) -> dict[str, Any]:
        """Mean cost of a row."""
        import numpy as np

        paid = [self.costs.get(f"{w}{BETWEEN}{d}", float(w != d)) for w, d in zip(wanted, decided, strict=True)]
        return {"mean_cost": float(np.mean(paid)) if paid else None}
