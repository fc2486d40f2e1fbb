"""Linear heads, kept on disk: the same features, labels and strengths give the same head, so it is fitted once."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from nlptl.models.linear_probe import LinearHead, fit_probe

# Raised whenever `fit_probe` gives another head than before for the same problem.
SOLVER = 2


def fit_cached(
    root: Path | None,
    features: np.ndarray,
    targets: np.ndarray,
    classes: int,
    regularisation: Sequence[float],
    validation: tuple[np.ndarray, np.ndarray] | None = None,
    class_weights: Tensor | None = None,
    begin: LinearHead | None = None,
    finish: bool = True,
) -> LinearHead:
    """`fit_probe`, read from `root`/heads where the same problem was solved before.

    Args:
        root: the cache folder; None: neither read nor kept.
        features, targets, classes, regularisation, validation, class_weights, begin, finish: as `fit_probe`.
    """

    def fitted() -> LinearHead:
        return fit_probe(
            features, targets, classes, regularisation, validation, class_weights, begin=begin, finish=finish
        )

    if root is None:
        return fitted()
    weights = None if class_weights is None else class_weights.numpy()
    digest = hashlib.blake2b(repr((SOLVER, classes, sorted(regularisation), finish)).encode(), digest_size=16)
    for array in (features, targets, *(validation or ()), weights):
        digest.update(b"" if array is None else f"{array.shape}{array.dtype}".encode())
        digest.update(b"" if array is None else np.ascontiguousarray(array).data)
    file = root / "heads" / f"{digest.hexdigest()}.npy"
    head = _read(file, (classes, features.shape[1]))
    if head is None:
        head = fitted()
        _write(file, head)
    return head


def _read(file: Path, shape: tuple[int, int]) -> LinearHead | None:
    try:
        table = np.load(file, allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None  # not there, or damaged: then it is fitted again
    if table.shape != (shape[0], shape[1] + 2):
        return None
    weights = torch.from_numpy(table).float()
    return LinearHead(weights[:, :-2].contiguous(), weights[:, -2].contiguous(), float(table[0, -1]))


def _write(file: Path, head: LinearHead) -> None:
    """One matrix: weights, biases, and the strength in each row; float64, or the strength would come back rounded."""
    strength = torch.full_like(head.bias, head.regularisation, dtype=torch.float64)
    table = torch.cat([head.weight, head.bias[:, None], strength[:, None]], 1).numpy()
    aside = file.with_name(f"{uuid.uuid4().hex}.part")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with aside.open("wb") as stream:
            np.save(stream, table, allow_pickle=False)
        aside.replace(file)
    except OSError:  # a head that cannot be kept is only a lost saving
        with suppress(OSError):
            aside.unlink()
