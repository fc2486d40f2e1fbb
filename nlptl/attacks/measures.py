"""What an answer to attacked texts is worth beside the answer to the same texts as they were: paired, row by row."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nlptl.evaluation.significance import Difference, over_rows

FLAGGED = 0.01
"""Of the rows without the positive label, the share that may be flagged."""
DRAWS = 1000
"""Of a bootstrap."""


@dataclass(frozen=True)
class Answers:
    """What a run says of some rows, and what it should say."""

    targets: np.ndarray
    """(N,) label ids, or (N, C) 0/1."""
    predicted: np.ndarray
    """(N,) ids of the most probable labels, or (N, C) 0/1."""
    flagged: np.ndarray | None = None
    """(N,) bool, where the run's decision is the positive label; None: the task has none."""
    scores: np.ndarray | None = None
    """(N,) probabilities of the positive label."""
    positive: np.ndarray | None = None
    """(N,) bool, rows of the positive label."""

    @property
    def right(self) -> np.ndarray:
        """(N,) 1.0 where all labels of a row are right."""
        same = self.predicted == self.targets
        return np.asarray(same if same.ndim == 1 else same.all(1), np.float64)

    @property
    def cut(self) -> float:
        """The score above which at most `FLAGGED` of the rows without the positive label lie."""
        if self.scores is None or self.positive is None:
            return float("nan")
        falling = -np.sort(-self.scores[~self.positive])
        return float(falling[int(FLAGGED * len(falling))]) if len(falling) else 0.0

    def caught(self, cut: float | None = None) -> np.ndarray:
        """(positive rows,) 1.0 where one is flagged: by the run's decision, or with a score above the cut."""
        if self.scores is None or self.flagged is None or self.positive is None:
            return np.zeros(0)
        flagged = self.flagged if cut is None else self.scores > cut
        return np.asarray(flagged[self.positive], np.float64)


def measured(answers: Answers, clean: Answers) -> dict[str, tuple[float, Difference]]:
    """Each measure's value and its paired difference to the texts as they were.

    Args:
        answers: to attacked texts.
        clean: to the same rows as they were written.

    Returns:
        `accuracy` and `macro_f1`; with a positive label also `recall`, as the run decides, and `recall_at_1_percent`,
        above the score that 1 % of the negative rows reach. Rows without the positive label are the same in both, so
        that the cut is; it moves only where the normaliser changes their scores.
    """
    found = {
        "accuracy": (float(answers.right.mean()), over_rows(answers.right, clean.right)),
        "macro_f1": (macro_f1(answers.targets, answers.predicted), f1_difference(answers, clean)),
    }
    if answers.positive is not None and answers.positive.any():
        for name, here, there in (
            ("recall", answers.caught(), clean.caught()),
            ("recall_at_1_percent", answers.caught(answers.cut), clean.caught(clean.cut)),
        ):
            found[name] = (float(here.mean()), over_rows(here, there))
    return found


def macro_f1(targets: np.ndarray, predicted: np.ndarray) -> float:
    """Mean over the labels that occur of F1."""
    return float(_macro_f1(*_counted(targets, predicted, None)))


def f1_difference(answers: Answers, clean: Answers) -> Difference:
    """Macro F1 under attack less macro F1 as written, its 95 % margin by a bootstrap over rows (Efron 1979).

    Each draw takes the same rows of both. p is twice the share of draws on the other side of zero.
    """
    mean = macro_f1(answers.targets, answers.predicted) - macro_f1(clean.targets, clean.predicted)
    rng, rows = np.random.default_rng(0), len(answers.targets)
    drawn = rng.multinomial(rows, np.full(rows, 1.0 / rows), size=DRAWS).astype(np.float64)
    here, there = (_macro_f1(*_counted(one.targets, one.predicted, drawn)) for one in (answers, clean))
    differences = here - there
    low, high = np.percentile(differences, [2.5, 97.5])
    if high - low <= 1e-12:
        return Difference(mean, 0.0, None, 1.0, None, rows)
    beyond = min((differences >= 0).mean(), (differences <= 0).mean())
    p = float(min(1.0, 2 * max(beyond, 1 / DRAWS)))
    return Difference(mean, float(differences.std(ddof=1)), float(high - low) / 2, p, None, rows)


def _counted(
    targets: np.ndarray, predicted: np.ndarray, weights: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Hits, rows and answers of each label, (draws, C) or (C,), of rows that count `weights` (draws, N) times."""
    wanted, said = _matrix(targets, targets, predicted), _matrix(predicted, targets, predicted)
    weights = np.ones(len(wanted)) if weights is None else weights
    return weights @ (wanted * said), weights @ wanted, weights @ said


def _matrix(ids: np.ndarray, targets: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    if ids.ndim == 2:
        return np.asarray(ids, np.float64)
    return np.asarray(np.eye(int(max(targets.max(initial=0), predicted.max(initial=0))) + 1)[ids])


def _macro_f1(hits: np.ndarray, wanted: np.ndarray, said: np.ndarray) -> np.ndarray:
    there = wanted + said > 0
    f1 = np.divide(2 * hits, wanted + said, out=np.zeros_like(hits), where=there)
    return np.asarray(f1.sum(-1) / np.maximum(there.sum(-1), 1))
