"""The best label, or out of scope where no label is probable enough."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from nlptl.evaluation.decisions.policy import FEWEST_ROWS, Decision
from nlptl.tasks import TaskSpec

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True, kw_only=True)
class OutOfScope(Decision):
    """The best label, or `label` where that is the best anyway or no other reaches the threshold.

    The threshold keeps the asked-for share (`decision.keep`) of validation's in-scope rows (Hendrycks & Gimpel 2017:
    the maximum softmax probability as the score). With fewer in-scope rows than it takes for one of them to fall below
    it, or than `FEWEST_ROWS`, it stays at 0, which sends no row out of scope.
    """

    policy: ClassVar[str] = "out_of_scope"

    @classmethod
    def faults(cls, task: TaskSpec) -> Iterator[str]:
        yield from super().faults(task)
        if task.decision.label is None:
            yield "decision.policy out_of_scope needs decision.label"
        if task.kind == "multi_label":
            yield "decision.policy out_of_scope needs kind single_label"

    @classmethod
    def fit(cls, task: TaskSpec, probabilities: np.ndarray, targets: np.ndarray) -> Decision:
        import numpy as np

        labels, label, keep = task.label_list(), task.decision.label, task.decision.keep
        outside = labels.index(str(label)) if label in labels else None
        in_scope = probabilities if outside is None else probabilities[targets != outside]
        rows = len(in_scope)
        needed = max(FEWEST_ROWS, math.ceil(1 / (1 - keep) - 1e-9))
        if rows < needed:
            note = (
                f"The out-of-scope cut-off stays at 0, so that it sends no text out of scope: validation has {rows} of "
                f"the {needed} in-scope rows that fitting it with decision.keep={keep:g} needs."
            )
            return cls(threshold=0.0, label=label, note=note)
        if outside is not None:
            in_scope = np.delete(in_scope, outside, axis=1)
        tops = np.sort(in_scope.max(1))
        # Exactly the lowest (1 - keep) share falls below; interpolation would drop more of a small split.
        cut = tops[min(int((1 - keep) * rows + 1e-9), rows - 1)]
        unmeasured = None
        if rows == len(probabilities):
            unmeasured = (
                f"Validation has no row labelled {label!r}: the out-of-scope cut-off keeps {keep:.0%} of the in-scope "
                "rows, but how many out-of-scope texts it finds was not measured."
            )
        return cls(threshold=float(cut), label=label, note=unmeasured)

    def apply(self, probabilities: np.ndarray, labels: list[str]) -> tuple[list[Any], np.ndarray]:
        import numpy as np

        best = probabilities.argmax(1) if len(probabilities) else np.zeros(0, np.int64)
        score = probabilities[np.arange(len(best)), best]
        cut = 0.0 if self.threshold is None else self.threshold
        return [labels[i] if p >= cut else str(self.label) for i, p in zip(best, score, strict=True)], score

    def measures(self, wanted: list[Any], decided: list[Any]) -> dict[str, Any]:
        """Shares of in-scope rows that stay in scope, and of out-of-scope rows that are found; None without rows."""
        import numpy as np

        pairs = list(zip(wanted, decided, strict=True))
        inside = [d != self.label for w, d in pairs if w != self.label]
        outside = [d == self.label for w, d in pairs if w == self.label]
        return {
            "in_scope_kept": float(np.mean(inside)) if inside else None,
            "out_of_scope_recall": float(np.mean(outside)) if outside else None,
        }
