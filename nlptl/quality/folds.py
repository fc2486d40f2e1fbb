"""Probabilities of every row from a model that has not seen it, nor a near-duplicate of it.

A model repeats the wrong labels that it was fitted on, so its answers on its own rows hide them; and where a text and
its near-duplicate carry the same wrong label, one vouches for the other. So the rows are cut into folds, whole groups
of near-duplicates each, and each fold is answered by a model of the other folds.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from nlptl.errors import DataError
from nlptl.models.linear_probe import fit_probe

log = logging.getLogger("nlptl")
FOLDS = 5
TRIES = 20
"""Draws of folds until every label is in every fold."""


@dataclass(frozen=True)
class Folds:
    """Which rows are checked, and by the model of which folds."""

    checked: np.ndarray
    """(M,) rows whose labels have enough texts."""
    targets: np.ndarray
    """(M,) ids of the checked labels."""
    groups: np.ndarray
    """(M,) groups of near-duplicates."""
    fold: np.ndarray
    """(M,) 0 to `FOLDS` - 1."""
    labels: list[int]
    """Label ids that are checked, ascending; `targets` are places in this list."""
    rare: dict[int, int]
    """Label id -> its different texts, of labels with too few of them to be checked."""

    def split(self, number: int, kept: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Rows to learn from and rows to answer for one fold, as places among the checked rows.

        Args:
            number: of the fold.
            kept: (M,) bool, the rows that may be learned from; None: all of them.

        Raises:
            RuntimeError: a row, or a near-duplicate of it, would be on both sides.
        """
        held_out = np.flatnonzero(self.fold == number)
        learned = np.flatnonzero((self.fold != number) & (True if kept is None else kept))
        if np.intersect1d(self.groups[learned], self.groups[held_out]).size:
            raise RuntimeError(f"fold {number} shares texts with the rows that its model learns from")
        return learned, held_out


class Learn(Protocol):
    """What answers a fold from the other ones."""

    def __call__(self, folds: Folds, number: int, kept: np.ndarray | None) -> np.ndarray:
        """(held-out rows, labels) logits of fold `number`, learned from the rows that `Folds.split` gives."""


def make_folds(targets: np.ndarray, groups: np.ndarray, names: Sequence[str], seed: int) -> Folds:
    """Cut the rows into folds, stratified by label and never through a group.

    Labels of fewer than `FOLDS` groups are left out: cleanlab needs a row of each label in each fold, and a model that
    has hardly seen a label says nothing of its rows.

    Args:
        targets: (N,) label ids.
        groups: (N,) of near-duplicates.
        names: of the labels.
        seed: draws the folds.

    Raises:
        DataError: fewer than two labels have enough texts.
    """
    from sklearn.model_selection import StratifiedGroupKFold

    texts = {label: len(np.unique(groups[targets == label])) for label in np.unique(targets).tolist()}
    labels = [label for label, count in texts.items() if count >= FOLDS]
    if len(labels) < 2:
        listed = ", ".join(f"{names[label]} ({count})" for label, count in list(texts.items())[:10])
        raise DataError(
            f"Labels can be checked where at least two of them have {FOLDS} different texts each; the data have "
            f"{listed}. Bring more rows."
        )
    checked = np.flatnonzero(np.isin(targets, labels))
    own, together = np.searchsorted(labels, targets[checked]), groups[checked]
    rare = {label: count for label, count in texts.items() if count < FOLDS}
    best: tuple[int, np.ndarray] | None = None
    for attempt in range(TRIES):
        cut = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=seed + attempt)
        fold = np.empty(len(checked), np.int64)
        for number, (_, held_out) in enumerate(cut.split(own, own, together)):
            fold[held_out] = number
        lacking = _lacking(fold, own, len(labels))
        if best is None or lacking < best[0]:
            best = lacking, fold
        if not lacking:
            break
    assert best is not None
    return Folds(checked, own, together, _spread(best[1], own, together), labels, rare)


def _lacking(fold: np.ndarray, targets: np.ndarray, labels: int) -> int:
    """How many pairs of a fold and a label have no row."""
    table = np.zeros((FOLDS, labels), bool)
    table[fold, targets] = True
    return int((~table).sum())


def _spread(fold: np.ndarray, targets: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """The folds with groups moved so that each label is in each of them, where the draws could not have it so."""
    fold = fold.copy()
    for label in np.unique(targets):
        mine = np.flatnonzero(targets == label)
        for number in range(FOLDS):
            held = {k: np.unique(groups[mine[fold[mine] == k]]) for k in range(FOLDS)}
            if len(held[number]):
                continue
            donor = max(held, key=lambda k: len(held[k]))
            fold[groups == held[donor][0]] = number
    return fold


def out_of_fold(folds: Folds, learn: Learn, kept: np.ndarray | None = None) -> np.ndarray:
    """(M, labels) float32 logits of every checked row from a model that has not seen it.

    Args:
        folds: of the rows.
        learn: answers one fold.
        kept: (M,) bool, the rows that may be learned from; None: all of them.
    """
    logits = np.zeros((len(folds.checked), len(folds.labels)), np.float32)
    for number in range(FOLDS):
        logits[folds.fold == number] = learn(folds, number, kept)
    return logits


def probes(features: np.ndarray, path: list[float]) -> Learn:
    """Folds answered by a linear probe on frozen features.

    The regularisation of each is chosen on one of the folds that it learns from, then fitted on all of them.

    Args:
        features: (M, H) float32, of the checked rows.
        path: inverse regularisation strengths.
    """

    def learn(folds: Folds, number: int, kept: np.ndarray | None) -> np.ndarray:
        learned, held_out = folds.split(number, kept)
        chooses = folds.fold[learned] == (number + 1) % FOLDS
        classes, rest, inner = len(folds.labels), learned[~chooses], learned[chooses]
        validation = features[inner], folds.targets[inner]
        head = fit_probe(features[rest], folds.targets[rest], classes, path, validation, finish=False)
        strength = [head.regularisation]
        head = fit_probe(features[learned], folds.targets[learned], classes, strength, begin=head)
        return head.logits(features[held_out])

    return learn
