"""A model that trains the occurring words alone learns what the full one learns, and is full again afterwards."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from nlptl.kernels.embeddings import UsedEmbedding, only_used_words
from nlptl.models.building import build_classifier

USED = np.array([0, 3, 4, 7, 9])


@pytest.fixture
def classifier(tiny):
    torch.manual_seed(0)
    return build_classifier(Path(tiny["bert"]), "mean", ["a", "b"], False, 0.0)


def batch(*texts: list[int]) -> dict[str, torch.Tensor]:
    ids = torch.tensor(texts)
    return {"input_ids": ids, "attention_mask": (ids != 0).long(), "token_type_ids": torch.zeros_like(ids)}


def steps(classifier, count: int = 3) -> None:
    """AdamW without decay: what tells the whole table from its used rows is decay alone."""
    optimizer = torch.optim.AdamW(classifier.parameters(), lr=1e-2, weight_decay=0.0, fused=True)
    classifier.train()
    for _ in range(count):
        classifier(batch([3, 4, 7, 9], [9, 3, 0, 0])).square().sum().backward()
        optimizer.step()
        optimizer.zero_grad()


def test_training_the_used_words_alone_gives_the_same_model(classifier, tiny):
    torch.manual_seed(0)
    whole = build_classifier(Path(tiny["bert"]), "mean", ["a", "b"], False, 0.0)
    steps(whole)
    before = classifier.encoder.get_input_embeddings()
    with only_used_words(classifier.encoder, USED):
        light = classifier.encoder.get_input_embeddings()
        assert isinstance(light, UsedEmbedding)
        assert light.weight.shape == (5, 32)
        steps(classifier)
    assert classifier.encoder.get_input_embeddings() is before
    assert whole.state_dict().keys() == classifier.state_dict().keys()
    for name, tensor in whole.state_dict().items():
        torch.testing.assert_close(classifier.state_dict()[name], tensor, atol=1e-6, rtol=1e-5)
    assert not torch.equal(before.weight[3], torch.zeros(32))


def test_padding_still_gets_no_gradient(classifier):
    with only_used_words(classifier.encoder, USED):
        classifier.train()
        classifier(batch([3, 4, 0, 0])).sum().backward()
        gradient = classifier.encoder.get_input_embeddings().weight.grad
    assert not gradient[0].any()  # padding
    assert gradient[1].any() and not gradient[4].any()  # token 3; token 9 is not in the batch


def test_words_outside_the_training_texts_are_known_when_it_is_evaluated(classifier):
    unseen = batch([5, 6, 8, 3])
    expected = classifier.eval()(unseen)
    with only_used_words(classifier.encoder, USED):
        torch.testing.assert_close(classifier.eval()(unseen), expected, atol=0, rtol=0)
        steps(classifier)
        learned = classifier.eval()(unseen)
        assert not torch.equal(learned, expected)
    torch.testing.assert_close(classifier.eval()(unseen), learned, atol=0, rtol=0)


def test_it_is_put_back_when_training_fails(classifier):
    with pytest.raises(KeyError), only_used_words(classifier.encoder, USED):
        raise KeyError
    assert type(classifier.encoder.get_input_embeddings()) is nn.Embedding


def test_frozen_or_widely_used_or_unknown_words_stay_whole(classifier):
    embedding = classifier.encoder.get_input_embeddings()
    for tokens in (None, np.arange(embedding.num_embeddings // 2 + 1)):
        with only_used_words(classifier.encoder, tokens):
            assert classifier.encoder.get_input_embeddings() is embedding
    embedding.weight.requires_grad_(False)
    with only_used_words(classifier.encoder, USED):
        assert classifier.encoder.get_input_embeddings() is embedding
