"""Does an export answer as its run does? Compared on the run's own test rows, and refused where it does not.

Accuracy alone is blind: as many answers may become right as become wrong. So answers are compared one by one, after
calibration and decision, and label by label.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from nlptl.evaluation.decisions import decide
from nlptl.runs.answers import SplitAnswers
from nlptl.runs.artifact import Head


@dataclass(frozen=True, kw_only=True)
class Budget:
    """How far an export may be from its run."""

    flips: float
    """Share of test rows whose most probable label, or decided label, is another."""
    worst_label: float
    """Recall that the label which loses most may lose; a single row is no loss."""
    accuracy: float
    """That may be lost."""
    probability: float
    """The largest change of any probability, after calibration."""


EXACT = Budget(flips=0.0, worst_label=0.0, accuracy=0.0, probability=1e-3)
"""Of float32: rounding alone."""
INT8 = Budget(flips=0.01, worst_label=0.025, accuracy=0.003, probability=0.3)
ROUNDING = 1e-3
"""A row none of whose probabilities changes by more is not counted, whatever it is answered: it lies at a cut."""


@dataclass(frozen=True)
class Comparison:
    """An export beside its run, on the same rows."""

    rows: int
    flips: float
    decided_flips: float
    worst_label: str | None
    worst_label_loss: float
    accuracy_loss: float
    probability: float
    faults: list[str]
    """What is beyond the budget, in words; empty where the export may be used."""

    def noted(self) -> dict[str, Any]:
        """What `gate.json` keeps."""
        return asdict(self)


def compare(head: Head, expected: SplitAnswers, found: SplitAnswers, budget: Budget) -> Comparison:
    """Compare what an export answers with what its run answers.

    Args:
        head: labels, calibration and decision.
        expected: of the run, on its test rows.
        found: of the export, on the same rows.
        budget: that decides what is a fault.
    """
    targets = expected.targets
    several, labels = targets.ndim == 2, head.task.label_list()
    before, after = (head.calibration.probabilities(each.logits, several) for each in (expected, found))
    changes = np.abs(before - after).max(1, initial=0.0)
    moved = changes > ROUNDING
    given = targets > 0.5 if several else np.eye(len(labels), dtype=bool)[targets]
    first, second = ((each >= 0.5) if several else each == each.max(1, keepdims=True) for each in (before, after))
    second = np.where(moved[:, None], second, first)
    decided = [
        np.array(list(map(str, decide(head.decision, probabilities, labels, each.scope)[0])))
        for probabilities, each in ((before, expected), (after, found))
    ]
    there = np.flatnonzero(given.any(0))
    lost = np.array([(first[given[:, i], i].mean() - second[given[:, i], i].mean()) for i in there])
    worst = int(there[lost.argmax()]) if len(there) else None
    right = [(each == given).all(1) for each in (first, second)]
    result = Comparison(
        rows=len(targets),
        flips=_share((first != second).any(1)),
        decided_flips=_share((decided[0] != decided[1]) & moved),
        worst_label=None if worst is None else labels[worst],
        worst_label_loss=float(lost.max(initial=0.0)),
        accuracy_loss=_share(right[0]) - _share(right[1]),
        probability=float(changes.max(initial=0.0)),
        faults=[],
    )
    return replace(result, faults=_faults(result, budget, 0 if worst is None else int(given[:, worst].sum())))


def _share(rows: np.ndarray) -> float:
    return float(rows.mean()) if len(rows) else 0.0


def _faults(found: Comparison, budget: Budget, rows: int) -> list[str]:
    """What is beyond the budget; `rows` are those of the label that loses most."""
    said = []
    for what, share in (("most probable label", found.flips), ("decision", found.decided_flips)):
        if share > budget.flips:
            said.append(f"{share:.2%} of the test rows get another {what} (allowed: {budget.flips:.2%})")
    loss = found.worst_label_loss
    if loss > budget.worst_label and round(loss * rows) > 1:
        said.append(
            f"{found.worst_label!r} loses {100 * loss:.1f} points of recall (allowed: {100 * budget.worst_label:.1f})"
        )
    if found.accuracy_loss > budget.accuracy:
        lost = 100 * found.accuracy_loss
        said.append(f"accuracy falls by {lost:.2f} points (allowed: {100 * budget.accuracy:.2f})")
    if found.probability > budget.probability:
        said.append(f"a probability changes by {found.probability:.3f} (allowed: {budget.probability:g})")
    return said
