from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from nlptl.data.tokens.encoding import encode
from nlptl.models.opening import load_tokenizer
from nlptl.training import forward
from nlptl.training.forward import concatenate, features_of, forward_all, logits_of, outputs_of, subset


def texts_of(encoded) -> list[list[int]]:
    bounds = zip(encoded.offsets[:-1], encoded.offsets[1:], strict=True)
    return [encoded.tokens[a:b].tolist() for a, b in bounds]


@pytest.fixture
def small_passes(monkeypatch):
    """Many passes instead of one."""
    plan = forward.plan_forward
    monkeypatch.setattr(forward, "plan_forward", lambda lengths, tokens: plan(lengths, 60))


def test_every_row_once_in_the_order_of_the_texts(runtime, rows, small_passes):
    passes = []

    def first_token_and_length(inputs):
        passes.append(inputs["input_ids"].shape[0])
        mask = inputs["attention_mask"]
        total = (inputs["input_ids"] * mask).sum(1)
        return torch.stack([total, mask.sum(1)], 1).float()

    found = forward_all(runtime, first_token_and_length, rows.encoded, rows.pad_id, 2, "x")
    expected = [[sum(text), len(text)] for text in texts_of(rows.encoded)]
    np.testing.assert_array_equal(found, expected)
    assert sum(passes) == 67
    assert len(passes) > 5


def test_where_memory_does_not_suffice_a_pass_is_halved(runtime, rows):
    passes = []

    def length(inputs):
        if len(inputs["input_ids"]) > 5:
            raise torch.OutOfMemoryError("no room")
        passes.append(len(inputs["input_ids"]))
        return inputs["attention_mask"].sum(1, keepdim=True).float()

    found = forward_all(runtime, length, rows.encoded, rows.pad_id, 1, "x")
    assert found[:, 0].tolist() == rows.encoded.lengths.tolist()
    assert sum(passes) == 67 and max(passes) <= 5

    def never(inputs):
        raise torch.OutOfMemoryError("no room at all")

    with pytest.raises(torch.OutOfMemoryError, match="at all"):
        forward_all(runtime, never, rows.encoded, rows.pad_id, 1, "x")


def test_logits_do_not_depend_on_the_batching_and_leave_the_mode_alone(runtime, rows, fresh, monkeypatch):
    classifier = fresh(dropout=0.5).to(runtime.device)
    classifier.train()
    together = logits_of(runtime, classifier, rows.encoded, rows.pad_id, 2, "x")
    assert classifier.training
    monkeypatch.setattr(forward, "plan_forward", lambda lengths, _: [np.array([i]) for i in range(len(lengths))])
    alone = logits_of(runtime, classifier.eval(), rows.encoded, rows.pad_id, 2, "x")
    assert not classifier.training
    np.testing.assert_allclose(together, alone, atol=1e-5)
    assert together.dtype == np.float32


def test_packed_passes_give_the_same_logits_and_features(runtime, rows, fresh, small_passes):
    padded, packed = fresh().to(runtime.device), fresh().to(runtime.device)
    packed.pack()
    fed = []
    packed.register_forward_pre_hook(lambda _, given: fed.append(given[0]["input_ids"].shape[0]))
    logits = [logits_of(runtime, c, rows.encoded, rows.pad_id, 2, "x") for c in (padded, packed)]
    np.testing.assert_allclose(*logits, atol=1e-5)
    assert len(fed) > 5 and set(fed) == {1}
    features = [features_of(runtime, c, rows.encoded, rows.pad_id, None)[0] for c in (padded, packed)]
    np.testing.assert_allclose(*features, atol=1e-5)
    both = outputs_of(runtime, packed, rows.encoded, rows.pad_id, "x")
    np.testing.assert_allclose(both[0], features[0], atol=1e-5)
    np.testing.assert_allclose(both[1], logits[0], atol=1e-5)


def test_no_text_gives_no_row(runtime, rows, fresh):
    empty = subset(rows.encoded, np.zeros(0, np.int64))
    assert logits_of(runtime, fresh(), empty, rows.pad_id, 2, "x").shape == (0, 2)


def test_subsets_and_sums_of_texts(tiny):
    tokenizer = load_tokenizer(Path(tiny["bert"]))
    frame = pd.DataFrame({"text": ["a good film", "bad", "a poor book and more"], "text_pair": ["x", "y y", "z"]})
    encoded = encode(frame, tokenizer, 64)
    chosen = subset(encoded, np.array([2, 0]))
    texts = texts_of(encoded)
    assert texts_of(chosen) == [texts[2], texts[0]]
    assert chosen.types.sum() == 2 + 2
    both = concatenate(chosen, encoded)
    assert texts_of(both) == [texts[2], texts[0], *texts]
    assert len(both.types) == len(both.tokens)
