"""The classical models: how each is fitted by scikit-learn, and what is tuned. One more is an entry in
`nlptl.registry.BASELINES`, or an entry point of its group.

Shapes: N training texts, V features, C classes. Targets are class ids (N,), or 0/1 (N, C) for several labels at once;
then linear models are fitted label by label (one against the rest).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import product
from typing import Any, Protocol

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import ComplementNB, MultinomialNB
from sklearn.svm import LinearSVC
from sklearn.tree import DecisionTreeClassifier

from nlptl.baselines.scorers import NEVER, Linear, Neighbours, Scorer, Tree, log_odds

Setting = dict[str, Any]
# Smoothing of leaves: pseudo-counts that are added to each, shared out as the labels' frequencies in training.
LEAF_PRIOR = 1.0


class Fit(Protocol):
    """Fits one model with one setting."""

    def __call__(
        self, matrix: Any, targets: np.ndarray, classes: int, setting: Setting, balanced: bool, seed: int
    ) -> Scorer:
        """Fit on a sparse matrix (N, V) with rows of length one.

        Args:
            matrix: the training texts.
            targets: their labels.
            classes: C; labels without a training text are never predicted.
            setting: one of the grid.
            balanced: rows weigh in inverse proportion to their label's number.
            seed: of whatever is drawn.
        """


@dataclass(frozen=True)
class Baseline:
    """A classical model: how it is fitted, which features and settings it chooses from on validation."""

    fit: Fit
    grid: tuple[Setting, ...]
    features: tuple[str, ...] = ("words", "words_characters")
    weighs_labels: bool = True
    """Whether `training.class_weights` means anything to it."""


def _grid(**choices: tuple[Any, ...]) -> tuple[Setting, ...]:
    return tuple(dict(zip(choices, values, strict=True)) for values in product(*choices.values()))


def _logistic_regression(
    matrix: Any, targets: np.ndarray, classes: int, setting: Setting, balanced: bool, seed: int
) -> Scorer:
    def fit(wanted: np.ndarray) -> Any:
        weight = "balanced" if balanced else None
        return LogisticRegression(C=setting["C"], class_weight=weight, max_iter=500, tol=1e-3).fit(matrix, wanted)

    return _linear(fit, matrix, targets, classes)


def _linear_svm(matrix: Any, targets: np.ndarray, classes: int, setting: Setting, balanced: bool, seed: int) -> Scorer:
    def fit(wanted: np.ndarray) -> Any:
        weight = "balanced" if balanced else None
        return LinearSVC(C=setting["C"], class_weight=weight, random_state=seed, max_iter=3000).fit(matrix, wanted)

    return _linear(fit, matrix, targets, classes)


def _naive_bayes(matrix: Any, targets: np.ndarray, classes: int, setting: Setting, balanced: bool, seed: int) -> Scorer:
    def fit(wanted: np.ndarray) -> Any:
        kind = ComplementNB if setting["complement"] else MultinomialNB
        model = kind(alpha=setting["alpha"]).fit(matrix, wanted)
        # Its joint log likelihood is linear in the counts: log P(term | label) are weights, log P(label) the bias.
        model.coef_ = model.feature_log_prob_
        one = len(model.classes_) == 1
        model.intercept_ = (
            np.zeros(len(model.classes_)) if setting["complement"] and not one else model.class_log_prior_
        )
        if len(model.classes_) == 2:  # as scikit-learn's linear models tell two classes apart
            model.coef_ = model.coef_[1:] - model.coef_[:1]
            model.intercept_ = model.intercept_[1:] - model.intercept_[:1]
        return model

    return _linear(fit, matrix, targets, classes)


def _knn(matrix: Any, targets: np.ndarray, classes: int, setting: Setting, balanced: bool, seed: int) -> Scorer:
    one_label = targets.ndim == 1
    table = np.eye(classes, dtype=np.float32)[targets] if one_label else targets
    return Neighbours(matrix, np.ascontiguousarray(table, np.float32), setting["k"], one_label)


def _decision_tree(
    matrix: Any, targets: np.ndarray, classes: int, setting: Setting, balanced: bool, seed: int
) -> Scorer:
    one_label = targets.ndim == 1
    model = DecisionTreeClassifier(
        max_depth=setting["depth"],
        min_samples_leaf=setting["leaf"],
        class_weight="balanced" if balanced else None,
        random_state=seed,
    ).fit(matrix, targets)
    grown = model.tree_
    if one_label:
        frequencies = np.bincount(targets, minlength=classes) / len(targets)
        share = np.zeros((grown.node_count, classes))
        share[:, model.classes_] = grown.value[:, 0]
    else:
        frequencies, share = targets.mean(0), np.zeros((grown.node_count, classes))
        for label, known in enumerate(model.classes_):  # a label that no text, or every text, has is known by one value
            values = grown.value if grown.value.ndim == 3 else grown.value[:, None]
            share[:, label] = values[:, label, list(known).index(1.0)] if 1.0 in known else 0.0
    counts = grown.n_node_samples[:, None]
    share = (share * counts + LEAF_PRIOR * frequencies) / (counts + LEAF_PRIOR)
    return Tree(
        grown.children_left.astype(np.int64),
        grown.children_right.astype(np.int64),
        grown.feature.astype(np.int64),
        grown.threshold.astype(np.float64),
        log_odds(share, one_label),
    )


def _linear(fit: Callable[[np.ndarray], Any], matrix: Any, targets: np.ndarray, classes: int) -> Linear:
    """Weights (C, V) of one model over all classes, or of one for each label."""
    weight = np.zeros((classes, matrix.shape[1]), np.float32)
    if targets.ndim == 1:
        bias = np.full(classes, NEVER, np.float32)
        model = fit(targets)
        if len(model.classes_) == 2:  # one row, for the second class; half each way gives the same softmax
            both = np.array([[-0.5], [0.5]])
            weight[model.classes_], bias[model.classes_] = both * model.coef_, (both * model.intercept_).ravel()
        else:
            weight[model.classes_], bias[model.classes_] = model.coef_, model.intercept_
        return Linear(weight, bias)
    bias = log_odds(targets.mean(0, keepdims=True), one_label=False)[0]
    for label in np.flatnonzero((targets.min(0) == 0) & (targets.max(0) == 1)):
        model = fit(targets[:, label].astype(np.int64))
        weight[label], bias[label] = np.ravel(model.coef_), float(np.ravel(model.intercept_)[0])
    return Linear(weight, bias)


LOGISTIC_REGRESSION = Baseline(
    _logistic_regression,
    _grid(C=(0.3, 1.0, 3.0, 10.0, 30.0, 100.0)),
)
LINEAR_SVM = Baseline(
    _linear_svm,
    _grid(C=(0.03, 0.1, 0.3, 1.0, 3.0)),
)
NAIVE_BAYES = Baseline(
    _naive_bayes,
    _grid(complement=(False, True), alpha=(0.003, 0.03, 0.1, 0.3, 1.0)),
    weighs_labels=False,
)
KNN = Baseline(_knn, _grid(k=(1, 3, 5, 9, 15, 31)), weighs_labels=False)
DECISION_TREE = Baseline(
    _decision_tree,
    _grid(depth=(10, 40, None), leaf=(1, 3, 10)),
    features=("frequent_words",),
)
