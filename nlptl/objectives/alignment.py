"""How far two domains lie apart, and what draws them together: losses and transformations without labels of the target.

Shapes: S source rows, T target rows, H features, C classes.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

# Widths of the kernels, as multiples of the mean squared distance between rows.
WIDTHS = (0.25, 0.5, 1.0, 2.0, 4.0)


def coral_distance(source: Tensor, target: Tensor) -> Tensor:
    """CORAL loss: |Cov(source) - Cov(target)|_F^2 / (4 H^2) (Sun & Saenko 2016, "Deep CORAL").

    Args:
        source: (S, H).
        target: (T, H).

    Returns:
        A scalar; 0 where either side has fewer than two rows, which have no covariance.
    """
    if min(len(source), len(target)) < 2:
        return source.sum() * 0.0
    difference = _covariance(source.float()) - _covariance(target.float())
    return difference.square().sum() / (4 * source.shape[1] ** 2)


def mmd_distance(source: Tensor, target: Tensor) -> Tensor:
    """Squared maximum mean discrepancy under a mean of Gaussian kernels (Gretton et al. 2012; Long et al. 2015).

    The kernels' widths are multiples of the rows' mean squared distance, which counts as a constant; so the value does
    not depend on the features' scale. The estimate leaves each row's kernel with itself out, and is unbiased.

    Args:
        source: (S, H).
        target: (T, H).

    Returns:
        A scalar, near 0 for equal distributions; 0 where either side has fewer than two rows.
    """
    s, t = len(source), len(target)
    if min(s, t) < 2:
        return source.sum() * 0.0
    rows = torch.cat([source, target]).float()
    norms = rows.square().sum(1)
    distances = (norms[:, None] + norms[None, :] - 2 * rows @ rows.T).clamp(min=0.0)
    mean = distances.detach().sum() / ((s + t) * (s + t - 1))
    kernel = torch.stack([torch.exp(-distances / (width * mean + 1e-12)) for width in WIDTHS]).mean(0)
    kernel = kernel - torch.diag_embed(kernel.diagonal())
    within_source = kernel[:s, :s].sum() / (s * (s - 1))
    within_target = kernel[s:, s:].sum() / (t * (t - 1))
    return within_source + within_target - 2 * kernel[:s, s:].mean()


def domain_losses(logits: Tensor, is_target: Tensor) -> Tensor:
    """Cross-entropy of telling the domains apart, per row: (B,) for domain logits (B,) and a mask (B,)."""
    return F.binary_cross_entropy_with_logits(logits.float(), is_target.float(), reduction="none")


def reversal_strength(done: float) -> float:
    """2 / (1 + exp(-10 done)) - 1: from 0 to 1 as training goes on (Ganin et al. 2016).

    Args:
        done: share of all steps that lies behind.
    """
    return 2.0 / (1.0 + math.exp(-10.0 * done)) - 1.0


def recolour(source: np.ndarray, target: np.ndarray, shrinkage: float) -> tuple[np.ndarray, np.ndarray]:
    """The affine map that gives source features the target's mean and covariance (CORAL: Sun, Feng & Saenko 2016).

    Args:
        source: (S, H) float32.
        target: (T, H) float32.
        shrinkage: of both covariances towards a multiple of the identity, between 0 and 1: with few rows the small
            directions of a covariance are noise, and whitening divides by them.

    Returns:
        weight (H, H) and offset (H,): `rows @ weight + offset` lies like the target. Both float32.
    """
    s, t = source.astype(np.float64), target.astype(np.float64)
    weight = _power(_shrunk(s, shrinkage), -0.5) @ _power(_shrunk(t, shrinkage), 0.5)
    offset = t.mean(0) - s.mean(0) @ weight
    return weight.astype(np.float32), offset.astype(np.float32)


def confident_rows(probabilities: np.ndarray, share: float, priors: np.ndarray) -> np.ndarray:
    """Rows to pseudo-label: of each label the most confident, in the proportions of the priors (Zou et al. 2018).

    A common threshold would take most rows from the label that the model already favours. Taking the same share of
    each label's own predictions keeps that favour; here each label gets its prior's part of the rows taken.

    Args:
        probabilities: (T, C).
        share: of the rows to take, between 0 and 1.
        priors: (C,) expected shares of the labels, summing to 1.

    Returns:
        Row numbers, sorted. A label that is predicted less often than its part gives all the rows it has.
    """
    predicted, confidence = probabilities.argmax(1), probabilities.max(1)
    taken = []
    for label, prior in enumerate(priors):
        rows = np.flatnonzero(predicted == label)
        wanted = round(share * prior * len(probabilities))
        taken.append(rows[np.argsort(-confidence[rows], kind="stable")[:wanted]])
    return np.sort(np.concatenate(taken))


def information(probabilities: np.ndarray) -> float:
    """Entropy of the mean prediction less the mean entropy of the predictions, in nats (Bridle et al. 1991).

    High where single rows are told apart with confidence and all labels occur; 0 where all rows get the same answer.
    """
    return float(_entropy(probabilities.mean(0)) - _entropy(probabilities).mean())


def _covariance(rows: Tensor) -> Tensor:
    centred = rows - rows.mean(0)
    return centred.T @ centred / (len(rows) - 1)


def _shrunk(rows: np.ndarray, shrinkage: float) -> np.ndarray:
    covariance = np.atleast_2d(np.cov(rows, rowvar=False))
    size = np.trace(covariance) / len(covariance)
    return np.asarray((1 - shrinkage) * covariance + shrinkage * size * np.eye(len(covariance)))


def _power(matrix: np.ndarray, exponent: float) -> np.ndarray:
    values, vectors = np.linalg.eigh(matrix)
    floor = max(float(values.max()), 1e-12) * 1e-9
    return np.asarray((vectors * np.maximum(values, floor) ** exponent) @ vectors.T)


def _entropy(probabilities: np.ndarray) -> np.ndarray:
    safe = probabilities.astype(np.float64).clip(1e-12, 1.0)
    return np.asarray(-(safe * np.log(safe)).sum(-1))
