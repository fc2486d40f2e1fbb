"""Contrastive few-shot tuning and soups, and what every strategy promises."""

from pathlib import Path

import numpy as np
import pytest
import torch

import nlptl
from nlptl.errors import ConfigError
from nlptl.models.building import build_classifier
from nlptl.models.prototypes import PrototypeModel
from nlptl.registry import STRATEGIES
from nlptl.strategies import soup
from nlptl.training import loop
from tests.conftest import QUICK

TUNE = {**QUICK, "training.epochs": 5, "training.learning_rate": 3e-3}


# A strategy that needs more than a task and its data has tests of its own.
@pytest.mark.parametrize("name", [name for name in STRATEGIES if not STRATEGIES.get(name).needs])
def test_every_strategy_gives_a_run_that_says_how_it_was_made(tiny, obvious, tmp_path, name):
    assert STRATEGIES.help(name)
    needed = {"domain_adaptation": {"data.target": str(obvious)}, "soup": {"soup.members": 2}}
    run = nlptl.train(
        "sentiment",
        data=obvious,
        strategy=name,
        checkpoint=tiny["distilbert"],
        output=tmp_path / "run",
        settings={**QUICK, **needed.get(name, {})},
    )
    assert run.artifact.config.strategy == name
    assert not (run.folder / "state").exists()
    again = nlptl.train(config=run.folder / "run.yaml", output=tmp_path / "again")
    assert again.metrics["test"] == run.metrics["test"]


def test_unknown_strategies_and_frozen_encoders_are_refused(tmp_path):
    with pytest.raises(ConfigError, match="Did you mean 'contrastive'"):
        nlptl.train("sentiment", strategy="contrastiv", output=tmp_path / "run")
    for name in ("contrastive", "soup"):
        with pytest.raises(ConfigError, match="Use --mode full"):
            nlptl.train("sentiment", strategy=name, mode="feature_extraction", output=tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("mode", ["full", "lora"])
def test_contrast_teaches_the_encoder_from_few_labels(train, tiny, obvious, tmp_path, mode):
    settings = {**TUNE, "data.shots": 16}
    given = {"checkpoint": tiny["bert"], "mode": mode}
    run = train("sentiment", obvious, tmp_path / mode, settings, strategy="contrastive", **given).run
    epochs = run.metrics["training"]["epochs"]
    best = run.metrics["training"]["best_epoch"]
    assert best > 0
    assert epochs[best]["accuracy"] > epochs[0]["accuracy"] or epochs[best]["loss"] < epochs[0]["loss"]
    assert run.metrics["training"]["losses"][-1] < run.metrics["training"]["losses"][0]
    assert run.metrics["test"]["accuracy"] > 0.6


def test_prototypes_start_as_mean_directions_and_fold_into_a_linear_head(tiny):
    torch.manual_seed(0)
    classifier = build_classifier(Path(tiny["bert"]), "mean", ["a", "b"], False, 0.0)
    features, targets = torch.randn(6, 32), torch.tensor([0, 0, 0, 1, 1, 1])
    model = PrototypeModel(classifier, features, targets, 0.1)
    mean = torch.nn.functional.normalize(features, dim=1)[:3].mean(0)
    cosine = torch.nn.functional.cosine_similarity(model.prototypes[0], mean, dim=0)
    assert float(cosine) == pytest.approx(1.0, abs=1e-6)
    inputs = {"input_ids": torch.arange(5, 15).reshape(2, 5), "attention_mask": torch.ones(2, 5, dtype=torch.long)}
    with torch.no_grad():
        raw, logits = classifier.features(inputs), model(inputs)
    length = float(raw.norm(dim=1)[0])
    folded = model.as_head(length).logits(raw.numpy())
    np.testing.assert_allclose(folded[0], logits[0].numpy(), atol=1e-4)
    assert (folded.argmax(1) == logits.argmax(1).numpy()).all()
    assert logits.abs().max() <= 1 / 0.1 + 1e-4


def test_a_soup_is_the_mean_of_members_that_share_their_start(train, tiny, obvious, tmp_path, monkeypatch):
    eaten, starts = [], []
    average, fit = soup.average, loop.fit

    def tasting(members):
        eaten.append(members)
        return average(members)

    def starting(runtime, model, *rest):
        starts.append({n: p.detach().clone() for n, p in model.named_parameters()})
        return fit(runtime, model, *rest)

    monkeypatch.setattr(soup, "average", tasting)
    monkeypatch.setattr("nlptl.strategies.stages.fit", starting)
    settings = {**TUNE, "soup.members": 2, "soup.recipe": "uniform", "model.head_start": "random"}
    made = train("sentiment", obvious, tmp_path / "run", settings, checkpoint=tiny["bert"], strategy="soup")
    assert len(starts) == 2
    for name, tensor in starts[0].items():
        assert torch.equal(tensor, starts[1][name]), name
    first, second = eaten[-1]
    weights = dict(made.classifier.named_parameters())
    assert any(not torch.equal(first[name], second[name]) for name in first)
    for name in first:
        torch.testing.assert_close(weights[name].detach(), (first[name] + second[name]) / 2)
    notes = made.run.metrics["training"]["soup"]
    assert notes["greedy"] >= max(notes["members"])


def test_a_stopped_soup_keeps_its_finished_members(tiny, obvious, tmp_path, monkeypatch):
    given = {"task": "sentiment", "data": obvious, "checkpoint": tiny["bert"], "strategy": "soup"}
    given["settings"] = {**TUNE, "soup.members": 2}
    whole = nlptl.train(**given, output=tmp_path / "whole")
    steps_fit, calls = loop.fit, []

    def stopping(*arguments):
        calls.append(arguments[4])
        if len(calls) == 2:
            raise KeyboardInterrupt
        return steps_fit(*arguments)

    monkeypatch.setattr("nlptl.strategies.stages.fit", stopping)
    with pytest.raises(KeyboardInterrupt):
        nlptl.train(**given, output=tmp_path / "run")
    resumed = nlptl.train(**given, output=tmp_path / "run")
    assert calls == [0, 1, 1]
    assert resumed.metrics["test"] == whole.metrics["test"]
