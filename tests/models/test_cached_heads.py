import numpy as np
import pytest
import torch

from nlptl.models import cached_heads
from nlptl.models.cached_heads import fit_cached
from nlptl.models.linear_probe import LinearHead, fit_probe
from nlptl.storage.cache import Cache


@pytest.fixture
def problem():
    rng = np.random.default_rng(0)
    targets = rng.integers(3, size=90)
    return (rng.normal(size=(90, 6)) + targets[:, None]).astype(np.float32), targets


@pytest.fixture
def cache(tmp_path):
    return Cache(tmp_path, 10**9)


@pytest.fixture
def fits(monkeypatch):
    """How many heads were fitted."""
    done = []
    monkeypatch.setattr(cached_heads, "fit_probe", lambda *args, **more: done.append(1) or fit_probe(*args, **more))
    return done


def same(first, second):
    return (
        first.weight.equal(second.weight)
        and first.bias.equal(second.bias)
        and first.regularisation == second.regularisation
    )


def test_the_same_problem_is_solved_once(problem, fits, cache, tmp_path):
    first, second = (fit_cached(cache, *problem, 3, [0.1, 0.3], problem) for _ in range(2))
    assert len(fits) == 1
    assert same(first, second)
    assert same(first, fit_probe(*problem, 3, [0.1, 0.3], problem))
    assert second.regularisation == 0.3


def test_any_other_argument_is_another_problem(problem, fits, cache, tmp_path):
    features, targets = problem
    fit_cached(cache, features, targets, 3, [1.0])
    fit_cached(cache, features[:-1], targets[:-1], 3, [1.0])
    fit_cached(cache, features, np.roll(targets, 1), 3, [1.0])
    fit_cached(cache, features * 2, targets, 3, [1.0])
    fit_cached(cache, features, targets, 4, [1.0])
    fit_cached(cache, features, targets, 3, [2.0])
    fit_cached(cache, features, targets, 3, [1.0, 2.0], problem)
    fit_cached(cache, features, targets, 3, [1.0, 2.0], (features[:50], targets[:50]))
    fit_cached(cache, features, targets, 3, [1.0, 2.0], problem, finish=False)
    begin = LinearHead(torch.zeros(3, 6), torch.zeros(3), 1.0)
    fit_cached(cache, features, targets, 3, [1.0], begin=begin)
    fit_cached(cache, features, targets, 3, [1.0], class_weights=torch.tensor([1.0, 2.0, 3.0]))
    assert len(fits) == 11


def test_a_damaged_head_is_fitted_again(problem, fits, cache, tmp_path):
    first = fit_cached(cache, *problem, 3, [1.0])
    file = next(tmp_path.rglob("weight.npy"))
    file.write_bytes(file.read_bytes()[:100])
    assert same(first, fit_cached(cache, *problem, 3, [1.0]))
    assert len(fits) == 2
    assert same(first, fit_cached(cache, *problem, 3, [1.0]))
    assert len(fits) == 2


def test_a_head_that_cannot_be_cached_is_fitted_all_the_same(problem, fits, cache, tmp_path):
    (tmp_path / "layout-2").write_text("in the way")
    first, second = (fit_cached(cache, *problem, 3, [1.0]) for _ in range(2))
    assert same(first, second)
    assert len(fits) == 2


def test_nothing_is_read_or_written_without_a_cache(problem, fits, cache, tmp_path):
    fit_cached(None, *problem, 3, [1.0])
    fit_cached(None, *problem, 3, [1.0])
    assert len(fits) == 2
