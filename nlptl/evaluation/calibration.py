"""Probabilities that mean what they say: temperature scaling (Guo et al. 2017)."""

from __future__ import annotations

import math

import numpy as np

from nlptl.evaluation.evaluator import mean_loss, probabilities_of

# Temperatures from e^-4 to e^4: naive Bayes is far too sure of itself, the margins of an SVM are far too small.
LOG_RANGE = 4.0
# Of the logarithm; the loss is flat around its least value.
TOLERANCE = 1e-4


def fit_temperature(logits: np.ndarray, targets: np.ndarray) -> float:
    """The positive divisor of the logits with the lowest mean negative log-likelihood; it changes no order of labels.

    One temperature for all labels, also where several apply at once. It lies between e^-4 and e^4; without rows it is
    1. Rows that are told apart without a mistake have no lowest loss: then it is some temperature far below 1.

    Args:
        logits: (N, C) float, of rows that the model has not learned from.
        targets: (N,) label ids, or (N, C) 0/1 for several labels at once.
    """
    from scipy.optimize import minimize_scalar

    if not len(targets):
        return 1.0
    several = targets.ndim == 2

    def loss(log_temperature: float) -> float:
        return mean_loss(probabilities_of(logits / math.exp(log_temperature), several), targets)

    found = minimize_scalar(loss, bounds=(-LOG_RANGE, LOG_RANGE), method="bounded", options={"xatol": TOLERANCE})
    return math.exp(float(found.x))
