"""The ways of calibration. Shapes: N rows, C labels.

For several labels at once each label's sigmoid is calibrated; else the softmax over all of them.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar, Self

import numpy as np

from nlptl.errors import ArtifactError
from nlptl.evaluation.calibration.temperature import fit_temperature
from nlptl.evaluation.probabilities import probabilities_of

SPREAD = 0.5
"""Of a temperature's logarithm, as expected before validation is seen: two of three lie between 0.6 and 1.6."""
HELD = 1e-2
"""Weight of the squared distance from no scaling, per label, beside the summed loss of vector scaling."""


@dataclass(frozen=True, kw_only=True)
class Calibration(ABC):
    """From logits to probabilities."""

    method: ClassVar[str]
    note: str | None = None
    """What a reader must know of the fit."""
    rows: int = 0
    """Validation rows that it was fitted on."""

    @classmethod
    @abstractmethod
    def fit(cls, logits: np.ndarray, targets: np.ndarray) -> Self:
        """Fit on validation.

        Args:
            logits: (N, C) float32.
            targets: (N,) label ids, or (N, C) 0/1 for several labels at once.
        """

    @abstractmethod
    def probabilities(self, logits: np.ndarray, several: bool) -> np.ndarray:
        """(N, C) float32 of (N, C) logits.

        Args:
            logits: as the model gives them.
            several: whether several labels apply at once.
        """

    def to_json(self) -> dict[str, Any]:
        """Plain values for `calibration.json`."""
        return {"method": self.method, **asdict(self)}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Self:
        """What `to_json` gave.

        Raises:
            ArtifactError: a field is missing, unknown or of another type.
        """
        try:
            made = cls(**{name: value for name, value in values.items() if name != "method"})
            made.check()
        except (TypeError, ValueError) as error:
            raise ArtifactError(f"calibration.json is damaged: {error}.") from error
        return made

    def check(self) -> None:  # noqa: B027  (most methods have nothing to check)
        """Raises ValueError or TypeError where a field cannot be what `fit` gave."""


@dataclass(frozen=True, kw_only=True)
class Uncalibrated(Calibration):
    """Softmax, or sigmoids, of the logits as they are."""

    method: ClassVar[str] = "none"

    @classmethod
    def fit(cls, logits: np.ndarray, targets: np.ndarray) -> Self:
        return cls()

    def probabilities(self, logits: np.ndarray, several: bool) -> np.ndarray:
        return probabilities_of(logits, several)


UNCALIBRATED = Uncalibrated()


@dataclass(frozen=True, kw_only=True)
class Temperature(Calibration):
    """All logits divided by one number (Guo et al. 2017); the order of labels stays."""

    method: ClassVar[str] = "temperature"
    temperature: float = 1.0

    @classmethod
    def fit(cls, logits: np.ndarray, targets: np.ndarray) -> Self:
        return cls(temperature=fit_temperature(logits, targets, SPREAD), rows=len(targets))

    def probabilities(self, logits: np.ndarray, several: bool) -> np.ndarray:
        return probabilities_of(logits / self.temperature, several)

    def check(self) -> None:
        if not (math.isfinite(self.temperature) and self.temperature > 0):
            raise ValueError(f"temperature is {self.temperature!r}, not a positive number")


@dataclass(frozen=True, kw_only=True)
class VectorScaling(Calibration):
    """Each label's logit with a factor and an offset of its own (Guo et al. 2017); the order of labels may change."""

    method: ClassVar[str] = "vector"
    factors: list[float] = field(default_factory=list)
    offsets: list[float] = field(default_factory=list)

    @classmethod
    def fit(cls, logits: np.ndarray, targets: np.ndarray) -> Self:
        from scipy.optimize import minimize

        wide, classes, several = logits.astype(np.float64), logits.shape[1], targets.ndim == 2
        wanted = targets if several else np.eye(classes)[targets]

        def loss(point: np.ndarray) -> tuple[float, np.ndarray]:
            factors, offsets = point[:classes], point[classes:]
            scaled = factors * wide + offsets
            probabilities = probabilities_of(scaled, several).astype(np.float64)
            given = np.where(wanted > 0.5, probabilities, 1 - probabilities) if several else probabilities
            terms = given if several else (probabilities * wanted).sum(1)
            from_start = np.concatenate([factors - 1, offsets])
            value = -np.log(np.clip(terms, 1e-12, 1)).sum() + HELD * len(wide) * (from_start**2).mean()
            error = probabilities - wanted
            gradient = np.concatenate([(error * wide).sum(0), error.sum(0)])
            return float(value), gradient + 2 * HELD * len(wide) * from_start / len(from_start)

        start = np.concatenate([np.ones(classes), np.zeros(classes)])
        found = minimize(loss, start, jac=True, method="L-BFGS-B")
        return cls(factors=found.x[:classes].tolist(), offsets=found.x[classes:].tolist(), rows=len(targets))

    def probabilities(self, logits: np.ndarray, several: bool) -> np.ndarray:
        return probabilities_of(logits * np.asarray(self.factors) + np.asarray(self.offsets), several)

    def check(self) -> None:
        if len(self.factors) != len(self.offsets) or not np.isfinite([*self.factors, *self.offsets]).all():
            raise ValueError("factors and offsets are not two lists of as many numbers")


@dataclass(frozen=True, kw_only=True)
class Isotonic(Calibration):
    """Each label's probability through a rising step function (Zadrozny & Elkan 2002), then scaled to sum to 1.

    Of two labels the second one's is fitted, and the first has the rest.
    """

    method: ClassVar[str] = "isotonic"
    knots: list[list[float]] = field(default_factory=list)
    """For each label that was fitted, probabilities as the model gives them, rising."""
    values: list[list[float]] = field(default_factory=list)
    """For each of them, calibrated probabilities at its knots; in between, on the straight line."""

    @classmethod
    def fit(cls, logits: np.ndarray, targets: np.ndarray) -> Self:
        from sklearn.isotonic import IsotonicRegression

        several = targets.ndim == 2
        probabilities = probabilities_of(logits, several).astype(np.float64)
        wanted = targets if several else np.eye(logits.shape[1])[targets]
        first = 1 if logits.shape[1] == 2 and not several else 0
        fitted = [
            IsotonicRegression(y_min=0.0, y_max=1.0, out_of_bounds="clip").fit(probabilities[:, i], wanted[:, i])
            for i in range(first, logits.shape[1])
        ]
        return cls(
            knots=[each.X_thresholds_.tolist() for each in fitted],
            values=[each.y_thresholds_.tolist() for each in fitted],
            rows=len(targets),
        )

    def probabilities(self, logits: np.ndarray, several: bool) -> np.ndarray:
        plain = probabilities_of(logits, several)
        first = plain.shape[1] - len(self.knots)
        fitted = [
            np.interp(plain[:, first + i], knots, values)
            for i, (knots, values) in enumerate(zip(self.knots, self.values, strict=True))
        ]
        raised = np.stack(fitted, 1) if fitted else plain
        if several:
            return raised.astype(np.float32)
        if first:
            raised = np.concatenate([1 - raised, raised], 1)
        total = raised.sum(1, keepdims=True)
        # Where every label's probability became 0, nothing is known but what the model said.
        return np.where(total > 0, raised / np.maximum(total, 1e-12), plain).astype(np.float32)

    def check(self) -> None:
        if [len(each) for each in self.knots] != [len(each) for each in self.values]:
            raise ValueError("knots and values differ in number")


METHODS: dict[str, type[Calibration]] = {
    kind.method: kind for kind in (Uncalibrated, Temperature, VectorScaling, Isotonic)
}
