import numpy as np
import pandas as pd
import pytest

from nlptl.checkpoints import resolve_checkpoint
from nlptl.data import cached_tokens as token_cache
from nlptl.data.encoding import encode
from nlptl.models.opening import load_tokenizer

FRAME = pd.DataFrame({"text": ["one text", "another, longer text", ""]})


@pytest.fixture(scope="module")
def tokenizer():
    return load_tokenizer(resolve_checkpoint("minilm").path)


@pytest.fixture
def counted(monkeypatch):
    calls = []
    monkeypatch.setattr(token_cache, "encode", lambda *given: calls.append(1) or encode(*given))
    return calls


def kept(frame, tokenizer, root, max_length=16, worth_caching=1):
    return token_cache.encode_cached(frame, tokenizer, max_length, lambda chunks: chunks, root, worth_caching)


def test_the_same_texts_are_tokenised_once(tokenizer, counted, tmp_path):
    first, second = (kept(FRAME, tokenizer, tmp_path) for _ in range(2))
    assert len(counted) == 1
    for name in ("tokens", "offsets", "types"):
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name))


@pytest.mark.parametrize(
    "change",
    [
        {"max_length": 8},
        {"frame": pd.DataFrame({"text": ["one text", "another longer text", ""]})},
        {"frame": pd.DataFrame({"text": ["one", "textanother, longer text", ""]})},
        {"frame": FRAME.assign(text_pair="x")},
    ],
    ids=["length", "text", "border", "pair"],
)
def test_anything_else_is_tokenised_anew(change, tokenizer, counted, tmp_path):
    kept(FRAME, tokenizer, tmp_path)
    kept(**{"frame": FRAME, "tokenizer": tokenizer, "root": tmp_path, **change})
    assert len(counted) == 2


@pytest.mark.parametrize("name", ["offsets", "tokens", "types"])
def test_a_damaged_file_costs_only_time(name, tokenizer, counted, tmp_path):
    first = kept(FRAME, tokenizer, tmp_path)
    file = next(tmp_path.rglob(f"{name}.npy"))
    file.write_bytes(file.read_bytes()[:70])
    np.testing.assert_array_equal(kept(FRAME, tokenizer, tmp_path).tokens, first.tokens)
    assert len(counted) == 2


def test_small_data_leaves_no_files(tokenizer, tmp_path):
    kept(FRAME, tokenizer, tmp_path, worth_caching=4)
    assert not list(tmp_path.rglob("*.npy"))
