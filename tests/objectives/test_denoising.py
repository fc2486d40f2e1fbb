import numpy as np
import pytest
import torch
from torch.nn import functional as F

from nlptl.objectives.denoising import delete_tokens, reconstruction_losses


def test_what_is_left_keeps_its_order_and_the_special_tokens():
    ids = np.arange(12)
    deletable = np.ones(12, bool)
    deletable[[0, 11]] = False
    for seed in range(20):
        left = delete_tokens(ids, deletable, 0.6, np.random.default_rng(seed))
        assert len(left) == 6
        assert (np.diff(left) > 0).all()
        assert {0, 11} <= set(left)
    assert len(delete_tokens(ids[:3], np.array([False, True, False]), 0.9, np.random.default_rng(0))) == 3


def test_padding_weighs_nothing():
    torch.manual_seed(0)
    logits, targets = torch.randn(2, 4, 9), torch.randint(0, 9, (2, 4))
    real = torch.tensor([[True, True, False, False], [True] * 4])
    losses = reconstruction_losses(logits, targets, real)
    assert losses[0].item() == pytest.approx(F.cross_entropy(logits[0, :2], targets[0, :2]).item())
    assert losses[1].item() == pytest.approx(F.cross_entropy(logits[1], targets[1]).item())
