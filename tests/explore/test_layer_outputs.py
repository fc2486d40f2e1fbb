import numpy as np
import pytest
import torch
from scipy.optimize import minimize
from scipy.stats import multivariate_normal

from nlptl.explore.layer_outputs import layer_count, layer_outputs, linear_cka, split_layers
from nlptl.explore.transferability import log_me
from nlptl.models.building import build_classifier

RNG = np.random.default_rng(0)


def test_cka_knows_rotation_and_scale_from_change():
    x = RNG.normal(size=(60, 8))
    rotation = np.linalg.qr(RNG.normal(size=(8, 8)))[0]
    assert linear_cka(x, 3 * x @ rotation + 5) == pytest.approx(1.0)
    assert linear_cka(x, RNG.normal(size=(60, 3))) < 0.4
    y = x + RNG.normal(size=x.shape)
    centred = np.eye(60) - 1 / 60
    gram_x, gram_y = (centred @ m @ m.T @ centred for m in (x, y))  # the kernel form of the same measure
    expected = (gram_x * gram_y).sum() / np.sqrt((gram_x**2).sum() * (gram_y**2).sum())
    assert linear_cka(x, y) == pytest.approx(expected)
    assert np.isnan(linear_cka(x, np.ones((60, 2))))


@pytest.mark.parametrize("width", [4, 50])
def test_log_me_is_the_highest_evidence(width):
    features = RNG.normal(size=(30, width))
    targets = (features[:, 0] + 0.5 * RNG.normal(size=30) > 0).astype(np.int64)

    def negative_evidence(wanted):
        def of(logs):
            alpha, beta = np.exp(logs)
            covariance = features @ features.T / alpha + np.eye(30) / beta
            return -multivariate_normal(np.zeros(30), covariance).logpdf(wanted) / 30

        return of

    best = [-minimize(negative_evidence((targets == c) * 1.0), np.zeros(2), method="Nelder-Mead").fun for c in (0, 1)]
    assert log_me(features, targets, 2) == pytest.approx(np.mean(best), abs=1e-3)
    assert log_me(features, RNG.permutation(targets), 2) < log_me(features, targets, 2)
    assert log_me(features, np.eye(2, dtype=np.float32)[targets], 2) == log_me(features, targets, 2)


def test_one_pass_gives_every_layer(tiny):
    from pathlib import Path

    encoder = build_classifier(Path(tiny["bert"]), "mean", ["a", "b"], False, 0.0).eval().encoder
    inputs = {
        "input_ids": torch.tensor([[2, 9, 8, 3], [2, 9, 3, 0]]),
        "attention_mask": torch.tensor([[1] * 4, [1, 1, 1, 0]]),
    }
    with torch.inference_mode():
        found = split_layers(layer_outputs(encoder)(inputs).numpy(), layer_count(encoder))
        last = encoder(**inputs).last_hidden_state.numpy()
    assert set(found) == {(layer, pooling) for layer in range(3) for pooling in ("mean", "cls")}
    np.testing.assert_allclose(found[2, "cls"], last[:, 0], atol=1e-6)
    np.testing.assert_allclose(found[2, "mean"], [last[0].mean(0), last[1, :3].mean(0)], atol=1e-6)
