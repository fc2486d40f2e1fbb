import math
from pathlib import Path

import pytest
import torch

from nlptl.config.model import LoraSettings
from nlptl.config.training import ResolvedTraining
from nlptl.models.building import build_classifier
from nlptl.registry import MODES
from nlptl.training.optimizer import build_optimizer, rate_factor, set_rate


def peaks(classifier, **settings) -> dict[str, tuple[float, float]]:
    """Name -> (peak learning rate, weight decay) of every parameter that is optimised."""
    settings = {"epochs": 1, "batch_size": 8, "learning_rate": 1e-3, "weight_decay": 0.1, **settings}
    optimizer = build_optimizer(classifier, ResolvedTraining(**settings))
    names = {id(p): name for name, p in classifier.named_parameters()}
    found = [(names[id(p)], (g["peak"], g["weight_decay"])) for g in optimizer.param_groups for p in g["params"]]
    assert len(found) == len(dict(found)), "a parameter is in two groups"
    return dict(found)


@pytest.mark.parametrize("architecture", ["bert", "distilbert", "roberta"])
def test_every_trainable_parameter_is_in_one_group_and_biases_and_norms_do_not_decay(tiny, architecture):
    classifier = build_classifier(Path(tiny[architecture]), "cls", ["a", "b"], False, 0.0)
    found = peaks(classifier)
    assert found.keys() == {name for name, _ in classifier.named_parameters()}
    for name, (_, decay) in found.items():
        plain = name.endswith("bias") or "norm" in name.lower()
        assert decay == (0.0 if plain else 0.1), name
    assert {decay for _, decay in found.values()} == {0.0, 0.1}


@pytest.mark.parametrize("architecture", ["bert", "distilbert", "roberta"])
def test_each_layer_learns_slower_than_the_one_above_and_the_head_has_its_own_rate(tiny, architecture):
    classifier = build_classifier(Path(tiny[architecture]), "cls", ["a", "b"], False, 0.0)
    found = peaks(classifier, layer_decay=0.5, head_learning_rate=7e-3)
    for name, (rate, _) in found.items():
        if name in classifier.own:
            expected = 7e-3
        elif "embeddings" in name:
            expected = 1e-3 * 0.5**2
        elif "layer.0." in name:
            expected = 1e-3 * 0.5
        else:  # the upper layer, and the pooler above it
            expected = 1e-3
        assert rate == pytest.approx(expected), name
    assert len({rate for rate, _ in found.values()}) == 4


def test_without_a_rate_of_its_own_the_head_learns_like_the_rest(tiny):
    classifier = build_classifier(Path(tiny["bert"]), "mean", ["a", "b"], False, 0.0)
    assert {rate for rate, _ in peaks(classifier).values()} == {1e-3}


def test_lora_optimises_adapters_and_head_only(tiny):
    classifier = build_classifier(Path(tiny["bert"]), "mean", ["a", "b"], False, 0.0)
    MODES.get("lora")().apply(classifier, LoraSettings(rank=4))
    found = peaks(classifier, layer_decay=0.5)
    assert all("lora_" in name or name.startswith("_head") for name in found)
    assert sum("lora_" in name for name in found) == 2 * 12
    below = {rate for name, (rate, _) in found.items() if "layer.0." in name}
    assert below == {5e-4}


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        ("linear", [1 / 3, 2 / 3, 1.0, 7 / 8, 6 / 8, 5 / 8, 4 / 8, 3 / 8, 2 / 8, 1 / 8]),
        ("cosine", [1 / 3, 2 / 3, *((1 + math.cos(math.pi * k / 8)) / 2 for k in range(8))]),
        ("constant", [1 / 3, 2 / 3, *[1.0] * 8]),
    ],
)
def test_schedules_step_by_step(schedule, expected):
    assert [rate_factor(step, 10, schedule, 0.2) for step in range(10)] == pytest.approx(expected)


def test_without_warm_up_the_first_step_has_the_peak_rate():
    assert rate_factor(0, 10, "linear", 0.0) == 1.0
    assert rate_factor(0, 1, "cosine", 0.0) == 1.0


def test_rates_keep_their_proportions():
    weights = [torch.nn.Parameter(torch.zeros(1)) for _ in range(2)]
    optimizer = torch.optim.AdamW(
        [{"params": [w], "lr": r, "peak": r} for w, r in zip(weights, (1e-3, 1e-2), strict=True)]
    )
    for factor in (0.5, 0.25):
        set_rate(optimizer, factor)
        assert [g["lr"] for g in optimizer.param_groups] == pytest.approx([1e-3 * factor, 1e-2 * factor])


def test_layers_unfreeze_from_the_top_while_the_head_learns_from_the_first_step(tiny):
    classifier = build_classifier(Path(tiny["bert"]), "mean", ["a", "b"], False, 0.0)
    settings = {"epochs": 1, "batch_size": 8, "learning_rate": 1e-3, "unfreeze": 0.6}
    optimizer = build_optimizer(classifier, ResolvedTraining(**settings))
    names = {id(p): name for name, p in classifier.named_parameters()}

    def learning(done: float) -> set[str]:
        set_rate(optimizer, 0.5, done)
        groups = [g for g in optimizer.param_groups if g["lr"] > 0]
        assert all(g["lr"] == pytest.approx(g["peak"] * 0.5) for g in groups)
        found = [names[id(p)] for g in groups for p in g["params"]]
        places = ("_head", "layer.1", "layer.0", "embeddings")
        return {next(place for place in places if place in name) for name in found}

    head, upper, lower, embeddings = {"_head"}, {"layer.1"}, {"layer.0"}, {"embeddings"}
    assert learning(0.0) == learning(0.19) == head
    assert learning(0.2) == learning(0.39) == head | upper
    assert learning(0.4) == learning(0.59) == head | upper | lower
    assert learning(0.6) == learning(1.0) == head | upper | lower | embeddings
