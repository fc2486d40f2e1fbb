"""Thresholds that keep a promise on new rows, with a stated confidence: precision, recall, or a number of alerts.

The first threshold that keeps a promise on validation breaks it on new rows about every other time: it was chosen for
what these rows happen to show. So each threshold is tested with an exact binomial test (Clopper & Pearson 1934), and
those that are tried follow one another in an order that does not look at labels, so that the first one that fails ends
the search and p needs no correction (fixed-sequence testing; learn then test, Angelopoulos et al. 2021).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from nlptl.evaluation.decisions.argmax import EveryLabel
from nlptl.evaluation.decisions.policy import NEVER
from nlptl.evaluation.decisions.threshold import HALF, Cut, Threshold, enough_rows
from nlptl.tasks import DecisionSpec, TaskSpec

if TYPE_CHECKING:
    import numpy as np

FAULTS = (0, 3)
"""A search begins at the fewest rows that may hold so many mistakes: the first finds a share that holds from the first
row on, the second one that early mistakes hide. They share the risk evenly."""


class _Promise(Threshold):
    """A threshold that keeps what was asked for."""

    needs: ClassVar[str]
    """The setting without which there is nothing to keep."""

    @classmethod
    def faults(cls, task: TaskSpec) -> Iterator[str]:
        yield from super().faults(task)
        if getattr(task.decision, cls.needs) is None:
            yield f"decision.policy {cls.policy} needs decision.{cls.needs}"

    @classmethod
    def of_several(cls, task: TaskSpec, probabilities: np.ndarray, wanted: np.ndarray) -> EveryLabel:
        labels, own, notes, few = task.label_list(), {}, [], []
        for i, enough in enumerate(enough_rows(wanted)):
            if not enough:
                few.append(repr(labels[i]))
                continue
            found = cls.cut(task.decision, labels[i], probabilities[:, i], wanted[:, i])
            own[labels[i]] = found.threshold
            notes += [found.note] if found.note else []
        if few:
            notes.append(f"Decided by {HALF}, for too few rows with the label or without it: {', '.join(few)}.")
        return EveryLabel(threshold=HALF, thresholds=own, note=" ".join(notes) or None)


@dataclass(frozen=True, kw_only=True)
class PrecisionFloor(_Promise):
    """The positive label from the lowest threshold on that keeps its precision at `decision.floor` or above.

    With the probability `decision.confidence`, the precision on rows like those of validation is at least the floor.
    Where no threshold can promise that, no text gets the label, and a note says how many rows it would take.
    """

    policy: ClassVar[str] = "precision"
    reads: ClassVar[frozenset[str]] = frozenset({"floor", "confidence"})
    needs: ClassVar[str] = "floor"

    @classmethod
    def cut(cls, settings: DecisionSpec, label: str, scores: np.ndarray, wanted: np.ndarray) -> Cut:
        floor, confidence = float(settings.floor or 0.0), settings.confidence
        found = lowest_cut(scores, wanted, floor, confidence)
        if found is not None:
            return Cut(found)
        rows = _starts(floor, confidence, int(wanted.sum()))[0]
        return Cut(
            NEVER,
            f"No threshold reaches a precision of {floor:g} for {label!r} with {confidence:.0%} confidence on the "
            f"{len(wanted)} validation rows, {int(wanted.sum())} of them {label!r}: no text is called {label!r}. It "
            f"takes at least {rows} rows above a threshold without a mistake. Give more validation rows, or ask for a "
            "lower floor or less confidence.",
        )

    def measures(self, wanted: list[Any], decided: list[Any]) -> dict[str, Any]:
        """Precision and recall of the label with exact 95 % intervals."""
        return _precision_and_recall(self.label, wanted, decided)


@dataclass(frozen=True, kw_only=True)
class RecallFloor(_Promise):
    """The positive label from the highest threshold on that keeps its recall at `decision.floor` or above.

    With the probability `decision.confidence`, the recall on rows like those of validation is at least the floor. With
    too few rows of the label to promise it, the threshold is 0.5, and a note says how many it would take.
    """

    policy: ClassVar[str] = "recall"
    reads: ClassVar[frozenset[str]] = frozenset({"floor", "confidence"})
    needs: ClassVar[str] = "floor"

    @classmethod
    def cut(cls, settings: DecisionSpec, label: str, scores: np.ndarray, wanted: np.ndarray) -> Cut:
        import numpy as np
        from scipy.stats import binom

        floor, risk = float(settings.floor or 0.0), 1 - settings.confidence
        found = np.sort(scores[wanted])
        # So many of the label's rows may lie below: the more, the higher the threshold, and the less sure the floor.
        may_miss = np.flatnonzero(binom.sf(len(found) - np.arange(len(found)) - 1, len(found), floor) <= risk)
        if not len(may_miss):
            return Cut(
                HALF,
                f"The threshold for {label!r} stays at {HALF}: to keep its recall at {floor:g} with "
                f"{settings.confidence:.0%} confidence, validation needs {_rows_for(floor, risk, 0)} rows with the "
                f"label; it has {len(found)}.",
            )
        return Cut(_just_below(scores, float(found[may_miss[-1]])))

    def measures(self, wanted: list[Any], decided: list[Any]) -> dict[str, Any]:
        """Precision and recall of the label with exact 95 % intervals."""
        return _precision_and_recall(self.label, wanted, decided)


@dataclass(frozen=True, kw_only=True)
class AlertBudget(_Promise):
    """The positive label for at most `decision.alerts_per_thousand` texts of a thousand: those that score highest.

    With the probability `decision.confidence`, so many of a thousand texts like those of validation are not exceeded in
    the long run. Where validation has too few rows to promise it, no text gets the label, and a note says so.
    """

    policy: ClassVar[str] = "alerts"
    reads: ClassVar[frozenset[str]] = frozenset({"alerts_per_thousand", "confidence"})
    needs: ClassVar[str] = "alerts_per_thousand"

    @classmethod
    def cut(cls, settings: DecisionSpec, label: str, scores: np.ndarray, wanted: np.ndarray) -> Cut:
        import numpy as np
        from scipy.stats import binom

        share, risk, rows = float(settings.alerts_per_thousand or 0.0) / 1000, 1 - settings.confidence, len(scores)
        allowed = np.flatnonzero(binom.cdf(np.arange(rows), rows, share) <= risk)
        ordered = np.sort(scores)[::-1]
        # Rows of one score are alerted together; the next lower score is the first that is not.
        most = next((int(k) for k in allowed[::-1] if k and ordered[k - 1] > ordered[k]), 0)
        if most:
            return Cut(float((ordered[most - 1] + ordered[most]) / 2))
        return Cut(
            NEVER,
            f"With {rows} validation rows no threshold promises at most {settings.alerts_per_thousand:g} alerts of "
            f"{label!r} per thousand texts with {settings.confidence:.0%} confidence: no text is called {label!r}. It "
            f"takes {_rows_for(1 - share, risk, 1)} rows, or a larger budget.",
        )

    def measures(self, wanted: list[Any], decided: list[Any]) -> dict[str, Any]:
        """Alerts per thousand texts with an exact 95 % interval; precision and recall of the label with theirs."""
        share = proportion(sum(name == self.label for name in decided), len(decided))
        alerts = {"alerts_per_thousand": None if share["value"] is None else 1000 * share["value"]}
        alerts["alerts_interval"] = share["interval"] and [1000 * bound for bound in share["interval"]]
        return {**alerts, **_precision_and_recall(self.label, wanted, decided)}


def lowest_cut(scores: np.ndarray, right: np.ndarray, floor: float, confidence: float) -> float | None:
    """The lowest threshold above which the share of right rows is at least the floor, with the confidence.

    Args:
        scores: (N,).
        right: (N,) bool.
        floor: of the share.
        confidence: that it is kept, over draws of the rows.

    Returns:
        None where no threshold can promise it.
    """
    import numpy as np
    from scipy.stats import binom

    starts = _starts(floor, confidence, int(right.sum()))
    order = np.argsort(-scores, kind="stable")
    ordered, hits = scores[order], np.cumsum(right[order])
    ends = np.append(np.flatnonzero(np.diff(ordered)), len(ordered) - 1) + 1  # rows of one score stand together
    sure = binom.sf(hits[ends - 1] - 1, ends, floor) <= (1 - confidence) / len(starts)
    most = 0
    for rows in starts:
        first = int(np.searchsorted(ends, rows))
        passed = len(ends) - first if sure[first:].all() else int(sure[first:].argmin())
        most = max(most, int(ends[first + passed - 1])) if passed else most
    return _just_below(scores, float(ordered[most - 1])) if most else None


def _starts(floor: float, confidence: float, hits: int) -> list[int]:
    """The numbers of rows at which searches begin; one that so many hits could never fill is left out."""
    for count in range(len(FAULTS), 1, -1):
        starts = [_rows_for(floor, (1 - confidence) / count, faults) for faults in FAULTS[:count]]
        if starts[-1] * floor <= hits:
            return starts
    return [_rows_for(floor, 1 - confidence, FAULTS[0])]


def proportion(hits: int, rows: int) -> dict[str, Any]:
    """A share with its exact 95 % interval (Clopper & Pearson 1934); None for both without rows."""
    from scipy.stats import binomtest

    if not rows:
        return {"value": None, "interval": None}
    return {"value": hits / rows, "interval": list(binomtest(hits, rows).proportion_ci(method="exact"))}


def _precision_and_recall(label: str | None, wanted: list[Any], decided: list[Any]) -> dict[str, Any]:
    hits = sum(w == d == label for w, d in zip(wanted, decided, strict=True))
    found: dict[str, Any] = {}
    for name, among in (("precision", decided), ("recall", wanted)):
        share = proportion(hits, sum(each == label for each in among))
        found |= {name: share["value"], f"{name}_interval": share["interval"]}
    return found


def _rows_for(floor: float, risk: float, faults: int) -> int:
    """The fewest rows, with so many mistakes among them, that show a share of at least the floor."""
    from scipy.stats import binom

    low, high = faults + 1, faults + 2
    while binom.sf(high - faults - 1, high, floor) > risk:
        low, high = high, 2 * high
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if binom.sf(middle - faults - 1, middle, floor) <= risk else (middle + 1, high)
    return low


def _just_below(scores: np.ndarray, score: float) -> float:
    """Halfway from a score to the next lower one: new rows will not repeat these scores."""
    lower = scores[scores < score]
    return float((score + (lower.max() if len(lower) else 0.0)) / 2)
