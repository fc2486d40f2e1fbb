import numpy as np
import pytest
import torch

from nlptl.models.aligned import AlignedClassifier, LinearMap, reverse_gradient
from nlptl.models.linear_probe import LinearHead


@pytest.fixture
def features() -> np.ndarray:
    return np.random.default_rng(0).normal(2.0, 3.0, size=(50, 8)).astype(np.float32)


@pytest.fixture
def head() -> LinearHead:
    torch.manual_seed(0)
    return LinearHead(torch.randn(3, 8), torch.randn(3), 1.0)


def test_reversed_gradient_has_the_other_sign_and_the_strength():
    features = torch.ones(2, 3, requires_grad=True)
    out = reverse_gradient(features, 0.25)
    assert torch.equal(out, features)
    (3.0 * out).sum().backward()
    assert torch.equal(features.grad, torch.full((2, 3), -0.75))


def test_a_map_starts_as_its_head_and_folds_into_one(features, head):
    model = LinearMap(head, features)
    rows = torch.from_numpy(features)
    np.testing.assert_allclose(model.outputs(rows)[1].detach(), head.logits(features), atol=1e-4)
    with torch.no_grad():
        model.change.weight.normal_(std=0.3)
    folded = model.folded(2.0)
    np.testing.assert_allclose(folded.logits(features), model.outputs(rows)[1].detach(), atol=1e-4)
    assert folded.regularisation == 2.0


def test_the_discriminator_learns_while_features_unlearn_the_domain(features, head):
    model = AlignedClassifier(LinearMap(head, features), discriminate=True, hidden=8)
    rows = torch.from_numpy(features)
    gradients = []
    for strength in (0.5, 1.0):
        model.zero_grad()
        model(rows, strength).domains.sum().backward()
        change, first = model.classifier.change.weight.grad.clone(), model.discriminator[0].weight.grad.clone()
        gradients.append((change, first))
    torch.testing.assert_close(gradients[1][0], 2 * gradients[0][0])
    torch.testing.assert_close(gradients[1][1], gradients[0][1])


def test_without_a_strength_there_are_only_logits(features, head):
    model = AlignedClassifier(LinearMap(head, features), discriminate=False, hidden=8)
    rows = torch.from_numpy(features)
    assert torch.equal(model(rows), model(rows, 0.0).logits)
    assert model(rows, 0.0).domains is None
    assert {id(p) for p in model.own.values()} == {id(p) for p in model.parameters()}
    assert model.encoder is None
    assert (model.depth, model.packs) == (0, False)
