import numpy as np
import pytest

from nlptl.data.tokens.batching import padding_share, plan_epoch, plan_forward


def realistic(rows: int, mean: float = 3.0, spread: float = 0.5, seed: int = 0) -> np.ndarray:
    """Token counts as texts have them: many short, few long, cut at 256."""
    return np.random.default_rng(seed).lognormal(mean, spread, rows).astype(int).clip(3, 256)


@pytest.mark.parametrize(("rows", "size"), [(0, 8), (1, 8), (7, 8), (8, 8), (1000, 32), (5001, 16), (100, 1)])
def test_each_row_once_in_an_epoch(rows, size):
    steps = plan_epoch(realistic(rows), size, seed=0, epoch=0)
    assert sorted(np.concatenate([*steps, np.zeros(0, int)]).tolist()) == list(range(rows))
    assert len(steps) == -(-rows // size)
    assert sum(len(step) < size for step in steps) <= 1
    assert all(0 < len(step) <= size for step in steps)


def test_random_order_where_lengths_do_not_matter():
    lengths = realistic(1000)
    steps = plan_epoch(lengths, 32, 1, 2, by_length=False)
    assert sorted(np.concatenate(steps).tolist()) == list(range(1000))
    assert [len(step) for step in steps] == [32] * 31 + [8]
    assert padding_share(lengths, steps) > 0.3
    other = plan_epoch(lengths, 32, 1, 3, by_length=False)
    assert not np.array_equal(steps[0], other[0])


def test_an_epoch_is_a_function_of_its_arguments():
    lengths = realistic(1000)

    def plan(seed, epoch):
        return np.concatenate(plan_epoch(lengths, 32, seed, epoch)).tolist()

    assert plan(1, 2) == plan(1, 2)
    assert len({tuple(plan(*key)) for key in [(1, 2), (1, 3), (2, 2), (2, 1)]}) == 4


def test_batches_do_not_come_sorted_by_length():
    lengths = realistic(5000)
    means = [lengths[step].mean() for step in plan_epoch(lengths, 32, 0, 0)]
    assert abs(np.corrcoef(means, np.arange(len(means)))[0, 1]) < 0.3


@pytest.mark.parametrize(("size", "mean", "spread"), [(16, 3.0, 0.5), (32, 3.0, 0.5), (32, 2.5, 0.4), (32, 4.5, 0.8)])
def test_little_is_padding(size, mean, spread):
    lengths = realistic(5000, mean, spread)
    assert padding_share(lengths, plan_epoch(lengths, size, 0, 0)) < 0.08
    unsorted = np.array_split(np.arange(5000), 5000 // size)
    assert padding_share(lengths, unsorted) > 0.3


@pytest.mark.parametrize("budget", [64, 4096])
def test_forward_keeps_to_its_budget(budget):
    lengths = realistic(20_000)
    batches = plan_forward(lengths, budget)
    assert sorted(np.concatenate(batches).tolist()) == list(range(20_000))
    for rows in batches:
        assert len(rows) == 1 or len(rows) * lengths[rows].max() <= budget
    assert lengths[batches[0]].max() == lengths.max()
    assert padding_share(lengths, batches) < 0.08


@pytest.mark.parametrize("lengths", [[], [0, 0], [10_000], [5]])
def test_forward_of_odd_lengths(lengths):
    batches = plan_forward(np.array(lengths, dtype=int), 4096)
    assert sorted(row for rows in batches for row in rows) == list(range(len(lengths)))


def test_padding_share():
    lengths = np.array([2, 4, 3])
    assert padding_share(lengths, [np.array([0, 1]), np.array([2])]) == pytest.approx(1 - 9 / 11)
    assert padding_share(lengths, []) == 0.0


def test_a_few_texts_of_many_lengths_are_not_padded_to_the_longest():
    lengths = np.random.default_rng(0).integers(4, 200, 300)
    batches = plan_forward(lengths)
    assert sorted(np.concatenate(batches)) == list(range(300))
    assert padding_share(lengths, batches) < 0.1
    assert all(len(rows) >= 8 for rows in batches[:-1])


def test_equal_lengths_fill_the_token_budget():
    assert [len(rows) for rows in plan_forward(np.full(100, 64), tokens=4096)] == [64, 36]
