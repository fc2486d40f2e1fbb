"""Temperature scaling (Guo et al. 2017): one divisor for all logits, which changes no order of labels."""

from __future__ import annotations

import math

import numpy as np

from nlptl.evaluation.probabilities import mean_loss, probabilities_of

# Temperatures from e^-4 to e^4: naive Bayes is far too sure of itself, the margins of an SVM are far too small.
LOG_RANGE = 4.0
# Of the logarithm; the loss is flat around its least value.
TOLERANCE = 1e-4


def fit_temperature(logits: np.ndarray, targets: np.ndarray, spread: float | None = None) -> float:
    """The positive divisor of the logits with the lowest mean negative log-likelihood.

    One temperature for all labels, also where several apply at once. It lies between e^-4 and e^4; without rows it is
    1. Rows that are told apart without a mistake have no lowest loss: then it is some temperature far below 1, unless
    `spread` holds it back.

    Args:
        logits: (N, C) float, of rows that the model has not learned from.
        targets: (N,) label ids, or (N, C) 0/1 for several labels at once.
        spread: of a normal distribution about 0 that the logarithm of the temperature is expected to come from. It
            counts as much as the rows say: little beside many, a lot beside few. None: nothing is expected.
    """
    from scipy.optimize import minimize_scalar

    if not len(targets):
        return 1.0
    several = targets.ndim == 2
    held = 0.0 if spread is None else 0.5 / (spread**2 * len(targets))

    def loss(log_temperature: float) -> float:
        scaled = probabilities_of(logits / math.exp(log_temperature), several)
        return mean_loss(scaled, targets) + held * log_temperature**2

    found = minimize_scalar(loss, bounds=(-LOG_RANGE, LOG_RANGE), method="bounded", options={"xatol": TOLERANCE})
    return math.exp(float(found.x))
