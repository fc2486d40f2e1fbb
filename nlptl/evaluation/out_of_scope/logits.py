"""Scorers of logits: nothing is fitted but what they keep of the labels and the temperature."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np

from nlptl.evaluation.out_of_scope.scorer import Rows, Scorer, number

NONE = -1.0
"""In a file: the out-of-scope label is none of the columns."""


@dataclass(frozen=True)
class OfLogits(Scorer):
    """A number made of a row's logits over the in-scope labels, divided by the scorer's own temperature."""

    temperature: float = 1.0
    """That of the scorer, whatever the run is calibrated to: other temperatures order the texts otherwise."""
    outside: int | None = None
    """The column of the out-of-scope label, where it is one."""

    @classmethod
    def fit(cls, rows: Rows) -> Self:
        return cls(outside=rows.outside)

    def scores(self, features: np.ndarray | None, logits: np.ndarray) -> np.ndarray:
        return self._of(logits.astype(np.float64) / self.temperature)

    @abstractmethod
    def _of(self, scaled: np.ndarray) -> np.ndarray:
        """(N,) of (N, C) logits over the temperature."""

    def _inside(self, scaled: np.ndarray) -> np.ndarray:
        """The columns of the in-scope labels."""
        return scaled if self.outside is None else np.delete(scaled, self.outside, axis=1)

    def tensors(self) -> dict[str, np.ndarray]:
        outside = NONE if self.outside is None else float(self.outside)
        return {"temperature": np.array([self.temperature]), "outside": np.array([outside])}

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, np.ndarray]) -> Self:
        temperature, outside = number(tensors, "temperature"), number(tensors, "outside")
        if temperature <= 0:
            raise ValueError(f"the temperature is {temperature:g}")
        return cls(temperature, None if outside == NONE else int(outside))

    def facts(self) -> dict[str, float | int]:
        return {"temperature": self.temperature}


class MaxSoftmax(OfLogits):
    """The highest probability of an in-scope label (Hendrycks & Gimpel 2017)."""

    name: ClassVar[str] = "max_softmax"

    def _of(self, scaled: np.ndarray) -> np.ndarray:
        highest: np.ndarray = np.exp(self._inside(scaled).max(1) - log_sum_exp(scaled))
        return highest


class MaxLogit(OfLogits):
    """The highest logit of an in-scope label (Hendrycks et al. 2022): what softmax divides by tells something too."""

    name: ClassVar[str] = "max_logit"

    def _of(self, scaled: np.ndarray) -> np.ndarray:
        highest: np.ndarray = self._inside(scaled).max(1)
        return highest


class Energy(OfLogits):
    """The negative energy (Liu et al. 2020), over the in-scope labels.

    .. math:: T \\log \\sum_c \\exp(z_c / T)
    """

    name: ClassVar[str] = "energy"

    def _of(self, scaled: np.ndarray) -> np.ndarray:
        return self.temperature * log_sum_exp(self._inside(scaled))


class OutOfScopeClass(OfLogits):
    """The log odds of being in scope, by the probability of the out-of-scope label that the model learned.

    Log odds order texts as the probability does, and do not saturate.
    """

    name: ClassVar[str] = "out_of_scope_class"

    @classmethod
    def can_fit(cls, rows: Rows) -> bool:
        return rows.outside is not None and not rows.in_scope.all()

    def _of(self, scaled: np.ndarray) -> np.ndarray:
        if self.outside is None:
            raise ValueError("the out-of-scope label has no column")
        odds: np.ndarray = log_sum_exp(self._inside(scaled)) - scaled[:, self.outside]
        return odds


def log_sum_exp(values: np.ndarray) -> np.ndarray:
    """(N,) of (N, C); scipy's takes longer to import than predicting does."""
    if not len(values):
        return np.zeros(0)
    highest = values.max(1)
    found: np.ndarray = highest + np.log(np.exp(values - highest[:, None]).sum(1))
    return found
