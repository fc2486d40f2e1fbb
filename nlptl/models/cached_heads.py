"""Cached linear heads: the same features, labels and strengths give the same head, so it is fitted once."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

import numpy as np
import torch
from torch import Tensor

from nlptl.errors import NlptlError
from nlptl.models.linear_probe import LinearHead, fit_probe
from nlptl.storage.cache import Cache
from nlptl.storage.identity import array_digest, identity, parts_digest, versions

KIND = "heads"
# Raised whenever `fit_probe` gives another head than before for the same problem.
SOLVER = 3


def fit_cached(
    cache: Cache | None,
    features: np.ndarray | Sequence[np.ndarray],
    targets: np.ndarray,
    classes: int,
    regularisation: Sequence[float],
    validation: tuple[np.ndarray, np.ndarray] | None = None,
    class_weights: Tensor | None = None,
    begin: LinearHead | None = None,
    finish: bool = True,
) -> LinearHead:
    """`fit_probe`, read from the cache where the same problem was solved before.

    Args:
        cache: None: neither read nor written.
        features, targets, classes, regularisation, validation, class_weights, begin, finish: as `fit_probe`.
    """

    def fitted() -> LinearHead:
        return fit_probe(
            features, targets, classes, regularisation, validation, class_weights, begin=begin, finish=finish
        )

    if cache is None:
        return fitted()
    parts = [features] if isinstance(features, np.ndarray) else features
    problem = identity(
        solver=SOLVER,
        versions=versions(),
        features=parts_digest(parts),
        targets=array_digest(targets),
        classes=classes,
        regularisation=sorted(regularisation),
        validation=None if validation is None else [array_digest(array) for array in validation],
        class_weights=None if class_weights is None else array_digest(class_weights.numpy()),
        begin=None if begin is None else [array_digest(part.numpy()) for part in (begin.weight, begin.bias)],
        finish=finish,
    )
    place = cache.place(KIND, problem)
    arrays = cache.read(place, ("weight", "bias", "regularisation"))
    if arrays is not None and arrays["weight"].shape == (classes, parts[0].shape[1]):
        cache.touch(place)
        weight, bias = (torch.from_numpy(np.array(arrays[name])) for name in ("weight", "bias"))
        return LinearHead(weight, bias, float(arrays["regularisation"][0]))
    head = fitted()
    _write(cache, head, problem)
    return head


def _write(cache: Cache, head: LinearHead, problem: str) -> None:
    arrays = {
        "weight": head.weight.numpy(),
        "bias": head.bias.numpy(),
        "regularisation": np.array([head.regularisation], np.float64),
    }
    with suppress(NlptlError):  # a head that cannot be cached is only a lost saving
        cache.write(cache.place(KIND, problem), arrays)
