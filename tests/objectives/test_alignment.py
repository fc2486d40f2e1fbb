import numpy as np
import pytest
import torch

from nlptl.objectives.alignment import (
    confident_rows,
    coral_distance,
    domain_losses,
    information,
    mmd_distance,
    recolour,
    reversal_strength,
)


def rows(count: int, seed: int, scale: float = 1.0, shift: float = 0.0) -> torch.Tensor:
    return torch.randn(count, 6, generator=torch.Generator().manual_seed(seed)) * scale + shift


def test_coral_distance_is_the_published_formula():
    source, target = rows(50, 0), rows(40, 1, scale=2.0)
    difference = np.cov(source.numpy().T) - np.cov(target.numpy().T)
    assert coral_distance(source, target) == pytest.approx((difference**2).sum() / (4 * 6**2), rel=1e-4)
    assert coral_distance(source, source + 3.0) == pytest.approx(0.0, abs=1e-8)


def test_mmd_is_near_zero_for_one_distribution_and_not_for_two():
    same = [float(mmd_distance(rows(200, s), rows(200, s + 100))) for s in range(5)]
    moved = float(mmd_distance(rows(200, 0), rows(200, 1, shift=1.0)))
    assert abs(np.mean(same)) < 0.01
    assert moved > 0.1
    scaled = float(mmd_distance(100 * rows(200, 0), 100 * rows(200, 1, shift=1.0)))
    assert scaled == pytest.approx(moved, rel=1e-3)


@pytest.mark.parametrize("distance", [coral_distance, mmd_distance])
def test_following_the_gradient_draws_domains_together(distance):
    source, target = rows(60, 0), rows(60, 1, scale=2.0)
    factor = torch.ones(6, requires_grad=True)
    before = distance(source, target * factor)
    before.backward()
    after = distance(source, target * (factor - 0.2 * factor.grad.sign()).detach())
    assert after < before


@pytest.mark.parametrize("distance", [coral_distance, mmd_distance])
def test_a_single_row_has_no_distribution_but_a_gradient(distance):
    source = rows(1, 0).requires_grad_()
    value = distance(source, rows(5, 1))
    value.backward()
    assert value.item() == 0.0
    assert source.grad is not None


def test_domain_losses_are_per_row():
    losses = domain_losses(torch.tensor([0.0, 30.0, -30.0]), torch.tensor([True, True, True]))
    assert losses.tolist() == pytest.approx([np.log(2), 0.0, 30.0], abs=1e-4)


def test_reversal_rises_from_nothing_to_all():
    assert reversal_strength(0.0) == 0.0
    assert reversal_strength(1.0) == pytest.approx(1.0, abs=1e-3)
    steps = [reversal_strength(x / 10) for x in range(11)]
    assert steps == sorted(steps)


def test_recoloured_source_has_the_targets_mean_and_covariance():
    mixing = np.random.default_rng(0).normal(size=(6, 6))
    source = rows(4000, 0).numpy()
    target = (rows(4000, 1).numpy() @ mixing + 2.0).astype(np.float32)
    weight, offset = recolour(source, target, 1e-6)
    coloured = source @ weight + offset
    np.testing.assert_allclose(coloured.mean(0), target.mean(0), atol=1e-3)
    np.testing.assert_allclose(np.cov(coloured.T), np.cov(target.T), rtol=1e-2, atol=1e-2)
    # Wholly shrunk, only means and sizes are matched: no direction is told from another.
    plain, _ = recolour(source, target, 1.0)
    np.testing.assert_allclose(plain, plain[0, 0] * np.eye(6), atol=1e-5)


def test_the_most_confident_rows_of_each_label_are_pseudo_labelled():
    sure = np.array([0.99, 0.98, 0.97, 0.96, 0.95, 0.94, 0.2, 0.3, 0.4, 0.45])
    probabilities = np.stack([sure, 1 - sure], 1)
    assert confident_rows(probabilities, 0.4, np.array([0.5, 0.5])).tolist() == [0, 1, 6, 7]
    # Four rows are predicted as the second label; its part of all ten would be five.
    assert confident_rows(probabilities, 1.0, np.array([0.5, 0.5])).tolist() == [0, 1, 2, 3, 4, 6, 7, 8, 9]
    assert confident_rows(probabilities, 0.4, np.array([0.75, 0.25])).tolist() == [0, 1, 2, 6]


def test_information_needs_confidence_and_both_labels():
    assert information(np.array([[1.0, 0.0], [0.0, 1.0]])) == pytest.approx(np.log(2))
    assert information(np.array([[1.0, 0.0], [1.0, 0.0]])) == pytest.approx(0.0, abs=1e-9)
    assert information(np.array([[0.5, 0.5], [0.5, 0.5]])) == pytest.approx(0.0, abs=1e-9)
