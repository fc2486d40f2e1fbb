import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

import nlptl
from nlptl.checkpoints import resolve_checkpoint
from nlptl.errors import ArtifactError, ConfigError, NlptlError
from nlptl.models.opening import load_tokenizer
from nlptl.pretraining import pretrain as pretraining
from nlptl.training.resume import states as checkpointing

QUICK = {
    "runtime.precision": "fp32",
    "runtime.progress": False,
    "corpus.max_length": 16,
    "corpus.held_out": 0.2,
    "training.batch_size": 8,
    "evaluations": 2,
}


@pytest.fixture(scope="module")
def corpus(obvious: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("corpus") / "texts.txt"
    file.write_text("\n".join(pd.concat([pd.read_csv(path) for path in sorted(obvious.glob("*.csv"))])["text"]))
    return file


def learn(corpus: Any, output: Path, settings: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    folder = nlptl.pretrain(corpus, output=output, settings={**QUICK, **(settings or {})}, **more)
    assert folder == output
    return json.loads((folder / "pretraining.json").read_text())


def perplexities(noted: dict[str, Any]) -> list[float]:
    return [entry["perplexity"] for entry in noted["training"]["evaluations"]]


def test_from_scratch_then_chained_then_trained(corpus, obvious, train, tmp_path):
    """Data collection, model design, training; its result goes on on task text, and then becomes a classifier."""
    settings = {"tokenizer.size": 200, "training.learning_rate": 5e-3}
    first = learn(corpus, tmp_path / "first", settings, shape="tiny", steps=40)
    measured = perplexities(first)
    assert min(measured) < 0.5 * measured[0]
    assert first["corpus"]["texts"] == 119
    found = resolve_checkpoint(str(tmp_path / "first"))
    assert found.pooling == "mean"
    second = learn(str(obvious), tmp_path / "second", task="sentiment", checkpoint=tmp_path / "first", steps=4)
    assert second["corpus"]["texts"] == 67  # the training texts alone
    assert [entry["from"]["shape"] for entry in second["history"]] == ["tiny"]
    assert second["from"]["revision"] == found.revision
    assert perplexities(second)[0] < 0.7 * measured[0]  # the head went on too
    run = train(
        "sentiment", obvious, tmp_path / "run", checkpoint=str(tmp_path / "second"), mode="feature_extraction"
    ).run
    assert run.artifact.classifier.pooling == "unit_mean"


@pytest.mark.parametrize("name", ["bert", "roberta"])
def test_masked_lm_on_a_checkpoint_with_new_words(name, corpus, tiny, tmp_path):
    texts = [f"{line} altogether unforgettable" for line in corpus.read_text().splitlines()]
    settings = {"tokenizer.extend": 1, "details.whole_words": True, "training.learning_rate": 3e-3}
    noted = learn(None, tmp_path / "out", settings, texts=texts, checkpoint=tiny[name], steps=12)
    assert noted["corpus"]["new_words"] == ["unforgettable"]
    assert perplexities(noted)[-1] < perplexities(noted)[0]
    tokenizer = load_tokenizer(tmp_path / "out")
    assert "unforgettable" in tokenizer.tokenize("an unforgettable film")[-2].lstrip()
    weights = load_file(tmp_path / "out" / "model.safetensors")
    embeddings = next(tensor for key, tensor in weights.items() if key.endswith("word_embeddings.weight"))
    assert len(embeddings) == len(tokenizer) == len(load_tokenizer(Path(tiny[name]))) + 1


@pytest.mark.parametrize("objective", ["simcse", "tsdae"])
def test_without_labels_to_features(objective, corpus, tiny, obvious, train, tmp_path):
    noted = learn(corpus, tmp_path / "out", {"pooling": "mean"}, checkpoint=tiny["bert"], objective=objective, steps=6)
    losses = [entry["loss"] for entry in noted["training"]["evaluations"]]
    assert min(losses) < losses[0]
    assert noted["pooling"] == "mean"
    assert {path.name for path in (tmp_path / "out").iterdir()} >= {"model.safetensors", "pretrain.yaml", "log.txt"}
    train("sentiment", obvious, tmp_path / "run", checkpoint=str(tmp_path / "out"), mode="feature_extraction")


def test_no_steps_is_the_untrained_encoder(corpus, tmp_path):
    for name in ("a", "b"):
        noted = learn(corpus, tmp_path / name, {"tokenizer.size": 150}, shape="tiny", steps=0)
        assert noted["settings"]["training"]["learning_rate"] == 3e-3  # of this shape
    first, second = (load_file(tmp_path / name / "model.safetensors") for name in ("a", "b"))
    assert all(torch.equal(first[key], second[key]) for key in first)
    assert not (tmp_path / "a.unfinished").exists()


def test_a_stopped_training_goes_on_to_the_same_weights(corpus, tiny, tmp_path, monkeypatch):
    settings = {**QUICK, "evaluations": 3}
    learn(corpus, tmp_path / "whole", settings, checkpoint=tiny["bert"], steps=9)
    monkeypatch.setattr(checkpointing.StateFolder, "due", lambda self, step, every=None: True)
    measure, calls = pretraining.held_out_loss, iter(range(100))

    def stop(*given: Any) -> float:
        if next(calls) == 2:
            raise KeyboardInterrupt
        return measure(*given)

    monkeypatch.setattr(pretraining, "held_out_loss", stop)
    with pytest.raises(KeyboardInterrupt):
        learn(corpus, tmp_path / "parted", settings, checkpoint=tiny["bert"], steps=9)
    assert not (tmp_path / "parted").exists()
    with pytest.raises(ArtifactError, match="other settings"):
        learn(corpus, tmp_path / "parted", settings, checkpoint=tiny["bert"], steps=8)
    more = tmp_path / "more.txt"
    more.write_text(Path(corpus).read_text() + "one more line\n")
    with pytest.raises(ArtifactError, match=r"other settings \(corpus\.sources.*made from other data \(texts\)"):
        learn(more, tmp_path / "parted", settings, checkpoint=tiny["bert"], steps=9)
    learn(corpus, tmp_path / "parted", settings, checkpoint=tiny["bert"], steps=9)
    assert "Going on with" in (tmp_path / "parted" / "log.txt").read_text()
    first, second = (load_file(tmp_path / name / "model.safetensors") for name in ("whole", "parted"))
    for key, tensor in first.items():
        np.testing.assert_allclose(second[key], tensor, atol=1e-6, err_msg=key)
    with pytest.raises(ArtifactError, match="exists already"):
        learn(corpus, tmp_path / "parted", settings, checkpoint=tiny["bert"], steps=9)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({}, "Give --checkpoint to go on from a checkpoint, or --shape"),
        ({"shape": "tiny", "checkpoint": "minilm"}, "not both"),
        ({"shape": "tinny"}, "Did you mean 'tiny'"),
        ({"shape": "tiny", "objective": "simcse"}, "goes on from a checkpoint"),
        ({"checkpoint": "minilm", "objective": "simsce"}, "Did you mean 'simcse'"),
        ({"checkpoint": "minilm", "settings": {"runtime.packing": "on"}}, "pre-training computes padded batches"),
        ({"checkpoint": "minilm", "data": "nowhere.txt"}, "nowhere.txt does not exist"),
        (
            {"checkpoint": "minilm", "data": pd.DataFrame({"a": ["x"], "b": ["y"]})},
            "Unknown column 'text'. Available: a, b",
        ),
        ({"checkpoint": "minilm", "data": 3}, "Give files or folders"),
        ({"checkpoint": "minilm", "settings": {"details.temprature": 1}}, "Did you mean 'details.temperature'"),
    ],
)
def test_what_does_not_fit_together_is_said(asked, message, corpus, tmp_path):
    with pytest.raises(NlptlError, match=message):
        nlptl.pretrain(**{"data": corpus, **asked}, output=tmp_path / "out")
    assert not list(tmp_path.iterdir())


def test_nothing_to_learn_from(tmp_path):
    with pytest.raises(ConfigError, match="nothing to learn from"):
        nlptl.pretrain(checkpoint="minilm", output=tmp_path / "out")
