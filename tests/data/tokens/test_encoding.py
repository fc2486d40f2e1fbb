from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from nlptl.checkpoints import resolve_checkpoint
from nlptl.data.tokens import tokenising
from nlptl.data.tokens.encoding import Encoded, collate, encode
from nlptl.models.opening import load_tokenizer

TEXTS = ["short", "a somewhat longer text, with a comma", "", "naïve café 😀", "word " * 60]
PAIRS = ["other", "", "second text", "x", "another word " * 30]


@pytest.fixture(scope="module")
def tokenizer():
    return load_tokenizer(resolve_checkpoint("minilm").path)


@pytest.fixture(params=["texts", "pairs"])
def frame(request):
    return pd.DataFrame({"text": TEXTS} | ({"text_pair": PAIRS} if request.param == "pairs" else {}))


def by_tokenizer(tokenizer, frame, max_length=32):
    pairs = frame["text_pair"].tolist() if "text_pair" in frame else None
    return tokenizer(
        frame["text"].tolist(), pairs, truncation=True, max_length=max_length, padding=True, return_tensors="pt"
    )


def test_offsets_cut_the_stream_into_texts(tokenizer, frame):
    encoded = encode(frame, tokenizer, 32)
    wanted = by_tokenizer(tokenizer, frame)
    assert len(encoded) == len(frame)
    assert encoded.offsets[0] == 0
    assert encoded.offsets[-1] == len(encoded.tokens) == len(encoded.types)
    assert encoded.lengths.tolist() == wanted["attention_mask"].sum(1).tolist()
    assert encoded.lengths.max() == 32
    for i in range(len(frame)):
        ids = encoded.tokens[encoded.offsets[i] : encoded.offsets[i + 1]]
        assert ids.tolist() == wanted["input_ids"][i][: len(ids)].tolist()


def test_collate_equals_the_tokenizers_own_padding(tokenizer, frame):
    encoded = encode(frame, tokenizer, 32)
    inputs = collate(encoded, np.arange(len(frame)), tokenizer.pad_token_id)
    wanted = by_tokenizer(tokenizer, frame)
    assert set(inputs) == {"input_ids", "attention_mask", "token_type_ids"}
    for name, tensor in inputs.items():
        assert tensor.dtype == torch.int64
        assert torch.equal(tensor, wanted[name]), name


def test_collate_takes_rows_in_any_order_and_pads_to_their_longest(tokenizer, frame):
    encoded = encode(frame, tokenizer, 32)
    rows = np.array([3, 0])
    wanted = by_tokenizer(tokenizer, frame.iloc[rows])
    for name, tensor in collate(encoded, rows, tokenizer.pad_token_id).items():
        assert torch.equal(tensor, wanted[name]), name


def test_the_padding_id_is_used(tokenizer):
    encoded = encode(pd.DataFrame({"text": TEXTS[:2]}), tokenizer, 32)
    inputs = collate(encoded, np.array([0, 1]), pad_id=7)
    assert set(inputs["input_ids"][inputs["attention_mask"] == 0].tolist()) == {7}


def test_types_tell_the_texts_of_a_pair_apart(tokenizer):
    encoded = encode(pd.DataFrame({"text": ["one"], "text_pair": ["two three"]}), tokenizer, 32)
    assert encoded.types.tolist() == [0, 0, 0, 1, 1, 1]


def test_an_encoder_without_types_gets_none(tokenizer, monkeypatch):
    monkeypatch.setattr(tokenizer, "model_input_names", ["input_ids", "attention_mask"])
    encoded = encode(pd.DataFrame({"text": TEXTS, "text_pair": PAIRS}), tokenizer, 32)
    assert encoded.types is None
    assert set(collate(encoded, np.array([0]), 0)) == {"input_ids", "attention_mask"}


def test_packed_rows_are_the_padded_ones_without_their_padding(tokenizer, frame):
    encoded, rows = encode(frame, tokenizer, 32), np.array([4, 0, 2])
    padded, packed = (collate(encoded, rows, tokenizer.pad_token_id, packed=on) for on in (False, True))
    real = padded["attention_mask"].bool()
    for name in ("input_ids", "token_type_ids"):
        assert packed[name].shape == (1, encoded.lengths[rows].sum())
        assert torch.equal(packed[name][0], padded[name][real])
    assert torch.equal(packed["attention_mask"], padded["attention_mask"])
    assert torch.equal(packed["places"], real.flatten().nonzero()[:, 0])
    assert packed["offsets"].tolist() == [0, *np.cumsum(encoded.lengths[rows])]
    assert packed["offsets"].dtype == torch.int32


def test_a_text_without_tokens_is_packed_as_one_padding_token():
    encoded = Encoded(np.array([5, 6, 7], np.int32), np.array([0, 2, 2, 3]), None)
    packed = collate(encoded, np.array([0, 1, 2]), 9, packed=True)
    assert packed["input_ids"].tolist() == [[5, 6, 9, 7]]
    assert packed["offsets"].tolist() == [0, 2, 3, 4]
    assert packed["places"].tolist() == [0, 1, 2, 4]
    assert packed["attention_mask"].tolist() == [[1, 1], [0, 0], [1, 0]]


def test_chunks_make_no_difference(tokenizer, frame, monkeypatch):
    whole = encode(frame, tokenizer, 32)
    monkeypatch.setattr(tokenising, "CHUNK", 2)
    seen = []
    parts = encode(frame, tokenizer, 32, lambda chunks: (seen.append(c) or c for c in chunks))
    assert seen == [0, 2, 4]
    for name in ("tokens", "offsets", "types"):
        assert np.array_equal(getattr(whole, name), getattr(parts, name))


def test_no_texts(tokenizer):
    encoded = encode(pd.DataFrame({"text": []}), tokenizer, 32)
    assert (len(encoded), encoded.lengths.tolist()) == (0, [])


@pytest.mark.parametrize("name", ["bundled", "roberta", "python"])
def test_texts_that_lose_their_end_are_counted(name, tokenizer, tiny):
    from transformers import BertTokenizerLegacy

    chosen = {
        "bundled": lambda: tokenizer,
        "roberta": lambda: load_tokenizer(Path(tiny["roberta"])),
        "python": lambda: BertTokenizerLegacy.from_pretrained(tiny["bert"]),
    }[name]()
    frame = pd.DataFrame({"text": ["good", "good " * 50, "a good film " * 40]})
    assert encode(frame, chosen, 16).cut == 2
    assert encode(frame.assign(text_pair="a pair"), chosen, 16).cut == 2
    assert encode(frame, chosen, 64).cut == 1
