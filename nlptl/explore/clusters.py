"""Clustering of vectors by direction, with vectors that belong to no group."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import numpy as np

NOISE = -1
DIMENSIONS = 64
"""The number of principal components: distances in fewer dimensions tell groups apart better, and faster."""
CRITERION_ROWS = 3000
"""The number of vectors, drawn with the seed, that the silhouette is measured on."""
SEARCHED = 12
"""How many numbers of groups the coarse search tries, evenly spaced in their logarithm."""
SPREAD = 0.15
"""The finer second search looks this far, as a share, to both sides of the best number."""


@dataclass(frozen=True)
class Clustering:
    """The group of each vector, and how the number of groups was chosen."""

    groups: np.ndarray
    """(rows,) int64, groups from 0, largest first; -1 for vectors that belong to none."""
    closeness: np.ndarray
    """(rows,) float32, cosine to the own group's centre; for noise, to the nearest."""
    criterion: str
    """How the number of groups was chosen, in words."""
    tried: dict[int, float] = field(default_factory=dict)
    """Number of groups -> mean silhouette."""

    @property
    def count(self) -> int:
        """The number of groups."""
        return int(self.groups.max(initial=NOISE)) + 1


def cluster(
    vectors: np.ndarray,
    method: str,
    count: int | None,
    most: int,
    smallest: int,
    noise: float,
    seed: int,
    track: Callable[[Iterable[int]], Iterable[int]] = lambda counts: counts,
) -> Clustering:
    """Group vectors by direction.

    Args:
        vectors: (rows, H) float32.
        method: `kmeans` on unit vectors, or `hdbscan` (Campello et al. 2013), which finds its own number of groups.
        count: the number of groups. None: the one up to `most` with the best mean silhouette (Rousseeuw 1987).
        most: the largest number of groups to try.
        smallest: a smaller group is dissolved into noise.
        noise: kmeans: this share of the rows, those least sure of their group, become noise.
        seed: draws the starting centres and the rows that the silhouette is measured on.
        track: wraps the numbers tried, for a progress bar.
    """
    units = _reduced(_unit(vectors), seed)
    tried: dict[int, float] = {}
    if method == "hdbscan":
        groups, criterion = _hdbscan(units, smallest), "hdbscan: groups that persist over densities"
    elif count is not None:
        groups, criterion = _kmeans(units, count, seed, starts=4), "kmeans: number of groups given"
    else:
        tried = _search(units, most, smallest, seed, track)
        best = max(tried, key=lambda k: tried[k])
        groups, criterion = _kmeans(units, best, seed, starts=4), "kmeans: number of groups with the best silhouette"
    if method == "kmeans" and noise:
        groups = _without_unsure(units, groups, noise)
    groups = _by_size(groups, smallest)
    return Clustering(groups, _closeness(units, groups), criterion, tried)


def medoids(vectors: np.ndarray, groups: np.ndarray, group: int, most: int) -> list[int]:
    """Rows nearest to a group's mean direction, nearest first."""
    rows = np.flatnonzero(groups == group)
    units = _unit(vectors[rows])
    order = np.argsort(-(units @ units.mean(0)), kind="stable")
    return [int(rows[i]) for i in order[:most]]


def _unit(vectors: np.ndarray) -> np.ndarray:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(lengths, 1e-12), np.float32)


def _reduced(units: np.ndarray, seed: int) -> np.ndarray:
    from sklearn.decomposition import PCA

    size = min(DIMENSIONS, *units.shape)
    return _unit(PCA(size, random_state=seed).fit_transform(units))


def _kmeans(units: np.ndarray, count: int, seed: int, starts: int) -> np.ndarray:
    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # fewer different texts than groups: the extra stay empty
        model = KMeans(count, n_init=starts, max_iter=100, random_state=seed)
        return np.unique(model.fit_predict(units), return_inverse=True)[1].astype(np.int64)


def _hdbscan(units: np.ndarray, smallest: int) -> np.ndarray:
    from sklearn.cluster import HDBSCAN

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        model = HDBSCAN(min_cluster_size=max(smallest, 2), min_samples=3, cluster_selection_method="leaf")
        return np.asarray(model.fit_predict(units), np.int64)


def _search(
    units: np.ndarray, most: int, smallest: int, seed: int, track: Callable[[Iterable[int]], Iterable[int]]
) -> dict[int, float]:
    """Mean silhouette by number of groups: a coarse search, then a finer one around its best."""
    from sklearn.metrics import silhouette_score

    most = max(2, min(most, len(units) // max(smallest, 2)))
    drawn = np.random.default_rng(seed).permutation(len(units))[:CRITERION_ROWS]
    tried: dict[int, float] = {}

    def measure(counts: Iterable[int]) -> None:
        for count in track(sorted(set(counts) - tried.keys())):
            groups = _kmeans(units, count, seed, starts=1)[drawn]
            several = 1 < len(np.unique(groups)) < len(groups)
            tried[count] = float(silhouette_score(units[drawn], groups)) if several else -1.0

    coarse = np.unique(np.geomspace(2, most, SEARCHED).round().astype(int))
    measure(int(count) for count in coarse)
    best = max(tried, key=lambda k: tried[k])
    step = max(1, math.ceil(SPREAD * best))
    measure(count for count in (best - step, best + step) if 2 <= count <= most)
    return tried


def _without_unsure(units: np.ndarray, groups: np.ndarray, share: float) -> np.ndarray:
    """The groups, without the rows whose own centre is hardly nearer than the next one."""
    centres = np.stack([units[groups == group].mean(0) for group in range(groups.max() + 1)])
    if len(centres) < 2:
        return groups
    distances = np.sqrt(np.maximum(1 + (centres**2).sum(1) - 2 * units @ centres.T, 0))
    nearest = np.partition(distances, 1, axis=1)
    margin = 1 - nearest[:, 0] / np.maximum(nearest[:, 1], 1e-12)
    unsure = np.argsort(margin, kind="stable")[: int(share * len(units))]
    kept = groups.copy()
    kept[unsure] = NOISE
    return kept


def _by_size(groups: np.ndarray, smallest: int) -> np.ndarray:
    """The groups renumbered, the largest first; groups that are too small become noise."""
    names, counts = np.unique(groups[groups != NOISE], return_counts=True)
    order = [name for name, count in sorted(zip(names, counts, strict=True), key=lambda x: -x[1]) if count >= smallest]
    renamed = np.full(len(groups), NOISE, np.int64)
    for new, old in enumerate(order):
        renamed[groups == old] = new
    return renamed


def _closeness(units: np.ndarray, groups: np.ndarray) -> np.ndarray:
    count = int(groups.max(initial=NOISE)) + 1
    if not count:
        return np.zeros(len(groups), np.float32)
    cosines = units @ _unit(np.stack([units[groups == group].mean(0) for group in range(count)])).T
    own = np.where(groups == NOISE, cosines.argmax(1), groups)
    return np.asarray(cosines[np.arange(len(groups)), own], np.float32)
