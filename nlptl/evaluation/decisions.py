"""From probabilities to a label: a policy fitted on validation, saved with the run, applied wherever it predicts."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from sklearn.metrics import precision_recall_curve

from nlptl.errors import ArtifactError
from nlptl.registry import POLICIES
from nlptl.tasks import TaskSpec


@dataclass(frozen=True)
class Decision:
    """A fitted policy.

    policy `argmax`: the label with the highest probability (every label with at least 0.5 for multi_label).
    policy `threshold`: the positive label where its probability reaches the threshold, else the best other one (every
    label that reaches it for multi_label).
    policy `out_of_scope`: the best label, or `label` where that is best anyway or no other reaches the threshold.
    """

    policy: str = "argmax"
    threshold: float | None = None
    label: str | None = None

    def apply(self, probabilities: np.ndarray, labels: list[str]) -> tuple[list[Any], np.ndarray]:
        """Decide every row.

        Args:
            probabilities: (N, C).
            labels: C names in id order.

        Returns:
            N label names (lists of names for multi_label thresholds) and (N,) the probability behind each decision:
            that of the label chosen; for a row sent out of scope, that of its best label.
        """
        if self.policy == "multi_label":
            chosen = probabilities >= (0.5 if self.threshold is None else self.threshold)
            names = [[labels[i] for i in np.flatnonzero(row)] for row in chosen]
            return names, probabilities.max(1, initial=0.0)
        best = probabilities.argmax(1) if len(probabilities) else np.zeros(0, np.int64)
        if self.policy == "threshold":
            positive = labels.index(str(self.label))
            others = probabilities.copy()
            others[:, positive] = -1.0
            best = np.where(probabilities[:, positive] >= self._cut, positive, others.argmax(1))
        score = probabilities[np.arange(len(best)), best]
        decided = [labels[i] for i in best]
        if self.policy == "out_of_scope":
            decided = [name if p >= self._cut else str(self.label) for name, p in zip(decided, score, strict=True)]
        return decided, score

    @property
    def _cut(self) -> float:
        return 0.0 if self.threshold is None else self.threshold

    def to_json(self) -> dict[str, Any]:
        """Plain values for `decision.json`."""
        return asdict(self)

    @staticmethod
    def from_json(values: dict[str, Any]) -> Decision:
        """What `to_json` gave.

        Raises:
            ArtifactError: not a decision.
        """
        try:
            decision = Decision(**values)
            valid = decision.threshold is None or math.isfinite(float(decision.threshold))
        except (TypeError, ValueError) as error:
            raise ArtifactError(f"decision.json is damaged: {error}") from error
        if not valid or decision.policy not in (*POLICIES.names(), "multi_label"):
            raise ArtifactError(f"decision.json holds no known policy: {values}")
        return decision


Fit = Callable[[TaskSpec, np.ndarray, np.ndarray], Decision]


def fit_decision(task: TaskSpec, probabilities: np.ndarray, targets: np.ndarray) -> Decision:
    """Fit the task's policy on validation.

    Args:
        task: labels and policy.
        probabilities: (N, C) of validation rows.
        targets: (N,) ids, or (N, C) 0/1.
    """
    fit: Fit = POLICIES.get(task.decision.policy)
    return fit(task, probabilities, targets)


def fit_argmax(task: TaskSpec, probabilities: np.ndarray, targets: np.ndarray) -> Decision:
    return Decision("multi_label", 0.5) if targets.ndim == 2 else Decision("argmax")


def fit_threshold(task: TaskSpec, probabilities: np.ndarray, targets: np.ndarray) -> Decision:
    """The threshold with the best F1 of the positive label (over all labels together for multi_label)."""
    if targets.ndim == 2:
        return Decision("multi_label", _best_f1_threshold(probabilities.ravel(), targets.ravel() > 0))
    positive = task.label_list().index(str(task.positive_label))
    threshold = _best_f1_threshold(probabilities[:, positive], targets == positive)
    return Decision("threshold", threshold, task.positive_label)


def fit_out_of_scope(task: TaskSpec, probabilities: np.ndarray, targets: np.ndarray) -> Decision:
    """The cut-off on the top in-scope score that keeps the asked-for share of in-scope validation rows."""
    labels = task.label_list()
    outside = labels.index(str(task.decision.label)) if task.decision.label in labels else None
    in_scope = probabilities if outside is None else probabilities[targets != outside]
    if outside is not None:
        in_scope = np.delete(in_scope, outside, axis=1)
    tops = np.sort(in_scope.max(1)) if len(in_scope) else np.zeros(1)
    # Exactly the lowest (1 - keep) share falls below; interpolation would drop more of a small split.
    cut = tops[min(int((1 - task.decision.keep) * len(tops) + 1e-9), len(tops) - 1)]
    return Decision("out_of_scope", float(cut), task.decision.label)


def _best_f1_threshold(scores: np.ndarray, wanted: np.ndarray) -> float:
    if not wanted.any() or wanted.all():
        return 0.5
    precision, recall, thresholds = precision_recall_curve(wanted, scores)
    f1 = 2 * precision * recall / np.maximum(precision + recall, 1e-12)
    best = int(f1[:-1].argmax())
    # Halfway to the next lower score: the next rows will not repeat the scores of these.
    below = thresholds[best - 1] if best else 0.0
    return float((thresholds[best] + below) / 2)
