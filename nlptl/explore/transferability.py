"""LogME: how well frozen features explain labels, without training anything."""

from __future__ import annotations

import numpy as np

STEPS = 50
CONVERGED = 1e-5


def log_me(features: np.ndarray, targets: np.ndarray, classes: int) -> float:
    """LogME (You et al. 2021): log marginal evidence per text of a Bayesian linear model, averaged over the classes.

    Each class's 0/1 targets y are modelled as y = F w + noise with w ~ N(0, 1/alpha) and noise ~ N(0, 1/beta);
    alpha and beta are set to where the evidence is highest, by the fixed-point iteration of the paper, on the singular
    values of F.

    Args:
        features: F (N, D).
        targets: (N,) class ids, or (N, C) 0/1.
        classes: C; classes without a text, or with all, are left out.

    Returns:
        Higher is better; comparable over encoders on the same texts, whatever their D.
    """
    matrix = features.astype(np.float64)
    table = np.eye(classes)[targets] if targets.ndim == 1 else targets.astype(np.float64)
    left, singular, _ = np.linalg.svd(matrix, full_matrices=False)
    squares = singular**2
    used = [y for y in table.T if 0 < y.sum() < len(y)]
    return float(np.mean([_evidence(left, squares, y, matrix.shape[1]) for y in used])) if used else float("nan")


def _evidence(left: np.ndarray, squares: np.ndarray, wanted: np.ndarray, width: int) -> float:
    rows = len(wanted)
    along = (left.T @ wanted) ** 2  # how much of y lies along each singular direction
    outside = max(float(wanted @ wanted - along.sum()), 0.0)
    alpha, beta = 1.0, 1.0
    for _ in range(STEPS):
        denominator = alpha + beta * squares
        gamma = float((beta * squares / denominator).sum())
        length = float((beta**2 * squares * along / denominator**2).sum())  # |m|^2, m the posterior mean of w
        residual = float((alpha**2 * along / denominator**2).sum()) + outside  # |F m - y|^2
        before, ratio = alpha / beta, gamma / max(length, 1e-12)
        alpha, beta = ratio, max(rows - gamma, 1e-6) / max(residual, 1e-12)
        if abs(alpha / beta - before) <= CONVERGED * before:
            break
    denominator = alpha + beta * squares
    length = float((beta**2 * squares * along / denominator**2).sum())
    residual = float((alpha**2 * along / denominator**2).sum()) + outside
    determinant = float(np.log(denominator).sum()) + (width - len(squares)) * np.log(alpha)
    evidence = rows * np.log(beta) + width * np.log(alpha) - rows * np.log(2 * np.pi)
    return float(0.5 * (evidence - beta * residual - alpha * length - determinant) / rows)
