"""From tests to words: which differences count, and what they come to.

With many rows any difference is significant, with few even a large one may be chance. So a difference counts only where
p is below 0.05 after Holm's correction for all tests of a check, and the effect reaches a floor that is stated.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from nlptl.evaluation.significance import ALPHA, Difference, holm, p_text
from nlptl.monitoring.auc import Precision, critical_value, shift_of
from nlptl.monitoring.two_sample import ShiftTest

NO_SIGN = "no sign of drift"
BELOW = "only differences below the floors"
TEXTS, SCORES, ACCURACY = "texts differ", "scores moved", "accuracy fell"
VERDICT_OF = {"classifier": TEXTS, "mmd": TEXTS, "scores": SCORES, "labels": SCORES, "accuracy": ACCURACY}
"""Name of a test -> what it says where its difference counts."""


@dataclass(frozen=True)
class Floors:
    """Effects below which a difference does not count, however small its p."""

    auc: float = 0.6
    """Of new texts against the reference; 0.5 is chance, and 0.6 a shift of 0.36 standard deviations."""
    change: float = 0.1
    """Of the distance between scores, and of the share of changed decisions beyond what chance gives."""
    accuracy: float = 0.02
    """By which the measured accuracy must fall."""

    def reached(self, test: ShiftTest) -> bool:
        """Whether a test's effect is large enough."""
        if test.name in ("classifier", "mmd"):
            return test.effect >= self.auc
        if test.name == "accuracy":
            return -test.effect >= self.accuracy
        return test.effect - (test.by_chance if test.name == "labels" else 0.0) >= self.change


@dataclass(frozen=True)
class Judged:
    """A test beside the others of its check."""

    test: ShiftTest
    p: float
    """After Holm's correction."""
    tests: int
    """How many it was corrected for."""
    large: bool
    """Whether the effect reaches its floor."""

    @property
    def counts(self) -> bool:
        """Whether it is a sign of drift."""
        return self.p < ALPHA and self.large

    @property
    def too_small(self) -> bool:
        """Whether it is no chance, but smaller than what counts; accuracy that rose is no such thing."""
        return self.p < ALPHA and not self.large and not (self.test.name == "accuracy" and self.test.effect > 0)


def judged(tests: Sequence[ShiftTest], floors: Floors) -> list[Judged]:
    """The tests of one check, side by side."""
    corrected = holm([test.p for test in tests])
    return [Judged(test, p, len(tests), floors.reached(test)) for test, p in zip(tests, corrected, strict=True)]


def verdict_of(found: Sequence[Judged]) -> str:
    """What the tests come to, in words."""
    signs = dict.fromkeys(VERDICT_OF[one.test.name] for one in found if one.counts)
    if signs:
        return ", ".join(signs)
    return BELOW if any(one.too_small for one in found) else NO_SIGN


def sentences(
    found: Sequence[Judged], auc: dict[str, Any] | None, low: dict[str, Any], accuracy: dict[str, Any] | None
) -> list[str]:
    """What was found, one sentence each; the last ones say what could not be seen.

    Args:
        found: of `judged`.
        auc: of the classifier, as `auc_facts` gives it.
        low: of the least confident rows, as `nlptl.monitoring.drift.least_confident` gives it.
        accuracy: on new rows beside test rows, where labels are there.
    """
    p = {one.test.name: p_text(one.p) for one in found}
    by_name = {one.test.name: one.test for one in found}
    said = []
    if auc is not None:
        ends = "{:.3f} to {:.3f}".format(*auc["interval"])
        said.append(
            f"A classifier tells new texts from the reference with AUC {auc['auc']:.3f} (95 % interval {ends}; 0.5 is "
            f"chance; {p['classifier']})."
        )
    changed = by_name["labels"]
    said += [
        f"Scores of decided labels lie {by_name['scores'].effect:.3f} apart at most (KS distance; {p['scores']}).",
        f"For labels to be as frequent as in the reference, {changed.effect:.1%} of decisions would have to change; "
        f"chance alone gives {changed.by_chance:.1%} ({p['labels']}).",
        _low_sentence(low),
    ]
    if accuracy is not None:
        said.append(_accuracy_sentence(accuracy, p["accuracy"]))
    if auc is not None and not any(one.counts for one in found):
        said.append(_unseen(auc))
    return [*said, f"Each p is after Holm's correction for the {len(found)} tests of this check."]


def auc_facts(auc: float, null: Any, reference: int, new: int, tests: int, floors: Floors) -> dict[str, Any]:
    """An AUC with its interval, and the smallest one that a check of these rows finds in four of five cases.

    Args:
        auc: as measured.
        null: (P,) with labels permuted.
        reference, new: rows.
        tests: among which p is corrected; the first step of Holm's is alpha / tests.
        floors: of a difference that counts.
    """
    precision = Precision.under(null, reference, new)
    critical = critical_value(null, ALPHA / tests)
    smallest = precision.smallest_seen(max(critical, floors.auc))
    return {
        "auc": auc,
        "interval": list(precision.interval(auc)),
        "smallest_seen": smallest,
        "smallest_shift_seen": shift_of(smallest) if smallest < 1 else None,
        "rows_suffice": critical <= floors.auc,
    }


def _unseen(auc: dict[str, Any]) -> str:
    shift = auc["smallest_shift_seen"]
    if shift is None:
        return "There are too few rows to see any shift: even texts that differ entirely might be missed."
    seen = f"AUC {auc['smallest_seen']:.3f}, d = {shift:.2f} standard deviations"
    if auc["rows_suffice"]:
        return f"The rows suffice: a shift at least as large as {seen}, is found in four of five such checks."
    return (
        f"There are too few rows to see a smaller shift than {seen}: it is missed more than once in five such checks."
    )


def _low_sentence(low: dict[str, Any]) -> str:
    start, end = low["interval"]
    words = f"more low scores than there ({p_text(low['p'])} by itself)" if low["p"] < ALPHA else "not clearly more"
    return (
        f"{low['new']:.1%} of new texts (95 % interval {start:.1%} to {end:.1%}) score below {low['cut']:.3f}, as "
        f"{low['reference']:.1%} of the reference do: {words}."
    )


def _accuracy_sentence(accuracy: dict[str, Any], p: str) -> str:
    gap = Difference.of_rows(accuracy["difference"])
    ends = "" if gap.interval is None else ", 95 % interval {:+.1f} to {:+.1f}".format(*(100 * e for e in gap.interval))
    strange = accuracy["labels_that_the_run_does_not_know"]
    told = ", ".join(f"{name} ({count})" for name, count in strange.items())
    points = f"{100 * gap.mean:+.1f} points{ends} ({p})"
    return (
        f"The most probable label is right in {accuracy['new']:.1%} of {accuracy['rows']} labelled new rows, and in "
        f"{accuracy['test']:.1%} of {accuracy['test_rows']} test rows of the run: {points}."
        + (f" Labels that the run does not know, and cannot have right: {told}." if strange else "")
    )
