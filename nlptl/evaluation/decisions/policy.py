"""What every decision policy is."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any, ClassVar, Self

from nlptl.errors import ArtifactError
from nlptl.tasks import TaskSpec

if TYPE_CHECKING:
    import numpy as np

NEVER = 2.0
"""A threshold that no probability reaches: what was asked for cannot be had, and no text gets the label."""
OWN = ("floor", "confidence", "alerts_per_thousand", "costs", "coverage", "sets")
"""Settings of a task's `decision` that few policies read; a task that gives one to another policy is refused."""
FEWEST_ROWS = 10
"""Of each side of a cut-off: with fewer, where the cut-off falls is an accident of single rows."""


@dataclass(frozen=True, kw_only=True)
class Decision(ABC):
    """A fitted decision policy. A policy is a subclass; an outside one may have further fields of plain values.

    Shapes: N rows, C labels.
    """

    policy: ClassVar[str]
    """The name under which the class is registered."""
    reads: ClassVar[frozenset[str]] = frozenset()
    """The settings `decision.*` that it reads, besides `policy`, `calibration` and `settings`."""
    gives_sets: ClassVar[bool] = False
    """Whether it answers with a list of labels where one label is true."""

    threshold: float | None = None
    """The probability that the policy compares with, where it has one."""
    label: str | None = None
    """The label that the policy treats apart, where it has one."""
    note: str | None = None
    """What a reader must know of the fit: why a default was kept, or what validation could not show."""

    @classmethod
    def faults(cls, task: TaskSpec) -> Iterator[str]:
        """What keeps a task from using this policy, one sentence each; asked when the task is read.

        Args:
            task: not checked yet; its `decision` holds the settings.
        """
        if task.decision.settings:
            yield f"decision.settings: the policy {cls.policy} takes none"
        for name in task.decision.given().keys() & {*OWN} - cls.reads:
            yield f"decision.{name}: the policy {cls.policy} does not read it"

    @classmethod
    @abstractmethod
    def fit(cls, task: TaskSpec, probabilities: np.ndarray, targets: np.ndarray) -> Decision:
        """Fit on validation.

        Args:
            task: labels and settings.
            probabilities: (N, C) float32.
            targets: (N,) label ids, or (N, C) 0/1 for several labels at once.
        """

    @abstractmethod
    def apply(self, probabilities: np.ndarray, labels: list[str]) -> tuple[list[Any], np.ndarray]:
        """Decide every row.

        Args:
            probabilities: (N, C) float32.
            labels: C names in id order.

        Returns:
            N label names (lists of names for several labels at once and for sets), and (N,) the probability behind each
            decision: that of the label chosen; for a set, or a label that the policy made up, that of the most probable
            label.
        """

    def measures(self, wanted: list[Any], decided: list[Any]) -> dict[str, Any]:
        """Further numbers for `metrics.json`, of this policy alone.

        Args:
            wanted: N gold labels.
            decided: N labels as `apply` gave them.
        """
        return {}

    def to_json(self) -> dict[str, Any]:
        """Plain values for `decision.json`."""
        values = {"policy": self.policy, **asdict(self)}
        return values if self.note is not None else {k: v for k, v in values.items() if k != "note"}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Self:
        """What `to_json` gave.

        Raises:
            ArtifactError: a field is unknown or of another type.
        """
        own = {name: value for name, value in values.items() if name != "policy"}
        strange = sorted(own.keys() - {field.name for field in fields(cls)})
        if strange:
            raise ArtifactError(f"decision.json is damaged: the policy {cls.policy} has no {', '.join(strange)}.")
        for name in ("label", "note"):
            if not isinstance(own.get(name), str | None):
                raise ArtifactError(f"decision.json is damaged: {name} is {own[name]!r}, not a text.")
        threshold = own.get("threshold")
        number = isinstance(threshold, int | float) and not isinstance(threshold, bool)
        if threshold is not None and not (number and math.isfinite(threshold)):
            raise ArtifactError(f"decision.json is damaged: threshold is {threshold!r}, not a number.")
        try:
            return cls(**own)
        except (TypeError, ValueError) as error:  # of an outside policy's own fields
            raise ArtifactError(f"decision.json is damaged: {error}") from error
