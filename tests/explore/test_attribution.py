"""Integrated gradients on word embeddings: complete, on the plain model, in words of the text as it was given."""

from __future__ import annotations

import re
import sys

import numpy as np
import pandas as pd
import pytest
import torch

import nlptl
from nlptl.data.tokens.encoding import collate
from nlptl.errors import ConfigError, MissingExtraError
from nlptl.explore import attribution
from nlptl.explore.attribution import IntegratedGradients
from nlptl.inference import explanation
from nlptl.inference.words import AsRead
from nlptl.kernels import OFF
from tests.conftest import ARCHITECTURES, MODES

TEXT = "a good shop and more of it, and an unseen word"


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_shares_add_up_to_the_logit(trained_tiny, architecture, mode):
    run = trained_tiny(architecture, mode).run
    found = run.explain(TEXT)
    place = run.labels.index(found.label)
    assert found.label == run.predict([TEXT])[0].label
    assert found.logit == pytest.approx(run.logits([TEXT])[0, place], abs=1e-4)  # the logit, not the probability
    assert found.relative_gap < 0.05
    assert sum(word.share for word in found.words) + found.special == pytest.approx(found.logit - found.base, rel=0.05)
    assert max(abs(word.share) for word in found.words) > 1e-3
    assert [word.word for word in found.words] == re.findall(r"\w+|,", TEXT)
    assert all(TEXT[word.start : word.stop] == word.word for word in found.words)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_text_without_words_keeps_positions_types_and_special_tokens(trained_tiny, architecture):
    """RoBERTa counts positions by ids: with padding ids in the place of words it would put all of them at one."""
    run = trained_tiny(architecture, "full").run
    artifact, encoded = run.artifact, run.artifact.encoder.prepare(pd.DataFrame({"text": [TEXT]}))
    inputs = collate(encoded, np.arange(1), artifact.tokenizer.pad_token_id)
    ids, special = inputs["input_ids"], torch.tensor(artifact.tokenizer.all_special_ids)
    model = artifact.classifier
    embeddings = model.encoder.get_input_embeddings()
    words = ~torch.isin(ids, special[special != artifact.tokenizer.unk_token_id])
    assert 0 < int(words.sum()) == ids.shape[1] - 2
    given = torch.where(words[..., None], embeddings.weight[artifact.tokenizer.pad_token_id], embeddings(ids))
    hook = embeddings.register_forward_hook(lambda module, arguments, output: given)
    with torch.no_grad():
        expected = model(inputs)[0]
    hook.remove()
    found = run.explain(TEXT, label=run.labels[0])
    assert found.base == pytest.approx(float(expected[0]), abs=1e-5)
    assert found.special == pytest.approx(0.0, abs=1e-9)  # what stays as it is adds nothing


def test_it_is_what_captum_gives_for_the_layer_of_word_embeddings(trained_tiny):
    from captum.attr import LayerIntegratedGradients

    run = trained_tiny("bert", "full").run
    explainer = IntegratedGradients(run.artifact, run._runtime)
    ours = explainer.attribute([TEXT], 1)
    encoder, model = run.artifact.encoder, explainer._model
    inputs = collate(encoder.prepare(pd.DataFrame({"text": [TEXT]})), np.arange(1), encoder.tokenizer.pad_token_id)
    base = inputs["input_ids"].clone()
    base[0, 1:-1] = encoder.tokenizer.pad_token_id

    def forward(ids):
        repeated = {name: tensor.repeat(len(ids), 1) for name, tensor in inputs.items()}
        return model({**repeated, "input_ids": ids})[:, 1]

    layer = LayerIntegratedGradients(forward, model.encoder.get_input_embeddings())
    theirs = layer.attribute(inputs["input_ids"], baselines=base, n_steps=ours.steps).sum(-1)[0]
    assert sum(ours.shares[0]) == pytest.approx(float(theirs.sum()), abs=1e-5)
    assert ours.shares[0][0] == pytest.approx(float(theirs[1]), abs=1e-5)  # "a" is one piece


@pytest.mark.parametrize("mode", ["full", "lora"])
def test_gradients_are_those_of_the_model_with_its_kernels(trained_tiny, mode):
    """Explanations open a plain model; in float32 the model that predicts has the same gradients."""
    run = trained_tiny("bert", mode).run
    explainer = IntegratedGradients(run.artifact, run._runtime)
    model = run.artifact.classifier.eval()
    assert explainer._model.kernels == OFF != model.kernels
    inputs = collate(run.artifact.encoder.prepare(pd.DataFrame({"text": [TEXT]})), np.arange(1), 0)
    gradients = []
    for each in (model, explainer._model):
        kept = []
        hook = each.encoder.get_input_embeddings().register_forward_hook(
            lambda module, arguments, output, kept=kept: kept.append(output.detach().requires_grad_()) or kept[-1]
        )
        each(inputs)[0, 0].backward()
        hook.remove()
        gradients.append(kept[-1].grad)
        each.zero_grad()
    assert float(gradients[0].abs().max()) > 1e-3
    torch.testing.assert_close(gradients[0], gradients[1], rtol=1e-4, atol=1e-5)


def test_points_of_the_integral_are_raised_and_a_gap_that_stays_is_said(trained_tiny, monkeypatch):
    run = trained_tiny("bert", "full").run
    monkeypatch.setattr(attribution, "STEPS", (1, 2, 40))
    monkeypatch.setattr(attribution, "GAP", 1e-3)
    fine = run.explain(TEXT)
    assert fine.steps == 40
    assert not fine.notes
    monkeypatch.setattr(attribution, "STEPS", (1,))
    monkeypatch.setattr(explanation, "GAP", 1e-4)
    rough = run.explain(TEXT)
    assert rough.relative_gap > 1e-4
    assert re.search(r"The shares miss .* after 1 steps: read them as rough", rough.notes[0])


def test_memory_is_bounded_by_tokens_at_once(trained_tiny, monkeypatch):
    run = trained_tiny("bert", "full").run
    whole, rows = run.explain(TEXT), []
    length = len(run.artifact.tokenizer(TEXT)["input_ids"])
    monkeypatch.setattr(attribution, "TOKENS_AT_ONCE", 3 * length)
    run._explainer._model.register_forward_pre_hook(lambda module, given: rows.append(len(given[0]["input_ids"])))
    parts = run.explain(TEXT)
    assert max(rows) == 3
    assert [w.share for w in parts.words] == pytest.approx([w.share for w in whole.words], abs=1e-5)


def test_windows_of_a_long_text_are_explained_together(trained_tiny):
    settings = {"model__long_text": "windows", "model__max_length": 12}
    run = trained_tiny("bert", "full", "mean", **settings).run
    text = "a good film " + "and more of it " * 6 + "an awful end"
    found = run.explain(text)
    assert re.match(r"The text is read in [3-9] windows", found.notes[0])
    assert found.logit == pytest.approx(run.logits([text])[0, run.labels.index(found.label)], abs=1e-4)
    assert found.relative_gap < 0.05
    shares = {word.word: word.share for word in found.words}
    assert shares["good"] != 0 != shares["awful"]


def test_what_is_not_read_has_no_share_and_is_said(trained_tiny):
    long = "a good film " + "and more of it " * 6 + "an awful end"
    cut = trained_tiny("bert", "feature_extraction", "mean", model__max_length=12).run.explain(long)
    lost = next(note for note in cut.notes if "lie beyond" in note)
    assert int(lost.split()[0]) > 10
    assert cut.words[-2].word == "awful"
    assert cut.words[-2].share == 0
    ends = trained_tiny(
        "bert", "feature_extraction", "mean", model__max_length=14, model__long_text="head_tail"
    ).run.explain(long)
    assert any("lie beyond" in note for note in ends.notes)
    assert ends.words[1].share != 0 != ends.words[-2].share
    assert {word.share for word in ends.words[12:16]} == {0.0}


def test_shares_stand_at_the_text_as_it_was_given(trained_tiny, monkeypatch):
    """A run that reads another text than it is given, says where its characters come from."""
    hidden = "a g\u200bood film"
    spans = [(i, i + 1) for i, letter in enumerate(hidden) if letter != "\u200b"]

    def without_hidden(artifact, text):
        return AsRead(text.replace("\u200b", ""), spans)

    run = trained_tiny("bert", "full").run
    plain = run.explain("a good film", label="positive")
    encoder, prepare = run.artifact.encoder, run.artifact.encoder.prepare
    monkeypatch.setattr(attribution, "as_read", without_hidden)
    monkeypatch.setattr(encoder, "prepare", lambda frame: prepare(frame.replace("\u200b", "", regex=True)))
    attributed = run._explainer.attribute([hidden], run.labels.index("positive"))
    assert len(attributed.shares[0]) == 3
    assert list(attributed.shares[0]) == pytest.approx([word.share for word in plain.words], abs=1e-6)


def test_both_texts_of_a_pair_have_their_words(tiny, tmp_path):
    (tmp_path / "same").mkdir()
    (tmp_path / "same" / "task.yaml").write_text(
        "name: same\ndescription: Is it the same?\nlabels: [other, same]\ntext_columns: [one, two]\n"
    )
    rows = pd.DataFrame(
        {"one": f"a {first} shop in round {i}", "two": f"a {other} show", "label": ["other", "same"][first == other]}
        for i in range(12)
        for first in ("good", "bad")
        for other in ("good", "bad")
    )
    run = nlptl.train(
        "same", data=rows, tasks_dir=tmp_path, mode="feature_extraction", checkpoint=tiny["bert"],
        output=tmp_path / "run", settings={"runtime.progress": False},
    )  # fmt: skip
    found = run.explain(("a good shop", "a bad show"))
    assert [(word.text, word.word) for word in found.words] == [
        (0, "a"), (0, "good"), (0, "shop"), (1, "a"), (1, "bad"), (1, "show"),
    ]  # fmt: skip
    assert all(word.share for word in found.words)
    assert found.relative_gap < 0.05
    assert found._repr_html_().count("<div>a") + found._repr_html_().count('">a</span>') >= 2


def test_each_task_of_several_is_explained_by_its_own_logits(tiny, obvious, tmp_path):
    run = nlptl.train(
        "sentiment+fraud-text", checkpoint=tiny["bert"], mode="feature_extraction", output=tmp_path / "run",
        data={"sentiment": str(obvious), "fraud-text": pd.read_csv(obvious / "train.csv").replace(
            {"label": {"positive": "legitimate", "negative": "fraud"}})},
        settings={"runtime.progress": False, "runtime.precision": "fp32"},
    )  # fmt: skip
    for name in run.tasks:
        one = run.task(name)
        found = one.explain(TEXT, label=one.labels[1])
        assert found.logit == pytest.approx(one.logits([TEXT])[0, 1], abs=1e-4)


def test_what_cannot_be_explained_is_said(trained_tiny, monkeypatch):
    run = nlptl.load(trained_tiny("bert", "full").run.folder)
    with pytest.raises(ConfigError, match=r"Unknown label 'postive'. Available: negative, positive. Did you mean"):
        run.explain(TEXT, label="postive")
    monkeypatch.setattr(attribution, "MOST_TOKENS", 5)
    with pytest.raises(ConfigError, match=r"The text has 2\d tokens; at most 5 are explained"):
        run.explain(TEXT)
    monkeypatch.setitem(sys.modules, "captum.attr", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'nlptl\[evidence\]'"):
        nlptl.load(run.folder).explain(TEXT)


def test_a_text_without_words_has_none(trained_tiny):
    found = trained_tiny("bert", "full").run.explain("")
    assert found.words == []
    assert found.logit == found.base
    assert found.relative_gap == 0
