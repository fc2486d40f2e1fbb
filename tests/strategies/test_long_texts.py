"""Runs on long texts: what they read, what they say of what they do not, and that every way to ask them agrees."""

import json
import logging

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

import nlptl
from nlptl import cli
from nlptl.config.overrides import load_config
from nlptl.errors import ConfigError
from nlptl.strategies.long_texts import check, check_sharding
from nlptl.tasks import TaskSpec

WINDOWS = {"model.long_text": "windows", "model.max_length": 8}
LONG = "a good film and more of it and more of it in round 0 " * 40
TEXTS = ["a good film", LONG, "a bad book and more of it in round 1", ""]


@pytest.mark.parametrize(
    ("mode", "pooling", "way"),
    [("full", "cls", "attention"), ("lora", "mean", "max_logits"), ("feature_extraction", "mean", "max")],
)
def test_a_run_in_windows_answers_the_same_wherever_it_is_asked(trained_tiny, tmp_path, mode, pooling, way):
    settings = {key.replace(".", "__"): value for key, value in {**WINDOWS, "model.window_pooling": way}.items()}
    run = trained_tiny("bert", mode, pooling, **settings).run
    expected = run.predict_proba(TEXTS)
    assert np.abs(expected[1] - run.predict_proba([LONG[:30]])[0]).max() > 1e-4  # the rest is read as well
    again = nlptl.load(run.folder, precision="fp32", progress=False)
    np.testing.assert_allclose(again.predict_proba(TEXTS), expected, atol=1e-5)
    np.testing.assert_allclose(np.vstack([again.predict_proba([text]) for text in TEXTS]), expected, atol=1e-5)
    merged = nlptl.load(nlptl.merge(run, tmp_path / "merged"), precision="fp32", progress=False)
    np.testing.assert_allclose(merged.predict_proba(TEXTS), expected, atol=1e-4)
    source, output = tmp_path / "texts.csv", tmp_path / "answers.csv"
    pd.DataFrame({"text": TEXTS[:3]}).to_csv(source, index=False)
    files = ["--input", str(source), "--output", str(output)]
    done = CliRunner().invoke(cli.app, ["predict", str(run.folder), *files, "--all-scores", "--precision", "fp32"])
    assert done.exit_code == 0, done.output
    answered = pd.read_csv(output)[[f"score_{label}" for label in run.labels]].to_numpy()
    np.testing.assert_allclose(answered, expected[:3], atol=1e-5)
    facts = run.metrics["long_texts"]
    assert facts["way"] == "windows" and facts["window_pooling"] == way
    assert facts["splits"]["test"]["longer"] > 0 == facts["splits"]["test"]["unread_tokens"]
    assert f"read whole, in windows of 8 tokens that share at least 25% with the next one and are pooled by {way}" in (
        (run.folder / "README.md").read_text()
    )


@pytest.fixture
def frozen(train, tiny):
    """A run of the tiny frozen encoder."""

    def run(data, output, **settings):
        given = {key.replace("__", "."): value for key, value in settings.items()}
        return train("sentiment", data, output, given, mode="feature_extraction", checkpoint=tiny["bert"]).run

    return run


def test_what_is_cut_is_said_once_counted_and_on_the_card(frozen, obvious, tmp_path, caplog):
    with caplog.at_level(logging.WARNING, "nlptl"):
        run = frozen(obvious, tmp_path / "run", model__max_length=8)
    said = [record.message for record in caplog.records if "model.max_length" in record.message]
    assert len(said) == 1
    test = run.metrics["long_texts"]["splits"]["test"]
    assert f"test {test['longer']} of 31 texts ({test['unread_share']:.0%} of the tokens)" in said[0]
    assert run.metrics["data"]["audit"]["test_texts_cut"] == test["longer"] > 0
    assert f"{test['unread_share']:.0%} of all test tokens are not" in (run.folder / "README.md").read_text()
    manifest = json.loads((run.folder / "manifest.json").read_text())
    assert manifest["long_text"] == "truncate"
    assert "window_overlap" not in manifest


def test_auto_reads_as_much_as_the_training_texts_need(frozen, obvious, tmp_path):
    run = frozen(obvious, tmp_path / "run", model__max_length="auto")
    train = pd.read_csv(obvious / "train.csv")
    lengths = [len(ids) for ids in run.artifact.tokenizer(train["text"].tolist())["input_ids"]]
    assert run.artifact.max_length == np.ceil(np.percentile(lengths, 99))
    assert run.artifact.config.model.max_length == "auto"
    run = frozen(train.assign(text=train["text"] + LONG), tmp_path / "long", model__max_length="auto")
    assert run.artifact.max_length == 64  # all that the checkpoint allows


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"mode": "feature_extraction", "model.window_pooling": "attention"}, "Available there: mean, max"),
        ({"strategy": "contrastive", "model.window_pooling": "max_logits"}, "Available there: mean, max, attention"),
    ],
)
def test_a_way_that_cannot_be_learned_is_refused_before_anything_is_read(settings, said, obvious, tiny, tmp_path):
    given = {"checkpoint": tiny["bert"], "model.long_text": "windows", **settings}
    with pytest.raises(ConfigError, match=said):
        nlptl.train("sentiment", data=obvious, output=tmp_path / "run", settings=given)
    assert not (tmp_path / "run").exists()


def test_pairs_are_only_truncated_and_sharded_weights_read_no_windows(tiny):
    pairs = TaskSpec(name="twins", description="made here", text_columns=["a", "b"])
    for settings, refused in (
        ({"model.long_text": "head_tail"}, lambda config: check(config, [pairs], True)),
        ({"model.long_text": "windows"}, lambda config: check_sharding(config, True)),
    ):
        config = load_config(task="sentiment", checkpoint=tiny["bert"], **settings)
        with pytest.raises(ConfigError, match=r"model\.long_text="):
            refused(config)
        check_sharding(config, False)
