import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from nlptl.models import linear_probe
from nlptl.models.linear_probe import fit_probe
from nlptl.objectives.classification import balanced_weights


def clusters(rows: int, classes: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(99).normal(size=(classes, 8))
    targets = rng.integers(classes, size=rows)
    return (centres[targets] + rng.normal(scale=1.5, size=(rows, 8))).astype(np.float32) * 3 + 1, targets


@pytest.mark.parametrize("strength", [0.1, 3.0])
def test_it_is_the_logistic_regression_of_scikit_learn(strength):
    features, targets = clusters(200, 3)
    head = fit_probe(features, targets, 3, [strength])
    scaled = (features - features.mean(0)) / (features.std(0) * 8**0.5)
    reference = LogisticRegression(C=strength, tol=1e-8, max_iter=2000).fit(scaled, targets)
    ours = torch.softmax(torch.from_numpy(head.logits(features)), 1).numpy()
    np.testing.assert_allclose(ours, reference.predict_proba(scaled), atol=2e-3)


def test_balanced_class_weights_are_those_of_scikit_learn():
    features, targets = clusters(300, 3)
    keep = (targets == 0) | (np.arange(300) % 4 == 0)
    features, targets = features[keep], targets[keep]
    head = fit_probe(features, targets, 3, [1.0], class_weights=balanced_weights(targets, 3))
    scaled = (features - features.mean(0)) / (features.std(0) * 8**0.5)
    reference = LogisticRegression(C=1.0, class_weight="balanced", tol=1e-8, max_iter=2000).fit(scaled, targets)
    ours = torch.softmax(torch.from_numpy(head.logits(features)), 1).numpy()
    np.testing.assert_allclose(ours, reference.predict_proba(scaled), atol=2e-3)


def test_validation_chooses_the_strength_with_the_lowest_loss():
    features, targets = clusters(60, 2)
    held_out = clusters(400, 2, seed=1)
    path = [1e-4, 1e-2, 1.0, 100.0]
    losses = {}
    for strength in path:
        logits = torch.from_numpy(fit_probe(features, targets, 2, [strength]).logits(held_out[0]))
        losses[strength] = float(torch.nn.functional.cross_entropy(logits, torch.from_numpy(held_out[1])))
    chosen = fit_probe(features, targets, 2, path, held_out)
    assert chosen.regularisation == min(losses, key=losses.__getitem__)
    assert chosen.regularisation not in (path[0],)


def test_several_labels_are_fitted_one_by_one():
    features, first = clusters(150, 2)
    second = (features[:, 0] > features[:, 0].mean()).astype(int)
    targets = np.stack([first, second], 1).astype(np.float32)
    logits = fit_probe(features, targets, 2, [10.0]).logits(features)
    scaled = (features - features.mean(0)) / (features.std(0) * 8**0.5)
    for column in range(2):
        reference = LogisticRegression(C=10.0, tol=1e-8, max_iter=2000).fit(scaled, targets[:, column])
        np.testing.assert_allclose(
            1 / (1 + np.exp(-logits[:, column])), reference.predict_proba(scaled)[:, 1], atol=5e-3
        )


def test_weights_of_several_labels_count_in_their_heads():
    """Losses of a label's own column count `weight` times: as if its regularisation were weaker by that factor."""
    features, first = clusters(240, 2)
    rare = (features[:, 0] > np.quantile(features[:, 0], 0.9)).astype(int)
    targets = np.stack([first, rare], 1).astype(np.float32)
    weights = balanced_weights(targets, 2)
    assert weights[1] > 2 * weights[0]
    logits = fit_probe(features, targets, 2, [1.0], class_weights=weights).logits(features)
    assert np.abs(logits - fit_probe(features, targets, 2, [1.0]).logits(features)).max() > 0.1
    scaled = (features - features.mean(0)) / (features.std(0) * 8**0.5)
    for column, weight in enumerate(weights.tolist()):
        reference = LogisticRegression(C=weight, tol=1e-8, max_iter=2000).fit(scaled, targets[:, column])
        np.testing.assert_allclose(
            1 / (1 + np.exp(-logits[:, column])), reference.predict_proba(scaled)[:, 1], atol=5e-3
        )


def test_constant_features_and_missing_classes_stay_finite():
    features, targets = clusters(40, 2)
    features[:, 3] = 7.0
    logits = fit_probe(features, targets, 5, [1.0], (features, targets)).logits(features)
    assert logits.shape == (40, 5)
    assert np.isfinite(logits).all()


def test_where_it_begins_changes_the_time_alone():
    features, targets = clusters(200, 3)
    other = fit_probe(features + 1.0, targets, 3, [3.0])
    expected, found = (fit_probe(features, targets, 3, [1.0], begin=begin) for begin in (None, other))
    np.testing.assert_allclose(found.logits(features), expected.logits(features), atol=0.02)


@pytest.mark.parametrize("kind", ["labels", "weighted labels", "several labels", "weighted several labels"])
def test_in_blocks_the_same_head_is_fitted(kind, monkeypatch):
    """Of two matrices, whose border lies inside a block, and whose last block is short."""
    features, targets = clusters(300, 3)
    features += 50  # what standardising has to take away
    weights = balanced_weights(targets, 3) if "weighted" in kind else None
    if "several" in kind:
        targets = np.stack([targets == 0, targets > 0, features[:, 0] > features[:, 0].mean()], 1).astype(np.float32)
    held_out = features[:50], targets[:50]
    whole = fit_probe(features, targets, 3, [0.1, 1.0, 10.0], held_out, weights)
    monkeypatch.setattr(linear_probe, "WHOLE", 0)
    monkeypatch.setattr(linear_probe, "BLOCK", 64)
    parts = fit_probe([features[:90], features[90:]], targets, 3, [0.1, 1.0, 10.0], held_out, weights)
    assert parts.regularisation == whole.regularisation
    ours, theirs = (torch.from_numpy(head.logits(features)).sigmoid() for head in (parts, whole))
    np.testing.assert_allclose(ours, theirs, atol=5e-3)


def test_large_features_are_never_standardised_whole(monkeypatch):
    features, targets = clusters(4000, 3)
    rows, loss_of = [], linear_probe._loss
    monkeypatch.setattr(linear_probe, "WHOLE", 0)
    monkeypatch.setattr(linear_probe, "BLOCK", 100)
    monkeypatch.setattr(
        linear_probe, "_loss", lambda logits, *given: rows.append(len(logits)) or loss_of(logits, *given)
    )
    fit_probe(features, targets, 3, [1.0])
    assert set(rows) == {100}


def test_matrices_that_follow_one_another_are_one():
    features, targets = clusters(200, 3)
    one, parts = fit_probe(features, targets, 3, [1.0]), fit_probe([features[:70], features[70:]], targets, 3, [1.0])
    assert torch.equal(one.weight, parts.weight) and torch.equal(one.bias, parts.bias)
