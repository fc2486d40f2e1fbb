"""The linear head on frozen features: L2-regularised logistic regression, fitted by L-BFGS."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
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
WHOLE = 64_000_000
"""Bytes of features that are standardised once, in a second matrix; larger ones block by block in every pass."""
BLOCK = 8192
"""Rows."""


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
    features: np.ndarray | Sequence[np.ndarray],
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
        features: (rows, H) float32, or several of them whose rows follow one another. More than `WHOLE` bytes are
            read block by block, so that they need no memory beside themselves, and may be mapped from a file.
        targets: (rows,) class ids, or (rows, C) 0/1 for several labels at once.
        classes: C.
        regularisation: inverse strengths; the objective is C * sum of losses + 0.5 * |W|^2, as in scikit-learn.
        validation: features and targets that choose among them; a single strength needs none.
        class_weights: (C,) weights of the labels' losses, as in `nlptl.objectives.classification.Classification`.
        begin: a head of about these rows, to start from; changes the time alone.
        finish: take the chosen strength to its end; False: as far as choosing took it, which is near.
    """
    parts = [features] if isinstance(features, np.ndarray) else list(features)
    goals, width = torch.from_numpy(targets), parts[0].shape[1]
    problem: _Problem
    if sum(part.nbytes for part in parts) > WHOLE:
        mean, deviation = _moments(parts)
        problem = _LargeProblem(_Standardised(parts, mean, deviation), goals, class_weights)
    else:
        raw = torch.from_numpy(parts[0] if len(parts) == 1 else np.concatenate(parts))
        mean, deviation = raw.mean(0), raw.std(0, correction=0).clamp(min=1e-6) * width**0.5
        problem = _Problem((raw - mean) / deviation, goals, class_weights)
    start = torch.zeros(classes, width), torch.zeros(classes)
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
        self._turn(inputs.T @ inputs / len(inputs))

    def _turn(self, products: Tensor) -> None:
        values, self.directions = torch.linalg.eigh(products)
        self.values = values.clamp(min=0)

    def minimise(self, start: _Fitted, strength: float, iterations: int) -> _Fitted:
        """Weights and biases of (nearly) the least loss at one strength."""
        penalty = 1 / (strength * len(self.targets))
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
            return self._learn(*fitted(), penalty)

        optimizer.step(closure)  # type: ignore[no-untyped-call]
        with torch.no_grad():
            return fitted()

    def _learn(self, w: Tensor, b: Tensor, penalty: float) -> Tensor:
        """The loss of some weights and biases, its gradients in what they were computed from."""
        loss = _loss(self.inputs @ w.T + b, self.targets, self.class_weights) + 0.5 * penalty * w.square().sum()
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    def _curvature(self, weight: Tensor, bias: Tensor) -> Tensor:
        """Mean of p (1 - p), the second derivative of a row's loss by one of its logits."""
        return _uncertainty(self.inputs @ weight.T + bias, self.targets).mean().clamp(min=1e-8)


class _LargeProblem(_Problem):
    """The same of rows that are standardised block by block, each time that they are read."""

    def __init__(self, inputs: _Standardised, targets: Tensor, class_weights: Tensor | None) -> None:
        self._rows, self.targets, self.class_weights = inputs, targets, class_weights
        weights = None if class_weights is None or targets.is_floating_point() else class_weights[targets]
        self._total = float(len(targets) if weights is None else weights.sum())
        self._turn(sum(block.T @ block for _, block in inputs) / len(targets))  # type: ignore[arg-type]

    def _learn(self, w: Tensor, b: Tensor, penalty: float) -> Tensor:
        weight, bias = (part.detach().requires_grad_() for part in (w, b))
        total = torch.zeros(())
        for rows, block in self._rows:
            loss = _loss(block @ weight.T + bias, self.targets[rows], self.class_weights, "sum") / self._total
            loss.backward()  # type: ignore[no-untyped-call]
            total += loss.detach()
        assert weight.grad is not None  # there is at least one block
        torch.autograd.backward([w, b], [weight.grad + penalty * w.detach(), bias.grad])
        return total + 0.5 * penalty * w.detach().square().sum()

    def _curvature(self, weight: Tensor, bias: Tensor) -> Tensor:
        sums = [
            _uncertainty(block @ weight.T + bias, self.targets[rows]).sum(dtype=torch.float64)
            for rows, block in self._rows
        ]
        return (torch.stack(sums).sum() / (len(self.targets) * len(bias))).float().clamp(min=1e-8)


@dataclass(frozen=True)
class _Standardised:
    """Rows of several matrices, one after the other, in blocks that are standardised as they are asked for."""

    parts: list[np.ndarray]
    mean: Tensor
    deviation: Tensor

    def __iter__(self) -> Iterator[tuple[slice, Tensor]]:
        """Which rows, and they themselves (rows, H)."""
        for rows, block in _blocks(self.parts):
            yield rows, (block - self.mean) / self.deviation


def _blocks(parts: list[np.ndarray]) -> Iterator[tuple[slice, Tensor]]:
    before = 0
    for part in parts:
        for start in range(0, len(part), BLOCK):
            block = torch.from_numpy(part[start : start + BLOCK])
            yield slice(before + start, before + start + len(block)), block
        before += len(part)


def _moments(parts: list[np.ndarray]) -> _Fitted:
    """Mean (H,) of the rows, and their deviation times sqrt(H)."""
    count, width = sum(map(len, parts)), parts[0].shape[1]

    def mean_of(function: Callable[[Tensor], Tensor]) -> Tensor:
        total = torch.zeros(width, dtype=torch.float64)
        for _, block in _blocks(parts):
            total += function(block.double()).sum(0)
        return total / count

    mean = mean_of(lambda block: block)
    variance = mean_of(lambda block: (block - mean).square())
    return mean.float(), variance.sqrt().float().clamp(min=1e-6) * width**0.5


def _uncertainty(logits: Tensor, targets: Tensor) -> Tensor:
    """(rows, C) p (1 - p)."""
    p = logits.sigmoid() if targets.is_floating_point() else logits.softmax(1)
    return p * (1 - p)


def _loss(logits: Tensor, targets: Tensor, class_weights: Tensor | None, over_rows: str = "mean") -> Tensor:
    """Mean or sum over the rows of a row's loss; of several labels at once, the sum of theirs, each times its weight.

    The mean is the sum divided by the number of rows or, with weights of single labels, by the sum of their weights.
    """
    if targets.is_floating_point():
        loss = F.binary_cross_entropy_with_logits(logits, targets, weight=class_weights, reduction=over_rows)
        return loss * logits.shape[1] if over_rows == "mean" else loss
    return F.cross_entropy(logits, targets, weight=class_weights, reduction=over_rows)
