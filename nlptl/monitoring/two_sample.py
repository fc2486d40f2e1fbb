"""Two-sample tests: could these new rows have been drawn as the reference rows were?

Permutation p is (k + 1) / (P + 1), k of P permutations having been as extreme as what was observed: it is never 0, and
valid for any number of rows (Phipson & Smyth 2010). Every permutation repeats whatever depends on which rows are new.

Shapes: M reference rows, N new rows, H features, C labels, P permutations.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

FOLDS = 5
MMD_ROWS = 2000
"""Of each side in the kernel, whose size is the square of them."""


@dataclass(frozen=True)
class ShiftTest:
    """What a test found."""

    name: str
    """classifier, mmd, scores, labels or accuracy"""
    statistic: float
    p: float
    """Before any correction."""
    effect: float
    """How large the difference is, in the test's own measure, whatever the number of rows."""
    by_chance: float
    """The mean of that measure where nothing differs."""


@dataclass(frozen=True)
class Told:
    """What the classifier two-sample test found, and what else it knows."""

    test: ShiftTest
    null: np.ndarray
    """(P,) AUCs with labels permuted."""
    scores: np.ndarray
    """(M + N,) how new each text looks to a classifier that did not see it, in standard deviations of its fold."""


def permutation_p(observed: float, null: np.ndarray) -> float:
    """(k + 1) / (P + 1), k being how many of P permutations are at least as large as what was observed.

    Args:
        observed: the statistic, large where the samples differ.
        null: (P,) of permuted rows.
    """
    # Sums in another order differ by rounding; a permutation that is the observed order must count.
    slack = 1e-9 * max(1.0, abs(observed))
    return float((1 + (null >= observed - slack).sum()) / (len(null) + 1))


def membership(reference: int, new: int, permutations: int, rng: np.random.Generator) -> np.ndarray:
    """(M + N, 1 + P) float32: 1 for rows that are new; first as they are, then permuted.

    Args:
        reference: M.
        new: N.
        permutations: P.
        rng: of the permutations.
    """
    rows = reference + new
    columns = np.zeros((rows, 1 + permutations), np.float32)
    columns[reference:, 0] = 1.0
    for place in range(1, 1 + permutations):
        columns[rng.permutation(rows)[:new], place] = 1.0
    return columns


def classifier_test(reference: np.ndarray, new: np.ndarray, permutations: int, seed: int) -> Told:
    """Can a classifier tell new texts from the reference? (Lopez-Paz & Oquab 2017)

    A linear discriminant with shrunk covariance (Ledoit & Wolf 2004), whose form is that of logistic regression; its
    AUC is measured by cross-validation, pairs of rows being compared within a fold. It has a closed form, so that every
    permutation fits it again in every fold: permuting only the labels of rows that are scored already would be wrong,
    for the scores know the labels.

    Args:
        reference: (M, H).
        new: (N, H).
        permutations: P.
        seed: of folds and permutations.
    """
    rng = np.random.default_rng(seed)
    rows, is_new = whitened(np.concatenate([reference, new])), membership(len(reference), len(new), permutations, rng)
    fold_of = rng.permutation(len(rows)) % FOLDS
    won, pairs = np.zeros(is_new.shape[1]), np.zeros(is_new.shape[1])
    scores = np.zeros(len(rows))
    for fold in range(FOLDS):
        held = fold_of == fold
        found = rows[held] @ _direction(rows[~held], is_new[~held])
        fold_won, fold_pairs = _pairs_won(found, is_new[held])
        won, pairs = won + fold_won, pairs + fold_pairs
        spread = float(found[:, 0].std())
        scores[held] = (found[:, 0] - found[:, 0].mean()) / (spread if spread > 0 else 1.0)
    auc = np.where(pairs > 0, won / np.maximum(pairs, 1), 0.5)
    test = ShiftTest(
        "classifier", float(auc[0]), permutation_p(float(auc[0]), auc[1:]), float(auc[0]), float(auc[1:].mean())
    )
    return Told(test, auc[1:], scores)


def whitened(rows: np.ndarray) -> np.ndarray:
    """(rows, H') float32 with the shrunk covariance of all rows together taken out; knows nothing of who is new."""
    from sklearn.covariance import ledoit_wolf

    centred = np.asarray(rows, np.float64) - np.asarray(rows, np.float64).mean(0)
    covariance, _ = ledoit_wolf(centred, assume_centered=True)
    values, vectors = np.linalg.eigh(covariance)
    kept = values > 1e-12 * max(float(values.max(initial=0.0)), 1e-30)
    return np.asarray(centred @ (vectors[:, kept] / np.sqrt(values[kept])), np.float32)


def _direction(rows: np.ndarray, is_new: np.ndarray) -> np.ndarray:
    """(H', columns): from the mean of the other rows to the mean of the new ones, for each column."""
    new = np.maximum(is_new.sum(0), 1)
    others = np.maximum(len(rows) - is_new.sum(0), 1)
    return np.asarray(rows.T @ (is_new / new - (1 - is_new) / others))


def _pairs_won(scores: np.ndarray, is_new: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of a new and another row in which the new one scores higher, ties as half, and all pairs; by column."""
    from scipy.stats import rankdata

    new = is_new.sum(0, dtype=np.float64)
    ranks = (rankdata(scores, axis=0) * is_new).sum(0)
    return ranks - new * (new + 1) / 2, new * (len(is_new) - new)


def mmd_test(reference: np.ndarray, new: np.ndarray, permutations: int, seed: int) -> ShiftTest:
    """Maximum mean discrepancy (Gretton et al. 2012), an RBF kernel with the median distance as bandwidth.

    The kernel is computed once, and permutations only choose its rows. Its statistic is the unbiased MMD²; its effect
    is on the classifier's scale: the AUC of the witness function, each text being left out of its own side's mean.

    Args:
        reference: (M, H), at most `MMD_ROWS`, as the kernel is (M + N)².
        new: (N, H), likewise.
        permutations: P.
        seed: of the permutations.
    """
    from sklearn.metrics.pairwise import euclidean_distances

    rng = np.random.default_rng(seed)
    distances = euclidean_distances(np.concatenate([reference, new]).astype(np.float32), squared=True)
    upper = distances[np.triu_indices(len(distances), 1)]
    median = float(np.median(upper))
    kernel = np.exp(-distances / (median if median > 0 else 1.0) / 2)
    np.fill_diagonal(kernel, 0.0)
    is_new = membership(len(reference), len(new), permutations, rng)
    to_new, to_all = kernel @ is_new, kernel.sum(1, dtype=np.float64)[:, None]
    within_new = (is_new * to_new).sum(0, dtype=np.float64)
    between = ((1 - is_new) * to_new).sum(0, dtype=np.float64)
    within = float(to_all.sum()) - within_new - 2 * between
    m, n = len(reference), len(new)
    squared = within / (m * (m - 1)) + within_new / (n * (n - 1)) - 2 * between / (m * n)
    # The mean over a row's own side leaves the row itself out.
    witness = to_new / (n - is_new) - (to_all - to_new) / (m - 1 + is_new)
    won, pairs = _pairs_won(witness, is_new)
    auc = won / pairs
    return ShiftTest(
        "mmd", float(squared[0]), permutation_p(float(squared[0]), squared[1:]), float(auc[0]), float(auc[1:].mean())
    )


def scores_test(reference: np.ndarray, new: np.ndarray) -> ShiftTest:
    """Kolmogorov-Smirnov on one number a row; the effect is the largest distance of the two distribution functions.

    Args:
        reference: (M,).
        new: (N,).
    """
    from scipy.stats import ks_2samp

    found = ks_2samp(reference, new)
    distance = float(found.statistic)
    # Exact down to what a float can hold; below, it would read as impossible.
    p = max(float(found.pvalue), float(np.finfo(np.float64).tiny))
    expected = 0.8687 * np.sqrt((len(reference) + len(new)) / (len(reference) * len(new)))  # Kolmogorov's mean
    return ShiftTest("scores", distance, p, distance, float(expected))


def labels_test(reference: np.ndarray, new: np.ndarray, permutations: int, seed: int) -> ShiftTest:
    """Chi-square on how often each label is decided, with permutation p, as many labels have too few rows for tables.

    The effect is the total variation distance: the share of decisions that would have to change.

    Args:
        reference: (M, C) 0/1, the decided labels; several a row for several labels at once.
        new: (N, C), likewise.
        permutations: P.
        seed: of the permutations.
    """
    rng = np.random.default_rng(seed)
    decided = np.concatenate([reference, new]).astype(np.float32)
    decided = decided[:, decided.any(0)]
    new_counts = decided.T @ membership(len(reference), len(new), permutations, rng)
    every = decided.sum(0)[:, None]
    share = len(new) / len(decided)
    # Over both sides: (O - E)² / E, and the O - E of the one is that of the other.
    statistic = ((new_counts - every * share) ** 2 / every).sum(0) / (share * (1 - share))
    counts = {"new": new_counts, "reference": every - new_counts}
    shares = {side: each / np.maximum(each.sum(0), 1) for side, each in counts.items()}
    changed: Any = np.abs(shares["new"] - shares["reference"]).sum(0) / 2
    p = permutation_p(float(statistic[0]), statistic[1:])
    return ShiftTest("labels", float(statistic[0]), p, float(changed[0]), float(changed[1:].mean()))
