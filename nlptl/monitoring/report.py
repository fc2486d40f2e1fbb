"""What a check found: the verdict, what it rests on, and which texts look least familiar."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from nlptl.monitoring.verdict import BELOW, NO_SIGN, Floors, Judged


@dataclass(frozen=True)
class DriftReport:
    """New texts beside the held-out rows of a run."""

    run: str
    """The run folder."""
    task: str
    reference: dict[str, Any]
    """origin, rows, and how many of them were compared."""
    new: dict[str, Any]
    """likewise"""
    features: str
    """What the tests on texts looked at."""
    tests: list[Judged]
    """classifier and mmd (where the run has features), scores, labels, and accuracy where labels were given."""
    verdict: str
    """`no sign of drift`, `only differences below the floors`, or what moved: `texts differ`, `scores moved`, `accuracy
    fell`, with commas between."""
    sentences: list[str]
    """What was found, in words."""
    auc: dict[str, Any] | None
    """Of the classifier: auc, interval, and the smallest AUC and shift that these rows show; None without features."""
    least_confident: dict[str, Any]
    """cut, and the shares of the reference and of new texts that score below it."""
    labels: list[dict[str, Any]]
    """Share of each decided label on either side, the largest change first."""
    accuracy: dict[str, Any] | None
    """Measured on labelled new rows beside test rows; None where no labels were read."""
    facts: list[dict[str, Any]]
    """Length, other scripts, unknown words, repeats."""
    furthest: list[dict[str, Any]]
    """The new texts that look least like the reference: row (from 1), distance (standard deviations), decision."""
    notes: list[str]
    """What must be known of the rows."""
    settings: dict[str, Any]
    """rows, permutations, seed, alpha"""
    floors: Floors
    """Effects below which no difference counts."""
    scores: tuple[np.ndarray, np.ndarray] = field(repr=False)
    """(rows,) of the reference and of new texts, for a plot."""
    projection: tuple[np.ndarray, np.ndarray] | None = field(repr=False)
    """(rows, 2) of each, for a plot; None without features."""

    @property
    def drifted(self) -> bool:
        """Whether something moved by more than chance and the floors explain."""
        return self.verdict not in (NO_SIGN, BELOW)

    def to_json(self) -> dict[str, Any]:
        """Everything but the arrays, as plain values."""
        left_out = ("tests", "floors", "scores", "projection")
        plain = {name: value for name, value in vars(self).items() if name not in left_out}
        tests = [
            {**asdict(one.test), "p_corrected": one.p, "large": one.large, "counts": one.counts} for one in self.tests
        ]
        return {
            "verdict": self.verdict,
            "drifted": self.drifted,
            **plain,
            "tests": tests,
            "floors": asdict(self.floors),
        }
