"""Continued training: an earlier run's head and adapter, and what is forgotten."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

import nlptl
from nlptl.errors import ConfigError
from nlptl.evaluation.wording import forgetting_sentences
from nlptl.models.linear_probe import LinearHead, fit_new_rows
from nlptl.storage.json_files import read_json
from tests.conftest import LEARN_TINY, QUICK

TOPICS = {"film": ("screen", "actor"), "meal": ("soup", "bread"), "trip": ("train", "hotel"), "song": ("tune", "drum")}


def topics(*labels, rows=16, start=0):
    return pd.DataFrame(
        {"text": f"the {TOPICS[label][i % 2]} in round {start + i}", "label": label}
        for i in range(rows)
        for label in labels
    )


@pytest.fixture(scope="module")
def first(train, tmp_path_factory):
    """Runs on the bundled checkpoint that know two topics, by mode."""
    root, data = tmp_path_factory.mktemp("first"), topics("film", "meal", rows=24)
    return {mode: train("chatbot-intent", data, root / mode, mode=mode).run for mode in ("full", "lora")}


def test_labels_that_are_known_keep_their_rows_and_new_ones_get_new_rows(first, tmp_path):
    run = nlptl.train(
        "chatbot-intent", data=topics("meal", "trip", "song"), output=tmp_path / "run", checkpoint=first["full"].folder,
        head="keep", learning_rate=1e-12, settings={**QUICK, "training.head_learning_rate": 1e-12},
    )  # fmt: skip
    assert run.labels == ["film", "meal", "song", "trip"]
    before, after = (load_file(folder / "model" / "head.safetensors") for folder in (first["full"].folder, run.folder))
    assert set(before) == set(after)
    for name in before:
        torch.testing.assert_close(after[name][:2], before[name], rtol=0, atol=1e-6)
    assert run.predict(["the tune in round 90"])[0].label == "song"
    assert run.predict(["the soup in round 91"])[0].label == "meal"


def test_new_rows_are_fitted_beside_the_kept_ones():
    draw = np.random.default_rng(0)
    centres = draw.normal(size=(4, 8)).astype(np.float32) * 3
    targets = np.repeat([1, 2, 3], 30)
    features = centres[targets] + draw.normal(size=(90, 8)).astype(np.float32)
    kept = LinearHead(torch.from_numpy(centres[:2] * 4), torch.zeros(2), 1.0)  # much longer than a probe's rows
    head = fit_new_rows(features, targets, 4, kept, 1.0)
    assert torch.equal(head.weight[:2], kept.weight)
    assert (head.logits(features).argmax(1) == targets).mean() > 0.9


def test_what_was_forgotten_is_measured_on_the_earlier_test_rows(first, tmp_path):
    earlier = pd.read_csv(first["full"].folder / "predictions.csv")
    leaked = earlier[["text", "label"]].head(2)
    run = nlptl.train(
        "chatbot-intent", data=pd.concat([topics("trip", "meal", start=50), leaked]), output=tmp_path / "run",
        checkpoint=first["full"].folder, head="keep", settings={**QUICK, "training.learning_rate": 3e-4},
    )  # fmt: skip
    learned = set(pd.concat([topics("trip", "meal", start=50), leaked])["text"])
    rows = earlier[~earlier["text"].isin(learned - set(pd.read_csv(run.folder / "predictions.csv")["text"]))]
    told = run.metrics["forgetting"]
    assert told["rows"] == len(rows) == len(earlier) - told["left_out"]
    assert told["before"] == pytest.approx((rows["most_probable"] == rows["label"]).mean())
    said = [answer.label for answer in run.task("chatbot-intent").predict(list(rows["text"]), decision="argmax")]
    assert told["after"] == pytest.approx(np.mean(np.array(said) == rows["label"].to_numpy()))
    words = forgetting_sentences(told)
    assert f"On {len(rows)} test rows" in words
    assert words in (run.folder / "README.md").read_text()


def test_an_adapter_is_continued_or_merged_under_another(first, tmp_path):
    data, folder = topics("film", "meal", start=30), first["lora"].folder
    go_on = {"lora.adapter": "continue"}
    before = load_file(folder / "model" / "adapter" / "adapter_model.safetensors")
    still = {**QUICK, "training.learning_rate": 1e-12, "training.head_learning_rate": 1e-12}
    shared = {"data": data, "checkpoint": folder, "mode": "lora", "head": "keep"}
    same = nlptl.train("chatbot-intent", output=tmp_path / "same", settings={**still, **go_on}, **shared)
    after = load_file(same.folder / "model" / "adapter" / "adapter_model.safetensors")
    assert set(before) == set(after)
    for name in before:
        torch.testing.assert_close(after[name], before[name], rtol=0, atol=1e-6)
    assert read_json(same.folder / "manifest.json")["checkpoint"]["name"] == "minilm"
    other = nlptl.train("chatbot-intent", output=tmp_path / "other", settings=still, **shared)
    assert read_json(other.folder / "manifest.json")["checkpoint"]["name"] == str(folder)
    texts = list(data["text"][:6])
    expected = first["lora"].predict_proba(texts)
    for run in (same, other):
        np.testing.assert_allclose(run.predict_proba(texts), expected, atol=2e-2)
    went_on = nlptl.train(
        "chatbot-intent", output=tmp_path / "on", settings={**QUICK, **LEARN_TINY, **go_on},
        data=data, checkpoint=folder, mode="lora",
    )  # fmt: skip
    changed = load_file(went_on.folder / "model" / "adapter" / "adapter_model.safetensors")
    assert any(not torch.equal(changed[name], before[name]) for name in before)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"model.head_start": "keep", "checkpoint": "minilm"},
            "minilm is no run. Give --checkpoint RUN",
        ),
        ({"model.head_start": "keep", "strategy": "soup"}, "model.head_start would have no effect: .* fine_tune"),
        ({"model.head_start": "keep", "mode": "feature_extraction"}, "model.head_start would have no effect: mode"),
        ({"model.head_start": "keep", "model.pooling": "cls"}, "belongs to mean pooling. Leave model.pooling out"),
        ({"lora.adapter": "continue", "mode": "lora"}, "goes on with the adapter of a run of mode lora"),
        ({"lora.adapter": "continue"}, "lora.adapter would have no effect: mode full has no adapters"),
    ],
)
def test_what_cannot_be_kept_is_refused_before_anything_is_written(first, tmp_path, settings, message):
    values = {"checkpoint": str(first["full"].folder), **settings}
    with pytest.raises(ConfigError, match=message):
        nlptl.train("chatbot-intent", data=topics("film", "meal"), output=tmp_path / "run", settings=values)
    assert not (tmp_path / "run").exists()


def test_labels_and_adapters_that_do_not_fit_are_refused(first, tmp_path):
    shared = {"output": tmp_path / "run"}
    with pytest.raises(ConfigError, match="have no label in common"):
        nlptl.train(
            "chatbot-intent", data=topics("trip", "song"), checkpoint=first["full"].folder, head="keep", **shared
        )
    with pytest.raises(ConfigError, match=r"keeps the adapter of .* as it was made \(rank=16"):
        nlptl.train(
            "chatbot-intent", data=topics("film", "meal"), checkpoint=first["lora"].folder, mode="lora",
            settings={"lora.adapter": "continue", "lora.rank": 4}, **shared,
        )  # fmt: skip
    assert not (tmp_path / "run").exists()
