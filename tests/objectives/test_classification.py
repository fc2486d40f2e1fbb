import numpy as np
import pytest
import torch

from nlptl.objectives.classification import Classification, balanced_weights

LOGITS = torch.tensor([[2.0, -1.0, 0.5], [0.0, 0.0, 0.0], [-3.0, 1.0, 4.0]])
IDS = torch.tensor([0, 2, 1])
MANY = torch.tensor([[1.0, 0.0, 1.0], [0.0, 0.0, 0.0], [1.0, 1.0, 1.0]])


def test_one_loss_per_row():
    expected = [-float(np.log(np.exp(row[i]) / np.exp(row).sum())) for row, i in zip(LOGITS.numpy(), IDS, strict=True)]
    assert Classification()(LOGITS, IDS).tolist() == pytest.approx(expected, abs=1e-6)


def test_smoothing_spreads_a_share_of_the_target_evenly():
    logs = LOGITS.log_softmax(-1)
    target = torch.full((3, 3), 0.3 / 3) + 0.7 * torch.eye(3)[IDS]
    torch.testing.assert_close(Classification(0.3)(LOGITS, IDS), -(target * logs).sum(-1))


def test_weights_scale_the_rows_of_their_label():
    weights = torch.tensor([0.5, 2.0, 1.0])
    torch.testing.assert_close(
        Classification(class_weights=weights)(LOGITS, IDS), Classification()(LOGITS, IDS) * weights[IDS]
    )


def test_several_labels_sum_their_sigmoid_losses():
    p = LOGITS.sigmoid()
    losses = -(MANY * p.log() + (1 - MANY) * (1 - p).log())
    torch.testing.assert_close(Classification()(LOGITS, MANY), losses.sum(-1))
    weights = torch.tensor([0.5, 2.0, 1.0])
    torch.testing.assert_close(Classification(class_weights=weights)(LOGITS, MANY), (losses * weights).sum(-1))


def test_smoothing_of_several_labels_goes_towards_one_half():
    p = LOGITS.sigmoid()
    target = 0.8 * MANY + 0.1
    expected = -(target * p.log() + (1 - target) * (1 - p).log()).sum(-1)
    torch.testing.assert_close(Classification(0.2)(LOGITS, MANY), expected)


def test_a_row_weighs_the_same_in_any_batch():
    objective = Classification(0.1, torch.tensor([0.5, 2.0, 1.0]))
    together = objective(LOGITS, IDS)
    alone = torch.cat([objective(LOGITS[i : i + 1], IDS[i : i + 1]) for i in range(3)])
    torch.testing.assert_close(together, alone)


def test_half_precision_logits_give_float_losses():
    assert Classification()(LOGITS.bfloat16(), IDS).dtype == torch.float32


def test_balanced_weights_average_one_over_the_rows():
    targets = np.array([0, 0, 0, 1, 2, 2])
    weights = balanced_weights(targets, 3)
    assert weights.tolist() == pytest.approx([6 / 9, 6 / 3, 6 / 6])
    assert float(weights[torch.from_numpy(targets)].mean()) == pytest.approx(1.0)


def test_balanced_weights_of_a_label_without_rows_are_finite():
    assert balanced_weights(np.array([0, 0, 1]), 3).isfinite().all()


def test_balanced_weights_of_several_labels():
    weights = balanced_weights(MANY.numpy(), 3)
    assert weights.tolist() == pytest.approx([5 / 6, 5 / 3, 5 / 6])


def test_focal_loss_of_a_hand_made_row():
    """p = 0.5, 0.9: losses (1 - p)^2 * -log p."""
    logits = torch.tensor([[0.0, 0.0], [float(np.log(9.0)), 0.0]])
    found = Classification(gamma=2.0)(logits, torch.tensor([0, 0]))
    assert found.tolist() == pytest.approx([0.25 * -np.log(0.5), 0.01 * -np.log(0.9)], rel=1e-4)
    of_two = Classification(gamma=2.0)(torch.tensor([[0.0, float(np.log(9.0))]]), torch.tensor([[1.0, 1.0]]))
    assert of_two.tolist() == pytest.approx([0.25 * -np.log(0.5) + 0.01 * -np.log(0.9)], rel=1e-4)


@pytest.mark.parametrize("targets", [IDS, MANY])
def test_focal_loss_falls_to_cross_entropy_and_keeps_weights(targets):
    weights = torch.tensor([0.5, 2.0, 1.0])
    plain, focal = (Classification(0.1, weights, gamma)(LOGITS, targets) for gamma in (0.0, 1e-9))
    torch.testing.assert_close(plain, focal)
    assert (Classification(0.1, weights, 2.0)(LOGITS, targets) < plain).all()


@pytest.mark.parametrize("targets", [torch.tensor([0]), torch.tensor([[1.0, 0.0]])])
@pytest.mark.parametrize("gamma", [0.5, 2.0])
def test_gradients_of_a_sure_row_are_finite(targets, gamma):
    logits = torch.tensor([[200.0, -200.0]], requires_grad=True)
    Classification(gamma=gamma)(logits, targets).sum().backward()
    assert logits.grad.isfinite().all()
