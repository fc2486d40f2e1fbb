import numpy as np
import pandas as pd
import pytest
from transformers import BertweetTokenizer

from nlptl.checkpoints import resolve_checkpoint
from nlptl.data.tokens import cached_tokens
from nlptl.data.tokens.encoding import encode
from nlptl.models.opening import load_tokenizer
from nlptl.storage.cache import Cache

FRAME = pd.DataFrame({"text": ["one text", "another, longer text", ""]})


@pytest.fixture(scope="module")
def tokenizer():
    return load_tokenizer(resolve_checkpoint("minilm").path)


@pytest.fixture
def counted(monkeypatch):
    calls = []
    monkeypatch.setattr(cached_tokens, "encode", lambda *given: calls.append(1) or encode(*given))
    return calls


@pytest.fixture(autouse=True)
def every_frame_is_worth_caching(monkeypatch):
    monkeypatch.setattr(cached_tokens, "WORTH_CACHING", 1)


def cached(frame, tokenizer, root, max_length=16):
    return cached_tokens.encode_cached(frame, tokenizer, max_length, lambda chunks: chunks, Cache(root, 10**9))


def test_the_same_texts_are_tokenised_once(tokenizer, counted, tmp_path):
    first, second = (cached(FRAME, tokenizer, tmp_path) for _ in range(2))
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
    cached(FRAME, tokenizer, tmp_path)
    cached(**{"frame": FRAME, "tokenizer": tokenizer, "root": tmp_path, **change})
    assert len(counted) == 2


@pytest.mark.parametrize("name", ["offsets", "tokens", "types"])
def test_a_damaged_file_costs_only_time(name, tokenizer, counted, tmp_path):
    tokens = cached(FRAME, tokenizer, tmp_path).tokens.copy()
    file = next(tmp_path.rglob(f"{name}.npy"))
    file.write_bytes(file.read_bytes()[:70])
    np.testing.assert_array_equal(cached(FRAME, tokenizer, tmp_path).tokens, tokens)
    assert len(counted) == 2


def test_tokens_stay_mapped_from_the_cache_and_readable_when_it_is_cleared(tokenizer, tmp_path):
    first, fresh = cached(FRAME, tokenizer, tmp_path), encode(FRAME, tokenizer, 16)
    assert isinstance(first.tokens, np.memmap)
    Cache(tmp_path, 10**9).clear()
    np.testing.assert_array_equal(first.tokens, fresh.tokens)


@pytest.mark.parametrize("name", ["offsets", "tokens", "types"])
def test_a_lost_file_costs_only_time(name, tokenizer, counted, tmp_path):
    """Without its types a pair of texts would be encoded as one."""
    pairs = FRAME.assign(text_pair="x")
    first = cached(pairs, tokenizer, tmp_path)
    next(tmp_path.rglob(f"{name}.npy")).unlink()
    np.testing.assert_array_equal(cached(pairs, tokenizer, tmp_path).types, first.types)
    assert len(counted) == 2


def test_small_data_leaves_no_files(tokenizer, tmp_path, monkeypatch):
    monkeypatch.setattr(cached_tokens, "WORTH_CACHING", 4)
    cached(FRAME, tokenizer, tmp_path)
    assert not list(tmp_path.rglob("*.npy"))


def test_borders_between_texts_and_signs_in_them_count(tokenizer, counted, tmp_path):
    for texts in (["a\0b", "c"], ["a", "b\0c"], ["good :)", "c"], ["good :(", "c"], ["good", "c"], ["Good", "c"]):
        found = cached(pd.DataFrame({"text": texts}), tokenizer, tmp_path)
        np.testing.assert_array_equal(found.tokens, encode(pd.DataFrame({"text": texts}), tokenizer, 16).tokens)
    assert len(counted) == 6


def test_the_side_that_is_cut_counts(tokenizer, counted, tmp_path, monkeypatch):
    """It stands beside the tokenizer's pipeline, which says nothing of it between two calls."""
    long = pd.DataFrame({"text": ["one text that goes on and on, and is cut somewhere"]})
    right = cached(long, tokenizer, tmp_path, max_length=6)
    monkeypatch.setattr(tokenizer, "truncation_side", "left")
    left = cached(long, tokenizer, tmp_path, max_length=6)
    assert left.tokens.tolist() != right.tokens.tolist()


def test_a_tokenizer_written_in_python_is_not_cached(tmp_path):
    words = ["<s>", "<pad>", "</s>", "<unk>", "<mask>", "one", "text"]
    (tmp_path / "vocab.txt").write_text("\n".join(f"{word} 1" for word in words[5:]) + "\n")
    (tmp_path / "bpe.codes").write_text("#version: 0.2\ne n 10\n")
    tokenizer = BertweetTokenizer(str(tmp_path / "vocab.txt"), str(tmp_path / "bpe.codes"), model_max_length=64)
    root = tmp_path / "cache"
    found = cached(FRAME.head(1), tokenizer, root)
    assert found.tokens.tolist() == encode(FRAME.head(1), tokenizer, 16).tokens.tolist()
    assert not root.exists()
