"""The linear head on frozen features: L2-regularised logistic regression, fitted by L-BFGS."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

ITERATIONS = 150
# So many tell which strength is best, since each starts where the one before ended.
ROUGH = 8
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
    begin: LinearHead | None = None,
    finish: bool = True,
) -> LinearHead:
    """Fit along a path of regularisation strengths and keep the one with the lowest validation loss.

    Features are standardised with the training rows' mean and deviation and divided by sqrt(H); the result is folded
    back, so that the head applies to raw features.

    Args:
        features: (rows, H) float32.
        targets: (rows,) class ids, or (rows, C) 0/1 for several labels at once.
        classes: C.
        regularisation: inverse strengths; the objective is C * sum of losses + 0.5 * |W|^2, as in scikit-learn.
        validation: features and targets that choose among them; a single strength needs none.
        class_weights: (C,) weights of the labels' losses, as in `nlptl.objectives.classification.Classification`.
        begin: a head of about these rows, to start from; changes the time alone.
        finish: take the chosen strength to its end; False: as far as choosing took it, which is near.
    """
    raw = torch.from_numpy(features)
    mean, deviation = raw.mean(0), raw.std(0, correction=0).clamp(min=1e-6) * raw.shape[1] ** 0.5
    problem = _Problem((raw - mean) / deviation, torch.from_numpy(targets), class_weights)
    start = torch.zeros(classes, raw.shape[1]), torch.zeros(classes)
    if begin is not None:
        start = begin.weight * deviation, begin.bias + begin.weight @ mean

    def folded(fitted: _Fitted, strength: float) -> LinearHead:
        weight = fitted[0] / deviation
        return LinearHead(weight, fitted[1] - weight @ mean, strength)

    if validation is None or len(regularisation) == 1:
        return folded(problem.minimise(start, min(regularisation), ITERATIONS), min(regularisation))
    best: tuple[float, _Fitted, float] | None = None
    worse = 0
    for strength in sorted(regularisation):
        start = problem.minimise(start, strength, ROUGH)
        held_out = torch.from_numpy(folded(start, strength).logits(validation[0]))
        loss = float(_loss(held_out, torch.from_numpy(validation[1]), None))
        if best is None or loss < best[0]:
            best, worse = (loss, start, strength), 0
        else:
            worse += 1
        if worse == WORSE:
            break
    assert best is not None  # the schema refuses an empty path
    _, start, strength = best
    return folded(problem.minimise(start, strength, ITERATIONS) if finish else start, strength)


def fit_new_rows(
    features: np.ndarray, targets: np.ndarray, classes: int, kept: LinearHead, strength: float
) -> LinearHead:
    """A head whose first rows are those of an earlier one, and whose other rows are fitted beside them.

    Args:
        features: (rows, H) float32.
        targets: (rows,) class ids, or (rows, C) 0/1 for several labels at once.
        classes: C, of which `kept` has the first.
        kept: stays as it is.
        strength: inverse regularisation of the new rows, as in `fit_probe`.
    """
    raw, goals = torch.from_numpy(features), torch.from_numpy(targets)
    mean, deviation = raw.mean(0), raw.std(0, correction=0).clamp(min=1e-6) * raw.shape[1] ** 0.5
    inputs, known = (raw - mean) / deviation, torch.from_numpy(kept.logits(features))
    new = classes - len(kept.weight)
    # Where they start, new labels are as likely as the kept ones are on average.
    weight = torch.zeros(new, raw.shape[1]).requires_grad_()
    bias = torch.full((new,), float(known.mean())).requires_grad_()
    optimizer = torch.optim.LBFGS([weight, bias], max_iter=ITERATIONS, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = _loss(torch.cat([known, inputs @ weight.T + bias], 1), goals, None)
        loss = loss + 0.5 * weight.square().sum() / (strength * len(inputs))
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    optimizer.step(closure)  # type: ignore[no-untyped-call]
    with torch.no_grad():
        folded = weight / deviation
        return LinearHead(
            torch.cat([kept.weight, folded]), torch.cat([kept.bias, bias - folded @ mean]), kept.regularisation
        )


_Fitted = tuple[Tensor, Tensor]


class _Problem:
    """Standardised rows (n, H) and their targets, under weights (C, H) and biases (C,).

    The features of an encoder are far from independent, and L-BFGS zigzags in the valleys that this makes. So it works
    on W M^(1/2) in place of W, where M = a X'X / n + 1 / (C n) is nearly the Hessian of each class's weights, with the
    mean a of p (1 - p) over rows and classes where the minimisation starts. The minimum stays where it is.
    """

    def __init__(self, inputs: Tensor, targets: Tensor, class_weights: Tensor | None) -> None:
        self.inputs, self.targets, self.class_weights = inputs, targets, class_weights
        values, self.directions = torch.linalg.eigh(inputs.T @ inputs / len(inputs))
        self.values = values.clamp(min=0)

    def minimise(self, start: _Fitted, strength: float, iterations: int) -> _Fitted:
        """Weights and biases of (nearly) the least loss at one strength."""
        penalty = 1 / (strength * len(self.inputs))
        curvature = self._curvature(*start)
        scale = (curvature * self.values + penalty).rsqrt()
        widen, narrow = ((self.directions * s) @ self.directions.T for s in (scale, 1 / scale))
        weight = (start[0] @ narrow).requires_grad_()
        bias = (start[1] * curvature.sqrt()).requires_grad_()
        optimizer = torch.optim.LBFGS(
            [weight, bias],
            max_iter=iterations,
            tolerance_grad=1e-7,
            tolerance_change=1e-6,
            line_search_fn="strong_wolfe",
        )

        def fitted() -> _Fitted:
            return weight @ widen, bias / curvature.sqrt()

        def closure() -> Tensor:
            optimizer.zero_grad()
            w, b = fitted()
            loss = _loss(self.inputs @ w.T + b, self.targets, self.class_weights) + 0.5 * penalty * w.square().sum()
            loss.backward()  # type: ignore[no-untyped-call]
            return loss

        optimizer.step(closure)  # type: ignore[no-untyped-call]
        with torch.no_grad():
            return fitted()

    def _curvature(self, weight: Tensor, bias: Tensor) -> Tensor:
        """Mean of p (1 - p), the second derivative of a row's loss by one of its logits."""
        logits = self.inputs @ weight.T + bias
        p = logits.sigmoid() if self.targets.is_floating_point() else logits.softmax(1)
        return (p * (1 - p)).mean().clamp(min=1e-8)


def _loss(logits: Tensor, targets: Tensor, class_weights: Tensor | None) -> Tensor:
    """Mean over the rows of a row's loss; of several labels at once, the sum of theirs, each times its weight."""
    if targets.is_floating_point():
        return F.binary_cross_entropy_with_logits(logits, targets, weight=class_weights) * logits.shape[1]
    return F.cross_entropy(logits, targets, weight=class_weights)
