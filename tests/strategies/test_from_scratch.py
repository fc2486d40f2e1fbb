import json

import pytest
from safetensors.torch import load_file

import nlptl
from nlptl.errors import ConfigError

RANDOM = {"model.weights": "random", "runtime.progress": False, "runtime.precision": "fp32"}


@pytest.mark.parametrize("pooling", ["cls", "mean"])
def test_nothing_of_the_checkpoint_is_used_but_its_architecture(tiny, obvious, tmp_path, pooling):
    settings = {**RANDOM, "model.pooling": pooling, "training.epochs": 1, "training.learning_rate": 1e-9}
    settings["training.head_learning_rate"] = 1e-9
    run = nlptl.train("sentiment", data=obvious, checkpoint=tiny["bert"], output=tmp_path / "run", settings=settings)
    config = run.artifact.config
    assert (config.model.head_start, config.training.layer_decay, config.model.dropout) == ("random", 1.0, 0.1)
    assert "probe_regularisation" not in run.metrics["training"]
    name = "embeddings.word_embeddings.weight"
    theirs = load_file(f"{tiny['bert']}/model.safetensors")[name]
    ours = dict(run.artifact.classifier.encoder.named_parameters())[name].detach()
    assert ours.shape == theirs.shape
    assert (ours - theirs).abs().mean() > 0.05
    assert "random weights" in (run.folder / "README.md").read_text()
    assert json.loads((run.folder / "manifest.json").read_text())["whole"]


def test_random_weights_need_every_weight_to_learn(tiny, obvious, tmp_path):
    def train(**given):
        settings = {**RANDOM, **given.pop("settings", {})}
        output = tmp_path / "run"
        return nlptl.train(
            "sentiment", data=obvious, checkpoint=tiny["bert"], output=output, settings=settings, **given
        )

    for mode in ("lora", "feature_extraction"):
        with pytest.raises(ConfigError, match=f"cannot be trained in mode '{mode}'.*Use --mode full"):
            train(mode=mode)
    with pytest.raises(ConfigError, match="Leave it out"):
        train(settings={"model.head_start": "probe"})
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("pooling", ["cls", "mean"])
@pytest.mark.parametrize("first", ["pretrained", "random"])
def test_random_and_pretrained_encoders_never_share_cached_features(
    tiny, obvious, tmp_path, monkeypatch, first, pooling
):
    """With few rows both run contrastive tuning, which begins with frozen features."""

    def train(weights, cache):
        monkeypatch.setenv("NLPTL_CACHE", str(tmp_path / cache))
        settings = {
            **RANDOM,
            "model.weights": weights,
            "model.pooling": pooling,
            "model.dropout": 0.0,
            "data.shots": 5,
            "training.epochs": 1,
            "training.learning_rate": 1e-9,
            "training.head_learning_rate": 1e-9,
        }
        output = tmp_path / f"{cache}-{weights}"
        run = nlptl.train("sentiment", data=obvious, checkpoint=tiny["bert"], output=output, settings=settings)
        assert run.artifact.config.strategy == "contrastive"
        return run.metrics["test"]

    second = {"pretrained": "random", "random": "pretrained"}[first]
    train(first, "shared")
    assert train(second, "shared") == train(second, "own")
