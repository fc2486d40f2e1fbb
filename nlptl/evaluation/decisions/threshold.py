"""The positive label from a fitted probability on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from nlptl.evaluation.decisions.argmax import EveryLabel
from nlptl.evaluation.decisions.policy import FEWEST_ROWS, Decision
from nlptl.tasks import DecisionSpec, TaskSpec

if TYPE_CHECKING:
    import numpy as np

HALF = 0.5


class Cut(NamedTuple):
    """A fitted threshold."""

    threshold: float
    note: str | None = None
    """What a reader must know of it."""


@dataclass(frozen=True, kw_only=True)
class Threshold(Decision):
    """The positive label where its probability reaches the threshold, else the most probable of the others.

    The threshold is the one with the best F1 of the positive label on validation. It stays at 0.5 where validation has
    fewer than `FEWEST_ROWS` rows with the label or without it: fitted on so few it is an accident.

    For several labels at once: every label that reaches its own threshold, the one with its best F1. A label with fewer
    than `FEWEST_ROWS` rows on either side has the common threshold, the one with the best F1 of all label decisions
    together; where even these are too few, 0.5.
    """

    policy: ClassVar[str] = "threshold"

    @classmethod
    def faults(cls, task: TaskSpec) -> Iterator[str]:
        yield from super().faults(task)
        if task.kind == "single_label" and task.positive_label is None:
            yield f"decision.policy {cls.policy} needs positive_label"

    @classmethod
    def fit(cls, task: TaskSpec, probabilities: np.ndarray, targets: np.ndarray) -> Decision:
        labels = task.label_list()
        if targets.ndim == 2:
            return cls.of_several(task, probabilities, targets > 0)
        positive = labels.index(str(task.positive_label))
        wanted = targets == positive
        lacking = _lacking(wanted, f"rows with {task.positive_label!r}", f"rows without {task.positive_label!r}")
        if lacking:
            return cls(threshold=HALF, label=task.positive_label, note=lacking)
        found = cls.cut(task.decision, str(task.positive_label), probabilities[:, positive], wanted)
        return cls(threshold=found.threshold, label=task.positive_label, note=found.note)

    @classmethod
    def cut(cls, settings: DecisionSpec, label: str, scores: np.ndarray, wanted: np.ndarray) -> Cut:
        """The threshold of one label.

        Args:
            settings: of the policy.
            label: its name.
            scores: (N,) probabilities of it.
            wanted: (N,) bool; at least `FEWEST_ROWS` of either value.
        """
        return Cut(best_f1_threshold(scores, wanted))

    @classmethod
    def of_several(cls, task: TaskSpec, probabilities: np.ndarray, wanted: np.ndarray) -> EveryLabel:
        """Thresholds of several labels at once, from probabilities and wanted labels (N, C)."""
        return _of_several(task.label_list(), probabilities, wanted)

    def apply(self, probabilities: np.ndarray, labels: list[str]) -> tuple[list[Any], np.ndarray]:
        import numpy as np

        positive = labels.index(str(self.label))
        others = probabilities.copy()
        others[:, positive] = -1.0
        cut = 0.0 if self.threshold is None else self.threshold
        best = others.argmax(1) if len(others) else np.zeros(0, np.int64)
        best = np.where(probabilities[:, positive] >= cut, positive, best)
        return [labels[i] for i in best], probabilities[np.arange(len(best)), best]


def _of_several(labels: list[str], probabilities: np.ndarray, wanted: np.ndarray) -> EveryLabel:
    """A threshold for each label with enough rows, and a common one for the others, from all that validation has."""
    import numpy as np

    seen = np.asarray(wanted.any(0))
    pooled, scores = wanted[:, seen].ravel(), probabilities[:, seen].ravel()
    lacking = _lacking(pooled, "labels given to rows", "labels not given to rows")
    if lacking:
        return EveryLabel(threshold=HALF, note=lacking)
    common = best_f1_threshold(scores, pooled)
    enough = np.flatnonzero(enough_rows(wanted))
    own = {labels[i]: best_f1_threshold(probabilities[:, i], wanted[:, i]) for i in enough}
    few = [label for label in labels if label not in own]
    named = ", ".join(map(repr, few[:10])) + (f" and {len(few) - 10} more" if len(few) > 10 else "")
    note = (
        f"{named}: decided by the common threshold {common:.2f}, since validation has fewer than the {FEWEST_ROWS} "
        "rows with the label, or without it, that fitting one of its own needs."
        if few
        else None
    )
    return EveryLabel(threshold=common, thresholds=own, note=note)


def _lacking(wanted: np.ndarray, with_it: str, without_it: str) -> str | None:
    """Why no threshold can be fitted; None where it can.

    Args:
        wanted: (N,) bool.
        with_it: what the true ones are, in the plural.
        without_it: what the others are.
    """
    positives = int(wanted.sum())
    negatives = len(wanted) - positives
    if min(positives, negatives) >= FEWEST_ROWS:
        return None
    few, rows = (positives, with_it) if positives < FEWEST_ROWS else (negatives, without_it)
    return (
        f"The decision threshold stays at {HALF}: validation has {few} of the {FEWEST_ROWS} {rows} that fitting it "
        "needs. Give more validation rows (data.validation, data.validation_fraction)."
    )


def best_f1_threshold(scores: np.ndarray, wanted: np.ndarray) -> float:
    """The threshold with the best F1.

    Args:
        scores: (N,) between 0 and 1.
        wanted: (N,) bool; both values occur.
    """
    import numpy as np
    from sklearn.metrics import precision_recall_curve  # takes a second, which predicting does not need to wait

    precision, recall, thresholds = precision_recall_curve(wanted, scores)
    f1 = 2 * precision * recall / np.maximum(precision + recall, 1e-12)
    best = int(f1[:-1].argmax())
    # Halfway to the next lower score: the next rows will not repeat the scores of these.
    below = thresholds[best - 1] if best else 0.0
    return float((thresholds[best] + below) / 2)


def enough_rows(wanted: np.ndarray) -> np.ndarray:
    """(C,) bool of (N, C) wanted labels: which have enough rows for a threshold of their own, with them and without."""
    import numpy as np

    positives = wanted.sum(0)
    return np.asarray(np.minimum(positives, len(wanted) - positives) >= FEWEST_ROWS)
