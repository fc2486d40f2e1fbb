"""Which scorer a run uses, and where it cuts: fitted on training rows, chosen and cut on halves of validation."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from nlptl.config.run import AUTO
from nlptl.errors import ConfigError
from nlptl.evaluation.decisions.policy import FEWEST_ROWS
from nlptl.evaluation.out_of_scope.measures import auroc, auroc_difference
from nlptl.evaluation.out_of_scope.sampling import halves
from nlptl.evaluation.out_of_scope.scorer import Rows, Scorer
from nlptl.registry import SCORERS

USUAL, USUAL_OF_LOGITS = "combined", "energy"
"""Without out-of-scope rows to choose by, with features and without. Parts that look at a text in different ways make
`combined` good where one of them fails; `energy` is the best of those that read logits alone."""


@dataclass(frozen=True)
class FittedScope:
    """A fitted scorer and its cut-off."""

    scorer: Scorer
    threshold: float
    """The lowest score that is in scope."""
    choice: dict[str, Any] = field(default_factory=dict)
    """What was chosen from, and on how many rows; plain values."""
    note: str | None = None

    @property
    def name(self) -> str:
        """Of the scorer."""
        return self.scorer.name


def fit_scope(asked: str, keep: float, train: Rows, validation: Rows, seed: int) -> FittedScope | None:
    """Fit scorers on training rows; choose one, and cut its scores, on validation.

    With enough out-of-scope rows in validation, the scorer with the highest AUROC on one half is cut on the other half;
    otherwise it would be reported on the rows that chose it. The usual one gives way only to one that is ahead by more
    than a standard error: of a few dozen rows the highest of eight numbers may be chance. Where there are too few to
    choose by, the usual one is taken, and cut on all in-scope rows.

    Args:
        asked: `auto`, or a scorer's name.
        keep: share of in-scope rows that stays in scope.
        train: rows that the model learned from.
        validation: rows that it did not learn from.
        seed: of the halves.

    Returns:
        None: validation has too few in-scope rows to cut on.

    Raises:
        ConfigError: an unknown scorer, or one that cannot be fitted on what there is.
    """
    needed = fewest_in_scope(keep)
    choosing, cutting = (validation.some(half) for half in halves(validation.targets, seed))
    inside = int(cutting.in_scope.sum())
    outside = int((~choosing.in_scope).sum())
    if asked == AUTO and outside >= FEWEST_ROWS and inside >= needed:
        fitted = {name: _fitted(name, train, choosing) for name in SCORERS if SCORERS.get(name).can_fit(train)}
        scores = {name: _scores(scorer, choosing) for name, scorer in fitted.items()}
        found = {name: auroc(each, choosing.in_scope) for name, each in scores.items()}
        best, usual = max(found, key=lambda name: found[name]), _usual(train)
        ahead, error = auroc_difference(scores[best], scores[usual], choosing.in_scope)
        best = best if ahead > error else usual
        rows = {"in_scope": int(choosing.in_scope.sum()), "out_of_scope": outside}
        choice = {"auroc": {name: round(value, 4) for name, value in found.items()}, "chosen_on": rows}
        return _cut(fitted[best], cutting, keep, choice, None)
    if int(validation.in_scope.sum()) < needed:
        return None
    name, note = asked, None
    if asked == AUTO:
        name = _usual(train)
        note = (
            f"The scorer {name} was not chosen on this data: validation has {int((~validation.in_scope).sum())} of the "
            f"{2 * FEWEST_ROWS} out-of-scope rows that choosing one needs."
        )
    return _cut(_fitted(name, train, validation), validation, keep, {}, note)


def cut_again(
    scorer: Scorer, scope: np.ndarray, keep: float, validation: Rows, seed: int, choice: dict[str, Any]
) -> FittedScope | None:
    """Another cut-off for a scorer that was fitted before, on the rows that its first one was fitted on.

    Args:
        scorer: fitted.
        scope: (N,) its scores of validation.
        keep: share of in-scope rows that stays in scope.
        validation: the same rows; their features are not needed.
        seed: of the halves.
        choice: what was noted when it was chosen.

    Returns:
        None: validation has too few in-scope rows to cut on.
    """
    rows = halves(validation.targets, seed)[1] if "chosen_on" in choice else np.arange(len(scope))
    inside = rows[validation.in_scope[rows]]
    if len(inside) < fewest_in_scope(keep):
        return None
    return FittedScope(scorer, cut_off(scope[inside], keep), {**choice, "cut_on": {"in_scope": len(inside)}})


def check_fit(name: str, train: Rows) -> None:
    """Refuse a scorer that cannot be fitted on training rows.

    Args:
        name: of the scorer.
        train: features and logits need not be computed yet, only be there where they will.

    Raises:
        ConfigError: what it lacks, and which scorers there are.
    """
    kind: type[Scorer] = SCORERS.get(name)
    if kind.can_fit(train):
        return
    lacking = (
        "rows labelled out of scope to learn from"
        if train.features is not None or not kind.needs_features
        else "features, which an encoder gives; after training.refit those of validation rows are learned from too"
    )
    possible = ", ".join(other for other in SCORERS if SCORERS.get(other).can_fit(train))
    raise ConfigError(f"decision.scorer={name} needs {lacking}. Possible here: auto, {possible}.")


def fewest_in_scope(keep: float) -> int:
    """In-scope rows that a cut-off needs: as many as it takes for one to fall below it."""
    return max(FEWEST_ROWS, math.ceil(1 / (1 - keep) - 1e-9))


def cut_off(scores: np.ndarray, keep: float) -> float:
    """The score below which exactly the lowest 1 - keep share falls; interpolation would drop more of a small split.

    Args:
        scores: (N,) of in-scope rows, at least one.
        keep: share that stays.
    """
    return float(np.sort(scores)[min(int((1 - keep) * len(scores) + 1e-9), len(scores) - 1)])


def _usual(train: Rows) -> str:
    return USUAL if SCORERS.get(USUAL).can_fit(train) else USUAL_OF_LOGITS


def _fitted(name: str, train: Rows, validation: Rows) -> Scorer:
    """A scorer fitted on training rows, its scale adjusted on in-scope rows of validation."""
    check_fit(name, train)
    kind: type[Scorer] = SCORERS.get(name)
    return kind.fit(train).adjusted(validation.some(np.flatnonzero(validation.in_scope)))


def _scores(scorer: Scorer, rows: Rows) -> np.ndarray:
    return scorer.scores(rows.features, rows.logits)


def _cut(scorer: Scorer, rows: Rows, keep: float, choice: dict[str, Any], note: str | None) -> FittedScope:
    inside = rows.some(np.flatnonzero(rows.in_scope))
    cut = cut_off(_scores(scorer, inside), keep)
    facts = {**choice, "cut_on": {"in_scope": len(inside.targets)}, **scorer.facts()}
    return FittedScope(scorer, cut, facts, note)
