import numpy as np
import pytest

from nlptl.explore.clusters import NOISE, cluster, medoids


def blobs(groups: int = 6, each: int = 30, spread: float = 0.15) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(groups, 32))
    gold = np.repeat(np.arange(groups), each)
    return (centres[gold] + spread * rng.normal(size=(len(gold), 32))).astype(np.float32), gold


def test_the_number_of_groups_is_found_by_silhouette():
    vectors, gold = blobs()
    found = cluster(vectors, "kmeans", None, 40, 5, 0.0, 0)
    assert found.count == 6
    assert max(found.tried, key=lambda k: found.tried[k]) == 6
    assert all(len(np.unique(found.groups[gold == g])) == 1 for g in range(6))


def test_hdbscan_leaves_strays_aside():
    vectors, gold = blobs()
    strays = np.random.default_rng(1).normal(size=(10, 32)).astype(np.float32)
    found = cluster(np.concatenate([vectors, strays]), "hdbscan", None, 40, 5, 0.0, 0)
    aside = found.groups == NOISE
    assert aside[len(gold) :].mean() >= 0.5
    assert aside[: len(gold)].mean() < 0.1
    assert found.count == 6


def test_noise_is_the_share_that_is_least_sure():
    vectors, gold = blobs(3, 50)
    between = (vectors[gold == 0][:5] + vectors[gold == 1][:5]) / 2
    found = cluster(np.concatenate([vectors, between]), "kmeans", 3, 40, 5, 0.04, 0)
    assert (found.groups == NOISE).sum() == 6
    assert (found.groups[-5:] == NOISE).all()


def test_groups_come_by_size_and_small_ones_are_dissolved():
    vectors, gold = blobs(3, 40)
    keep = np.concatenate([np.flatnonzero(gold == 0)[:3], np.flatnonzero(gold == 1)[:20], np.flatnonzero(gold == 2)])
    found = cluster(vectors[keep], "kmeans", 3, 40, 5, 0.0, 0)
    assert (np.bincount(found.groups[found.groups >= 0]) == [40, 20]).all()
    assert (found.groups[:3] == NOISE).all()


@pytest.mark.parametrize("method", ["kmeans", "hdbscan"])
def test_the_same_seed_gives_the_same_groups(method):
    vectors, _ = blobs(spread=0.8)
    runs = [cluster(vectors, method, None, 20, 3, 0.05, 3) for _ in range(2)]
    np.testing.assert_array_equal(runs[0].groups, runs[1].groups)


def test_equal_vectors_do_not_stop_it():
    assert cluster(np.ones((20, 8), np.float32), "kmeans", None, 5, 2, 0.0, 0).count >= 1


def test_medoids_are_the_nearest():
    vectors = np.array([[1, 0], [1, 0.1], [0.2, 1], [1, 0.2]], np.float32)
    assert medoids(vectors, np.array([0, 0, 0, 0]), 0, 2) == [3, 1]
