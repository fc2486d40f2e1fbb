"""Rows whose label is likely wrong: confident learning (Northcutt et al. 2021) on out-of-fold probabilities."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from nlptl.errors import MissingExtraError
from nlptl.evaluation.calibration import fit_temperature
from nlptl.evaluation.probabilities import probabilities_of


@dataclass(frozen=True)
class Verdicts:
    """What the models of the other folds say of each checked row."""

    probabilities: np.ndarray
    """(M, labels) out of fold, calibrated on the labels as they are."""
    flagged: np.ndarray
    """(M,) bool: likely wrong."""
    temperature: float

    @property
    def suggested(self) -> np.ndarray:
        """(M,) the most probable label."""
        return np.asarray(self.probabilities.argmax(1))

    def scores(self, targets: np.ndarray) -> np.ndarray:
        """(M,) the probability of the label that each row has; the lower, the likelier it is wrong."""
        return np.asarray(self.probabilities[np.arange(len(targets)), targets])


def need_cleanlab() -> None:
    """Raise before anything is computed where cleanlab is not installed.

    Raises:
        MissingExtraError: names the extra that brings it.
    """
    try:
        import cleanlab  # noqa: F401
    except ImportError as error:
        raise MissingExtraError("Checking labels needs cleanlab: pip install 'nlptl[evidence]'") from error


def judge(answer: Callable[[np.ndarray | None], np.ndarray], targets: np.ndarray, rounds: int) -> Verdicts:
    """Find likely wrong labels, in rounds: from the second on, models do not learn from the rows flagged before.

    Args:
        answer: given the rows that may be learned from, (M,) bool or None for all, (M, labels) out-of-fold logits.
        targets: (M,) label ids.
        rounds: 1 or more.

    Raises:
        MissingExtraError: cleanlab is not installed.
    """
    kept: np.ndarray | None = None
    for _ in range(rounds):
        verdicts = verdicts_of(answer(kept), targets)
        kept = _enough(~verdicts.flagged, targets)
    return verdicts


def verdicts_of(logits: np.ndarray, targets: np.ndarray) -> Verdicts:
    """Likely wrong labels from (M, labels) out-of-fold logits.

    As many rows are flagged as confident learning estimates to be wrong (the size of its joint distribution of given
    and true labels off the diagonal, which needs calibrated probabilities); which, is told by the probability of the
    given label (cleanlab's `low_self_confidence`). A row whose given label is the most probable one is never flagged.

    Raises:
        MissingExtraError: cleanlab is not installed.
    """
    need_cleanlab()
    from cleanlab.filter import find_label_issues

    temperature = fit_temperature(logits, targets)
    probabilities = probabilities_of(logits / temperature, multi_label=False)
    # One job: with several, it forks a process that has loaded torch.
    flagged = find_label_issues(targets, probabilities, filter_by="low_self_confidence", n_jobs=1)
    return Verdicts(probabilities, flagged & (probabilities.argmax(1) != targets), temperature)


def _enough(kept: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Labels of which most rows are flagged keep them all: of what is left a model could not learn the label."""
    share = np.bincount(targets, kept) / np.maximum(np.bincount(targets), 1)
    return np.asarray(kept | (share[targets] < 0.5))
