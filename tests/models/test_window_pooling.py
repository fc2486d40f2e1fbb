import pytest
import torch

from nlptl.models.window_pooling import WindowPooling

FEATURES = torch.randn(7, 5, generator=torch.Generator().manual_seed(0))
BOUNDS = torch.tensor([0, 3, 4, 7])
TEXTS = [slice(0, 3), slice(3, 4), slice(4, 7)]


def test_each_way_is_what_it_says_text_by_text():
    head = torch.nn.Linear(5, 2)
    logits = head(FEATURES)
    for way, expected in (
        ("mean", [FEATURES[text].mean(0) for text in TEXTS]),
        ("max", [FEATURES[text].amax(0) for text in TEXTS]),
    ):
        features, answers = WindowPooling(way, 5).outputs(FEATURES, logits, BOUNDS, head)
        torch.testing.assert_close(features, torch.stack(expected))
        torch.testing.assert_close(answers, head(torch.stack(expected)))
    _, mean = WindowPooling("mean", 5).outputs(FEATURES, logits, BOUNDS, head)
    torch.testing.assert_close(mean, torch.stack([logits[text].mean(0) for text in TEXTS]))
    _, largest = WindowPooling("max_logits", 5).outputs(FEATURES, logits, BOUNDS, head)
    torch.testing.assert_close(largest, torch.stack([logits[text].amax(0) for text in TEXTS]))


def test_attention_starts_as_the_mean_and_learns_its_weights():
    pooling = WindowPooling("attention", 5)
    torch.testing.assert_close(pooling.features(FEATURES, BOUNDS), WindowPooling("mean", 5).features(FEATURES, BOUNDS))
    with torch.no_grad():
        pooling.query.copy_(200 * torch.arange(5.0))
    weights = [(FEATURES[text] @ pooling.query).softmax(0) for text in TEXTS]
    expected = torch.stack([w @ FEATURES[text] for w, text in zip(weights, TEXTS, strict=True)])
    found = pooling.features(FEATURES, BOUNDS)
    torch.testing.assert_close(found, expected)
    pooling.query.data.zero_()
    pooling.features(FEATURES, BOUNDS).square().sum().backward()
    assert pooling.query.grad.abs().sum() > 0


@pytest.mark.parametrize("way", ["mean", "max", "attention"])
def test_a_text_of_one_window_is_that_window(way):
    alone = WindowPooling(way, 5).features(FEATURES, torch.arange(8))
    torch.testing.assert_close(alone, FEATURES)
