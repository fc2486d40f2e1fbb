"""What every scorer is, and how a fitted one lies in a run folder."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Self

import numpy as np

from nlptl.errors import ArtifactError, ConfigError
from nlptl.registry import SCORERS

FILE = "out_of_scope.safetensors"
"""Beside `decision.json`."""


@dataclass(frozen=True)
class Rows:
    """What a model computed of some labelled rows."""

    features: np.ndarray | None
    """(N, H) what the head sees; None: of a model without an encoder, or features that must not be used."""
    logits: np.ndarray
    """(N, C) as the model gives them, never calibrated."""
    targets: np.ndarray
    """(N,) label ids."""
    outside: int | None
    """Id of the out-of-scope label among the C; None where it is not one of them."""

    @property
    def in_scope(self) -> np.ndarray:
        """(N,) bool: all rows but those of the out-of-scope label."""
        return np.ones(len(self.targets), bool) if self.outside is None else self.targets != self.outside

    def some(self, rows: np.ndarray) -> Rows:
        """Some of the rows, in the order of `rows`."""
        features = None if self.features is None else self.features[rows]
        return Rows(features, self.logits[rows], self.targets[rows], self.outside)


class Scorer(ABC):
    """A fitted scorer. Its scores are **higher, the more a text is in scope**; their unit is its own.

    It reads logits before calibration and keeps whatever it was fitted at (temperature, means, covariance), so that
    calibrating a run changes none of its scores. Shapes: N rows, H features, C labels.
    """

    name: ClassVar[str]
    """Under which the class is registered."""
    needs_features: ClassVar[bool] = False
    """Whether it reads features beside logits."""

    @classmethod
    def can_fit(cls, rows: Rows) -> bool:
        """Whether these training rows hold what it is fitted on."""
        return rows.features is not None or not cls.needs_features

    @classmethod
    @abstractmethod
    def fit(cls, rows: Rows) -> Self:
        """Fit on training rows; where the cut-off lies is not its concern."""

    def adjusted(self, rows: Rows) -> Self:
        """The scorer with what only rows that it was not fitted on can tell, such as the spread of its parts' scores.

        Args:
            rows: in scope, of validation.
        """
        return self

    @abstractmethod
    def scores(self, features: np.ndarray | None, logits: np.ndarray) -> np.ndarray:
        """(N,) float64, higher is more in scope.

        Args:
            features: (N, H); None for a scorer that needs none.
            logits: (N, C), not calibrated.
        """

    @abstractmethod
    def tensors(self) -> dict[str, np.ndarray]:
        """What it was fitted to, for safetensors; `from_tensors` takes it back."""

    @classmethod
    @abstractmethod
    def from_tensors(cls, tensors: Mapping[str, np.ndarray]) -> Self:
        """The scorer that gave these tensors.

        Raises:
            KeyError, ValueError: one is missing or of another shape.
        """

    def facts(self) -> dict[str, float | int]:
        """Plain numbers of the fit, for `decision.json`."""
        return {}


def write_scorer(home: Path, scorer: Scorer) -> None:
    """Write a fitted scorer.

    Args:
        home: where the task's own files lie.
        scorer: fitted.
    """
    from safetensors.numpy import save_file

    aside = home / f"{FILE}.part"
    tensors = {name: np.ascontiguousarray(array) for name, array in scorer.tensors().items()}
    save_file(tensors, aside, {"scorer": scorer.name})
    aside.replace(home / FILE)


def read_scorer(home: Path, name: str) -> Scorer:
    """The fitted scorer of a run.

    Args:
        home: where the task's own files lie.
        name: which scorer `decision.json` says it is.

    Raises:
        ArtifactError: there is no such scorer here, or its file is missing or damaged.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    path = home / FILE
    try:
        kind: type[Scorer] = SCORERS.get(name)
    except ConfigError as error:
        raise ArtifactError(f"{home / 'decision.json'}: {error} If another package brought it, install it.") from error
    if not path.is_file():
        raise ArtifactError(f"{home} holds no {FILE}, but its decision needs the scorer {name!r}: copy it whole.")
    try:
        return kind.from_tensors(load_file(path))
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        raise ArtifactError(f"{path} is damaged: {error}.") from error


def kept_scorer(home: Path) -> str | None:
    """Name of the scorer that lies in a run, whether its decision goes by it now or not; None where there is none.

    Raises:
        ArtifactError: its file is damaged.
    """
    from safetensors import SafetensorError, safe_open

    if not (home / FILE).is_file():
        return None
    try:
        with safe_open(home / FILE, "numpy") as file:
            return (file.metadata() or {}).get("scorer")
    except (OSError, SafetensorError) as error:
        raise ArtifactError(f"{home / FILE} is damaged: {error}.") from error


def matrix(tensors: Mapping[str, np.ndarray], name: str, dimensions: int) -> np.ndarray:
    """A tensor of a scorer's file.

    Raises:
        KeyError: it is missing.
        ValueError: it has other dimensions, or a value that is no finite number.
    """
    found = tensors[name]
    if found.ndim != dimensions or not np.isfinite(found).all():
        raise ValueError(f"{name} has {found.ndim} dimensions instead of {dimensions}, or values that are not finite")
    return found


def number(tensors: Mapping[str, np.ndarray], name: str) -> float:
    """A single number of a scorer's file; raises as `matrix`."""
    return float(matrix(tensors, name, 1)[0])
