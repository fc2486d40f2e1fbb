import numpy as np
import pandas as pd
import pytest

from nlptl.checkpoints import resolve_checkpoint
from nlptl.data.tokens import tokenising
from nlptl.data.tokens.encoding import collate, encode
from nlptl.data.tokens.long_texts import LongText
from nlptl.data.tokens.tokenising import usual_length
from nlptl.models.opening import load_tokenizer
from nlptl.training.forward import concatenate, subset

NUMBERS = ["short", " ".join(map(str, range(100))), "", " ".join(map(str, range(40)))]
FRAME = pd.DataFrame({"text": NUMBERS})
WINDOWS, HEAD_TAIL = LongText("windows", 0.25), LongText("head_tail")


@pytest.fixture(scope="module", params=["minilm", "roberta"])
def tokenizer(request, tiny):
    return load_tokenizer(resolve_checkpoint("minilm").path if request.param == "minilm" else tiny["roberta"])


def rows_of(encoded):
    return [encoded.tokens[a:b] for a, b in zip(encoded.offsets[:-1], encoded.offsets[1:], strict=True)]


def bare(tokenizer, text):
    return tokenizer(text, add_special_tokens=False)["input_ids"]


@pytest.mark.parametrize("overlap", [0.0, 0.25, 0.9])
def test_windows_hold_every_token_and_overlap_as_asked(tokenizer, overlap):
    encoded = encode(FRAME, tokenizer, 16, long_text=LongText("windows", overlap))
    assert (encoded.cut, encoded.lost, len(encoded)) == (0, 0, 4)
    ends = tokenizer("x")["input_ids"][0], tokenizer("x")["input_ids"][-1]
    for i, text in enumerate(NUMBERS):
        ids = bare(tokenizer, text)
        windows = [row[1:-1].tolist() for row in rows_of(encoded.some(encoded.rows_of(np.array([i]))))]
        assert all((row[0], row[-1]) == ends and len(row) <= 16 for row in rows_of(encoded))
        if len(ids) <= 14:
            assert windows == [ids]
            continue
        assert {len(window) for window in windows} == {14}
        place = 0
        for window in windows:
            start = next(at for at in range(place, len(ids)) if ids[at : at + 14] == window)
            assert start == 0 or start <= place + 14 - round(14 * overlap)
            place = start
        assert place == len(ids) - 14


def test_a_text_that_fits_is_the_same_whatever_becomes_of_long_ones(tokenizer):
    frame = FRAME.iloc[[0, 2]]
    plain = encode(frame, tokenizer, 32)
    for long_text in (WINDOWS, HEAD_TAIL):
        other = encode(frame, tokenizer, 32, long_text=long_text)
        for name in ("tokens", "offsets", "types"):
            np.testing.assert_array_equal(getattr(other, name), getattr(plain, name))


def test_head_and_tail_are_the_first_quarter_and_the_last_three(tokenizer):
    encoded = encode(FRAME, tokenizer, 18, long_text=HEAD_TAIL)
    ids = bare(tokenizer, NUMBERS[1])
    assert rows_of(encoded)[1][1:-1].tolist() == ids[:4] + ids[-12:]
    assert encoded.cut == 2
    assert encoded.lost == sum(len(bare(tokenizer, NUMBERS[i])) - 16 for i in (1, 3))


def test_truncation_counts_what_it_takes_also_from_pairs(tokenizer):
    cut = encode(FRAME, tokenizer, 16)
    whole = encode(FRAME, tokenizer, 1000)
    assert (cut.cut, cut.lost) == (2, len(whole.tokens) - len(cut.tokens))
    assert (whole.cut, whole.lost) == (0, 0)
    pairs = FRAME.assign(text_pair="and some words more")
    cut, whole = encode(pairs, tokenizer, 16), encode(pairs, tokenizer, 1000)
    assert cut.lost == len(whole.tokens) - len(cut.tokens) > 0


def test_parts_of_texts_in_windows(tokenizer):
    encoded = encode(FRAME, tokenizer, 16, long_text=WINDOWS)
    turned = subset(encoded, np.array([3, 1]))
    assert len(turned) == 2
    assert turned.lengths.tolist() == encoded.lengths[[3, 1]].tolist()
    assert turned.lengths_of(np.array([1])).tolist() == [encoded.lengths[1]]
    both = concatenate(turned, encoded)
    assert len(both) == 6
    np.testing.assert_array_equal(both.counts_of(np.array([1, 3])), encoded.counts_of(np.array([1, 1])))
    few = encoded.at_most(3)
    assert few.counts_of(np.arange(4)).tolist() == [1, 3, 1, 3]
    windows, kept = (rows_of(e.some(e.rows_of(np.array([1])))) for e in (encoded, few))
    np.testing.assert_array_equal(kept[0], windows[0])
    np.testing.assert_array_equal(kept[-1], windows[-1])
    assert encoded.at_most(1000) is encoded


def test_batches_say_which_windows_are_of_one_text(tokenizer):
    encoded = encode(FRAME, tokenizer, 16, long_text=WINDOWS)
    padded, packed = (collate(encoded, np.array([3, 0]), 0, packed=on) for on in (False, True))
    count = int(encoded.counts_of(np.array([3]))[0])
    assert padded["windows"].tolist() == packed["windows"].tolist() == [0, count, count + 1]
    assert len(padded["input_ids"]) == count + 1
    assert "windows" not in collate(encode(FRAME, tokenizer, 16), np.array([0]), 0)


def test_a_megabyte_is_tokenised_alone_and_whole(tokenizer, monkeypatch):
    monkeypatch.setattr(tokenising, "CHUNK_CHARACTERS", 100_000)
    text = "a good film 17 " * 70_000
    frame = pd.DataFrame({"text": ["one", text, "two"]})
    seen = []
    encoded = encode(frame, tokenizer, 64, lambda starts: (seen.append(s) or s for s in starts), WINDOWS)
    assert seen == [0, 1, 2]
    assert encoded.counts_of(np.arange(3))[1] > len(bare(tokenizer, text)) / 62
    assert encoded.lost == 0


def test_the_usual_length_covers_99_of_100_texts(tokenizer):
    frame = pd.DataFrame({"text": ["1 2 3"] * 199 + [" ".join("4" * 500)]})
    assert usual_length(frame, tokenizer) == len(tokenizer("1 2 3")["input_ids"])
