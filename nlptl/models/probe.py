"""The linear head on frozen features: L2-regularised logistic regression, fitted by L-BFGS."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

ITERATIONS = 150
# So many are enough to see which strength is best; that one is then taken to its end.
ROUGH = 30
# The path from strong to weak regularisation ends once validation has been worse this many times in a row.
WORSE = 2


@dataclass(frozen=True)
class LinearHead:
    """weight (C, H) and bias (C,) for raw features, and the inverse regularisation strength that gave them."""

    weight: Tensor
    bias: Tensor
    regularisation: float

    def logits(self, features: np.ndarray) -> np.ndarray:
        """(rows, C) float32."""
        return (torch.from_numpy(features) @ self.weight.T + self.bias).numpy()


def fit_probe(
    features: np.ndarray,
    targets: np.ndarray,
    classes: int,
    regularisation: Sequence[float],
    validation: tuple[np.ndarray, np.ndarray] | None = None,
    class_weights: Tensor | None = None,
    track: Callable[[Sequence[float]], Sequence[float]] = lambda path: path,
    begin: LinearHead | None = None,
) -> LinearHead:
    """Fit along a path of regularisation strengths and keep the one with the lowest validation loss.

    Features are standardised with the training rows' mean and deviation and divided by sqrt(H); the result is folded
    back, so that the head applies to raw features.

    Args:
        features: (rows, H) float32.
        targets: (rows,) class ids, or (rows, C) 0/1 for several labels at once.
        classes: C.
        regularisation: inverse strengths; the objective is C * sum of losses + 0.5 * |W|^2, as in scikit-learn.
        validation: features and targets that choose among them; None needs a single strength.
        class_weights: (C,) weights of the rows' losses.
        begin: a head of about these rows, to start from; changes the time alone.
    """
    raw = torch.from_numpy(features)
    mean, deviation = raw.mean(0), raw.std(0, correction=0).clamp(min=1e-6) * raw.shape[1] ** 0.5
    inputs, wanted = (raw - mean) / deviation, torch.from_numpy(targets)
    weight, bias = torch.zeros(classes, raw.shape[1]), torch.zeros(classes)
    if begin is not None:
        weight, bias = begin.weight * deviation, begin.bias + begin.weight @ mean

    def fitted(weight: Tensor, bias: Tensor, strength: float, iterations: int) -> tuple[Tensor, Tensor, LinearHead]:
        weight, bias = _minimise(inputs, wanted, weight, bias, strength, class_weights, iterations)
        folded = weight / deviation
        return weight, bias, LinearHead(folded, bias - folded @ mean, strength)

    if validation is None:
        return fitted(weight, bias, min(regularisation), ITERATIONS)[2]
    best: tuple[float, Tensor, Tensor, float] | None = None
    worse = 0
    for strength in track(sorted(regularisation)):
        weight, bias, head = fitted(weight, bias, strength, ROUGH)
        held_out = torch.from_numpy(head.logits(validation[0]))
        loss = float(_loss(held_out, torch.from_numpy(validation[1]), None))
        if best is None or loss < best[0]:
            best, worse = (loss, weight, bias, strength), 0
        else:
            worse += 1
        if worse == WORSE:
            break
    assert best is not None  # the schema refuses an empty path
    return fitted(*best[1:], ITERATIONS)[2]


def _minimise(
    inputs: Tensor,
    targets: Tensor,
    weight: Tensor,
    bias: Tensor,
    strength: float,
    class_weights: Tensor | None,
    iterations: int,
) -> tuple[Tensor, Tensor]:
    weight, bias = weight.clone().requires_grad_(), bias.clone().requires_grad_()
    optimizer = torch.optim.LBFGS(
        [weight, bias],
        max_iter=iterations,
        tolerance_grad=1e-5,
        tolerance_change=1e-7,
        line_search_fn="strong_wolfe",
    )

    def closure() -> Tensor:
        optimizer.zero_grad()
        penalty = 0.5 / (strength * len(inputs)) * weight.square().sum()
        loss = _loss(inputs @ weight.T + bias, targets, class_weights) + penalty
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    optimizer.step(closure)  # type: ignore[no-untyped-call]
    return weight.detach(), bias.detach()


def _loss(logits: Tensor, targets: Tensor, class_weights: Tensor | None) -> Tensor:
    if targets.is_floating_point():
        return F.binary_cross_entropy_with_logits(logits, targets, pos_weight=None) * logits.shape[1]
    return F.cross_entropy(logits, targets, weight=class_weights)
