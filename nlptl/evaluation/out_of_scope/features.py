"""Scorers of features: how far a text lies from the training rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np

from nlptl.evaluation.out_of_scope.logits import Energy
from nlptl.evaluation.out_of_scope.sampling import spread_sample
from nlptl.evaluation.out_of_scope.scorer import Rows, Scorer, matrix, number

NEIGHBOUR = 5
"""Which nearest training row counts: the first may be an odd one, a late one lies outside a small label."""
KEPT = 10_000
"""Training rows that `knn` keeps at most: 15 MB in the run folder for H = 384. Of more, it keeps a sample that holds
each label's share."""
BLOCK = 1024
"""Rows compared with all kept rows at once: 40 MB of similarities."""


@dataclass(frozen=True)
class Gaussians:
    """Means under one covariance, as distances need them: multiplied by a factor of the inverse covariance."""

    factor: np.ndarray
    """(H, H), W with W W^T the inverse covariance."""
    means: np.ndarray
    """(means, H), whitened: each mean times W."""

    @classmethod
    def of(cls, covariance: np.ndarray, means: np.ndarray) -> Self:
        """Of a covariance (H, H), and means (means, H)."""
        floor = max(float(np.trace(covariance)) / len(covariance), 1e-12) * 1e-6
        precision = np.linalg.inv(covariance + floor * np.eye(len(covariance)))
        factor = np.linalg.cholesky((precision + precision.T) / 2)
        return cls(factor, means @ factor)

    def distances(self, features: np.ndarray) -> np.ndarray:
        """(N, means) squared Mahalanobis distances."""
        white = features @ self.factor
        squares = (white**2).sum(1)[:, None] + (self.means**2).sum(1)
        return np.asarray(np.maximum(squares - 2 * white @ self.means.T, 0.0))


@dataclass(frozen=True)
class Mahalanobis(Scorer):
    """How near the nearest label's mean is, by one covariance for all labels (Lee et al. 2018).

    .. math:: -\\min_c (x - \\mu_c)^T \\Sigma^{-1} (x - \\mu_c)
    """

    labels: Gaussians
    name: ClassVar[str] = "mahalanobis"
    needs_features: ClassVar[bool] = True

    @classmethod
    def can_fit(cls, rows: Rows) -> bool:
        return rows.features is not None and len(np.unique(rows.targets[rows.in_scope])) > 1

    @classmethod
    def fit(cls, rows: Rows) -> Self:
        features, targets = _inside(rows)
        means, of = label_means(features, targets)
        return cls(Gaussians.of(spread_of_labels(features - means[of], features), means))

    def scores(self, features: np.ndarray | None, logits: np.ndarray) -> np.ndarray:
        nearest: np.ndarray = self.labels.distances(_wide(features)).min(1)
        return -nearest

    def tensors(self) -> dict[str, np.ndarray]:
        return {"factor": self.labels.factor, "means": self.labels.means}

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, np.ndarray]) -> Self:
        return cls(_gaussians(tensors, "factor", "means"))


@dataclass(frozen=True)
class RelativeMahalanobis(Scorer):
    """As `Mahalanobis`, less the distance to one Gaussian of all training rows (Ren et al. 2021).

    What makes any text far from the rows, whatever its label, cancels out. The covariance of all rows is that of the
    labels plus that of their means (training rows of the out-of-scope label are one more label). Estimated apart, the
    two would be shrunk by different amounts, and with few rows the difference of the distances would tell that alone.
    """

    labels: Gaussians
    background: Gaussians
    name: ClassVar[str] = "relative_mahalanobis"
    needs_features: ClassVar[bool] = True

    @classmethod
    def can_fit(cls, rows: Rows) -> bool:
        return Mahalanobis.can_fit(rows)

    @classmethod
    def fit(cls, rows: Rows) -> Self:
        features, targets = _inside(rows)
        means, of = label_means(features, targets)
        within = spread_of_labels(features - means[of], features)
        every = _wide(rows.features)
        centre = every.mean(0, keepdims=True)
        everywhere, which = label_means(every, rows.targets)
        apart = everywhere - centre
        between = (apart * np.bincount(which)[:, None] / len(every)).T @ apart
        return cls(Gaussians.of(within, means), Gaussians.of(within + between, centre))

    def scores(self, features: np.ndarray | None, logits: np.ndarray) -> np.ndarray:
        wide = _wide(features)
        relative: np.ndarray = self.background.distances(wide)[:, 0] - self.labels.distances(wide).min(1)
        return relative

    def tensors(self) -> dict[str, np.ndarray]:
        labels, background = self.labels, self.background
        return {
            "factor": labels.factor,
            "means": labels.means,
            "background_factor": background.factor,
            "background_mean": background.means,
        }

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, np.ndarray]) -> Self:
        together = _gaussians(tensors, "background_factor", "background_mean")
        return cls(_gaussians(tensors, "factor", "means"), together)


@dataclass(frozen=True)
class Neighbours(Scorer):
    """The cosine to the k-th nearest training row (Sun et al. 2022), of features less their mean.

    Features of one encoder share a direction, which would make all of them near; so the training rows' mean is taken
    off before they are scaled to length 1.
    """

    mean: np.ndarray
    """(H,)"""
    kept: np.ndarray
    """(rows, H) float32 of length 1."""
    neighbour: int = NEIGHBOUR
    name: ClassVar[str] = "knn"
    needs_features: ClassVar[bool] = True

    @classmethod
    def can_fit(cls, rows: Rows) -> bool:
        return rows.features is not None and bool(rows.in_scope.any())

    @classmethod
    def fit(cls, rows: Rows) -> Self:
        features, targets = _inside(rows)
        mean = features.mean(0)
        chosen = spread_sample(targets, KEPT, seed=0)
        return cls(mean, _unit(features[chosen] - mean), min(NEIGHBOUR, len(chosen)))

    def scores(self, features: np.ndarray | None, logits: np.ndarray) -> np.ndarray:
        unit = _unit(_wide(features) - self.mean)
        found = np.empty(len(unit))
        for start in range(0, len(unit), BLOCK):
            near = unit[start : start + BLOCK] @ self.kept.T
            found[start : start + BLOCK] = np.partition(near, -self.neighbour, axis=1)[:, -self.neighbour]
        return found

    def tensors(self) -> dict[str, np.ndarray]:
        return {"mean": self.mean, "kept": self.kept, "neighbour": np.array([float(self.neighbour)])}

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, np.ndarray]) -> Self:
        mean, kept = matrix(tensors, "mean", 1), matrix(tensors, "kept", 2)
        neighbour = int(number(tensors, "neighbour"))
        if kept.shape[1:] != mean.shape or not 1 <= neighbour <= len(kept):
            raise ValueError(f"{kept.shape} rows, a mean of {mean.shape}, neighbour {neighbour}")
        return cls(mean, kept, neighbour)

    def facts(self) -> dict[str, float | int]:
        return {"neighbour": self.neighbour, "kept_rows": len(self.kept)}


@dataclass(frozen=True)
class Combined(Scorer):
    """The mean of three scorers that look at a text in different ways, each over its spread on in-scope rows.

    `energy` asks the head, `relative_mahalanobis` the shape of the labels, `knn` single training rows. What one of them
    is deceived by, the others often are not.
    """

    energy: Energy
    relative: RelativeMahalanobis
    neighbours: Neighbours
    spreads: tuple[float, float, float] = (1.0, 1.0, 1.0)
    """Standard deviation of each part's scores on in-scope rows of validation."""
    name: ClassVar[str] = "combined"
    needs_features: ClassVar[bool] = True

    @classmethod
    def can_fit(cls, rows: Rows) -> bool:
        return RelativeMahalanobis.can_fit(rows)

    @classmethod
    def fit(cls, rows: Rows) -> Self:
        return cls(Energy.fit(rows), RelativeMahalanobis.fit(rows), Neighbours.fit(rows))

    def adjusted(self, rows: Rows) -> Self:
        first, second, third = (float(part.std()) or 1.0 for part in self._parts(rows.features, rows.logits))
        return type(self)(self.energy, self.relative, self.neighbours, (first, second, third))

    def scores(self, features: np.ndarray | None, logits: np.ndarray) -> np.ndarray:
        parts = zip(self._parts(features, logits), self.spreads, strict=True)
        mean: np.ndarray = np.mean([part / spread for part, spread in parts], axis=0)
        return mean

    def _parts(self, features: np.ndarray | None, logits: np.ndarray) -> list[np.ndarray]:
        return [part.scores(features, logits) for part in (self.energy, self.relative, self.neighbours)]

    def tensors(self) -> dict[str, np.ndarray]:
        parts = (self.energy, self.relative, self.neighbours)
        named = {f"{part.name}.{name}": array for part in parts for name, array in part.tensors().items()}
        return {**named, "spreads": np.array(self.spreads)}

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, np.ndarray]) -> Self:
        def part(name: str) -> dict[str, np.ndarray]:
            own = f"{name}."
            return {key.removeprefix(own): array for key, array in tensors.items() if key.startswith(own)}

        first, second, third = map(float, matrix(tensors, "spreads", 1))
        return cls(
            Energy.from_tensors(part(Energy.name)),
            RelativeMahalanobis.from_tensors(part(RelativeMahalanobis.name)),
            Neighbours.from_tensors(part(Neighbours.name)),
            (first, second, third),
        )

    def facts(self) -> dict[str, float | int]:
        return {**self.energy.facts(), **self.neighbours.facts()}


def _inside(rows: Rows) -> tuple[np.ndarray, np.ndarray]:
    """Features (N, H) float64 and targets (N,) of the in-scope rows."""
    return _wide(rows.features)[rows.in_scope], rows.targets[rows.in_scope]


def _wide(features: np.ndarray | None) -> np.ndarray:
    if features is None:
        raise ValueError("this scorer reads features, and there are none")
    return features.astype(np.float64)


def label_means(features: np.ndarray, targets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The mean of each label (labels, H), and which of them each row (N,) belongs to."""
    present, of = np.unique(targets, return_inverse=True)
    return np.stack([features[of == label].mean(0) for label in range(len(present))]), of


def spread_of_labels(apart: np.ndarray, features: np.ndarray) -> np.ndarray:
    """One covariance (H, H) for all labels, shrunk (Ledoit & Wolf 2004): of fewer rows than entries the plain one is
    singular.

    Args:
        apart: (N, H) rows less their label's mean; where all are zero, one row for each, their spread is not known.
        features: (N, H) the rows, whose spread is then taken.
    """
    from sklearn.covariance import LedoitWolf

    known = apart if np.abs(apart).max(initial=0.0) > 1e-9 else features - features.mean(0)
    return np.asarray(LedoitWolf(assume_centered=True).fit(known).covariance_)


def _gaussians(tensors: Mapping[str, np.ndarray], factor: str, means: str) -> Gaussians:
    found = Gaussians(matrix(tensors, factor, 2), matrix(tensors, means, 2))
    width = found.means.shape[1]
    if found.factor.shape != (width, width) or not len(found.means):
        raise ValueError(f"{factor} is {found.factor.shape}, {means} {found.means.shape}")
    return found


def _unit(features: np.ndarray) -> np.ndarray:
    """Scaled to length 1, float32; a row of zeros stays as it is."""
    lengths = np.linalg.norm(features, axis=1, keepdims=True)
    unit: np.ndarray = (features / np.maximum(lengths, 1e-12)).astype(np.float32)
    return unit
