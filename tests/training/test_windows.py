"""Texts in windows: forward passes and steps whose memory does not grow with a text's length."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from nlptl.config.training import ResolvedTraining
from nlptl.data.tokens.encoding import collate, encode
from nlptl.data.tokens.long_texts import LongText
from nlptl.models.cached_features import FeatureStore
from nlptl.models.opening import load_tokenizer
from nlptl.storage.cache import Cache
from nlptl.training import forward
from nlptl.training.forward import features_of, logits_of, outputs_of
from nlptl.training.loop import fit
from nlptl.training.memory import split

LONG_TEXT = LongText("windows", 0.25)


@pytest.fixture
def windowed(rows, obvious: Path, tiny: dict[str, str]):
    """The 67 rows in windows of 6 tokens, one of them long."""
    frame = pd.read_csv(obvious / "train.csv")
    frame.loc[3, "text"] = "a good film and more of it " * 30
    encoded = encode(frame, load_tokenizer(Path(tiny["bert"])), 6, long_text=LONG_TEXT)
    assert encoded.counts_of(np.array([3]))[0] > 40
    return replace(rows, encoded=encoded)


@pytest.fixture
def small_blocks(monkeypatch):
    """Few windows in a block, so that the long text is one of its own."""
    monkeypatch.setattr(forward, "WINDOWS", 11)


@pytest.mark.parametrize("way", ["mean", "max", "attention", "max_logits"])
def test_logits_and_features_are_those_of_one_large_pass(runtime, windowed, fresh, small_blocks, way, tmp_path):
    classifier = fresh().eval()
    classifier.pool_windows(way)
    if way == "attention":
        torch.nn.init.normal_(classifier.windows.query)
    inputs = collate(windowed.encoded, np.arange(67), windowed.pad_id)
    with torch.no_grad():
        features, logits = classifier.outputs(inputs)
    found = logits_of(runtime, classifier, windowed.encoded, windowed.pad_id, 2, "x")
    np.testing.assert_allclose(found, logits, atol=1e-5)
    both = outputs_of(runtime, classifier, windowed.encoded, windowed.pad_id, "x")
    for ours, theirs in zip(both, (features, logits), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-5)
    store = FeatureStore(Cache(tmp_path, 10**9), "x")
    windows = len(windowed.encoded.offsets) - 1
    for computed in (True, False):
        pooled, count = features_of(runtime, classifier, windowed.encoded, windowed.pad_id, store)
        np.testing.assert_allclose(pooled, features, atol=1e-5)
        assert 0 < count <= windows if computed else count == 0


def test_a_step_ends_its_passes_at_so_many_windows(runtime, windowed, fresh):
    """And however few they are, the losses are the same."""
    passes, losses = [], []
    for micro_batch_size in (None, 7):
        classifier = fresh()
        classifier.pool_windows("attention")
        classifier.register_forward_pre_hook(lambda _, given: passes[-1].append(len(given[0]["input_ids"])))
        passes.append([])
        learned = replace(windowed, encoded=windowed.encoded.at_most(9))
        settings = ResolvedTraining(epochs=1, learning_rate=1e-3, batch_size=16, micro_batch_size=micro_batch_size)
        losses.append(fit(runtime, classifier, learned, settings, 5).losses)
    np.testing.assert_allclose(losses[1], losses[0], atol=1e-5)
    assert max(passes[0]) == 16  # as many as a step has rows
    assert max(passes[1]) == 9  # the long text's, and no more


def test_parts_hold_all_rows_in_order():
    rows = np.arange(5)
    parts = split(rows, 5, 4, np.array([1, 3, 1, 9, 2]))
    assert [part.tolist() for part in parts] == [[0, 1], [2], [3], [4]]
    assert [part.tolist() for part in split(rows, 5, 2, np.ones(5, int))] == [
        part.tolist() for part in split(rows, 5, 2)
    ]
    assert [part.tolist() for part in split(rows[:0], 5, 4, np.ones(0, int))] == [[], []]
