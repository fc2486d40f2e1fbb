"""The best label, or out of scope where no label is probable enough."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from nlptl.evaluation.decisions.argmax import Argmax
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

    Without rows of `label` in validation nothing shows what the cut-off finds. Then the most probable label is the
    answer, unless `decision.reject` is `always`; a note says what rejecting would cost.
    """

    policy: ClassVar[str] = "out_of_scope"
    reads: ClassVar[frozenset[str]] = frozenset({"label", "keep", "reject"})

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
        inside = np.ones(len(targets), bool) if outside is None else targets != outside
        in_scope = probabilities[inside]
        rows = len(in_scope)
        if task.decision.reject == "never":
            return Argmax()
        needed = max(FEWEST_ROWS, math.ceil(1 / (1 - keep) - 1e-9))
        if task.decision.reject == "auto" and inside.all():
            right = probabilities.argmax(1) == targets
            return Argmax(note=_offer(str(label), keep, probabilities.max(1, initial=0.0), right, needed))
        if rows < needed:
            note = (
                f"The out-of-scope cut-off stays at 0, so that it sends no text out of scope: validation has {rows} of "
                f"the {needed} in-scope rows that fitting it with decision.keep={keep:g} needs."
            )
            return cls(threshold=0.0, label=label, note=note)
        if outside is not None:
            in_scope = np.delete(in_scope, outside, axis=1)
        cut = _cut_off(in_scope.max(1), keep)
        unmeasured = None
        if rows == len(probabilities):
            unmeasured = (
                f"Validation has no row labelled {label!r}: the out-of-scope cut-off keeps {keep:.0%} of the in-scope "
                "rows, but how many out-of-scope texts it finds was not measured."
            )
        return cls(threshold=cut, label=label, note=unmeasured)

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


def _cut_off(scores: np.ndarray, keep: float) -> float:
    """The score below which exactly the lowest 1 - keep share falls; interpolation would drop more of a small split."""
    import numpy as np

    return float(np.sort(scores)[min(int((1 - keep) * len(scores) + 1e-9), len(scores) - 1)])


def _offer(label: str, keep: float, scores: np.ndarray, right: np.ndarray, needed: int) -> str:
    """How rejection is switched on, and what it would cost on validation."""
    said = (
        f"Validation has no row labelled {label!r}, which would show what rejecting unsure texts gains: the most "
        "probable label is the answer. "
    )
    if len(scores) < needed:
        return (
            f"{said}Rejection (--set decision.reject=always) needs {needed} validation rows; there are {len(scores)}."
        )
    refused = scores < _cut_off(scores, keep)
    cost = f"{refused[right].mean():.1%} of the rows answered right" if right.any() else "no row answered right"
    gain = f" and {refused[~right].mean():.1%} of those answered wrong" if not right.all() else ""
    return f"{said}With --set decision.reject=always (keep {keep:.0%}) validation would lose {cost}{gain}."
