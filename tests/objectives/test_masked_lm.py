import numpy as np
import pytest
import torch
from torch.nn import functional as F

from nlptl.objectives.masked_lm import choose_tokens, hide_tokens, masked_lm_losses


def row(length: int = 42) -> tuple[np.ndarray, np.ndarray]:
    """Ids 5.. with a special token at both ends."""
    ids = np.arange(5, 5 + length)
    maskable = np.ones(length, bool)
    maskable[[0, -1]] = False
    return ids, maskable


def test_a_share_of_the_maskable_tokens_is_chosen_and_never_a_special_one():
    ids, maskable = row()
    for seed in range(20):
        chosen = choose_tokens(ids, maskable, 0.15, np.random.default_rng(seed))
        assert len(chosen) == 6 == len(set(chosen))
        assert maskable[chosen].all()
    assert len(choose_tokens(*row(3), 0.15, np.random.default_rng(0))) == 1
    assert len(choose_tokens(*row(2), 0.15, np.random.default_rng(0))) == 0


def test_every_token_gets_its_turn():
    ids, maskable = row()
    seen = {int(i) for seed in range(200) for i in choose_tokens(ids, maskable, 0.15, np.random.default_rng(seed))}
    assert seen == set(np.flatnonzero(maskable))


def test_words_are_chosen_whole():
    ids, maskable = row()
    continues = np.zeros(100, bool)
    continues[ids[[3, 4, 8, 20]]] = True  # words: 2-3-4, 7-8, 19-20
    sizes = []
    for seed in range(100):
        chosen = set(choose_tokens(ids, maskable, 0.15, np.random.default_rng(seed), continues))
        for word in ({2, 3, 4}, {7, 8}, {19, 20}):
            assert not word & chosen or word <= chosen
        sizes.append(len(chosen))
    assert 6 <= min(sizes) <= max(sizes) <= 8


def test_eighty_ten_ten():
    ids = np.full(20_000, 7)
    places = np.arange(0, 20_000, 2)
    hide_tokens(ids, places, 4, 1000, np.random.default_rng(0))
    assert (ids[1::2] == 7).all()
    shares = [(ids[places] == 4).mean(), (ids[places] == 7).mean()]
    np.testing.assert_allclose(shares, [0.8, 0.1], atol=0.015)


def test_each_row_weighs_its_own_mean():
    torch.manual_seed(0)
    logits, targets = torch.randn(5, 11), torch.tensor([1, 2, 3, 4, 5])
    losses = masked_lm_losses(logits, targets, torch.tensor([0, 0, 0, 2, 2]), 3)
    assert losses[0].item() == pytest.approx(F.cross_entropy(logits[:3], targets[:3]).item())
    assert losses[1] == 0
    assert losses[2].item() == pytest.approx(F.cross_entropy(logits[3:], targets[3:]).item())
