import numpy as np
import pandas as pd
import pytest

from nlptl.data.files import CHUNK
from nlptl.data.text_corpus.corpus import is_held_out, open_corpus, read_texts, write_corpus
from nlptl.errors import DataError
from nlptl.models.opening import load_tokenizer


@pytest.fixture(scope="module")
def tokenizer(tiny):
    return load_tokenizer(tiny["bert"])


def texts(rows: int) -> list[str]:
    return [f"a good film in round {i}" for i in range(rows)]


def test_every_kind_of_file_and_a_folder_of_them(tmp_path):
    (tmp_path / "a.txt").write_text("one\n\n  \ntwo\r\n", encoding="utf-8")
    pd.DataFrame({"label": ["x"], "text": ["three"]}).to_csv(tmp_path / "b.csv", index=False)
    pd.DataFrame({"message": ["four"]}).to_parquet(tmp_path / "c.parquet")
    (tmp_path / "d.jsonl").write_text('{"text": "five"}\n{"text": null}\n')
    assert [text for chunk in read_texts([str(tmp_path)]) for text in chunk] == ["one", "two", "three", "four", "five"]
    assert [text for chunk in read_texts([str(tmp_path)], limit=3) for text in chunk] == ["one", "two", "three"]


def test_a_long_file_comes_in_chunks(tmp_path):
    (tmp_path / "long.txt").write_text("word\n" * (2 * CHUNK + 5))
    assert [len(chunk) for chunk in read_texts([str(tmp_path / "long.txt")])] == [CHUNK, CHUNK, 5]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("nowhere.txt", None, "does not exist"),
        ("bad.txt", b"caf\xe9\n", "cannot be read as UTF-8"),
        ("two.csv", b"a,b\n1,2\n", "no column 'text'"),
    ],
)
def test_what_cannot_be_read_is_said(tmp_path, name, content, message):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=message):
        list(read_texts([str(tmp_path / name)]))


def test_held_out_by_content():
    many = texts(2000)
    chosen = [is_held_out(text, 0.1) for text in many]
    assert 0.07 < np.mean(chosen) < 0.13
    assert chosen == [is_held_out(text, 0.1) for text in many]


def test_packed_rows_hold_every_token_once(tokenizer, tmp_path):
    many = texts(300)
    facts = write_corpus([many[:100], many[100:]], tokenizer, tmp_path, 32, True, 0.1)
    encoded = open_corpus(tmp_path / "train")
    assert isinstance(encoded.tokens, np.memmap)
    assert set(encoded.lengths[:-1]) == {32}
    rows = [encoded.tokens[a:b] for a, b in zip(encoded.offsets[:-1], encoded.offsets[1:], strict=True)]
    assert all(r[0] == tokenizer.cls_token_id and r[-1] == tokenizer.sep_token_id for r in rows)
    stream = np.concatenate([r[1:-1] for r in rows])
    expected = [
        [*tokenizer(text, add_special_tokens=False)["input_ids"], tokenizer.sep_token_id]
        for text in many
        if not is_held_out(text, 0.1)
    ]
    np.testing.assert_array_equal(stream, np.concatenate(expected))
    assert (facts.texts, facts.rows) == (300, len(rows))
    assert 0 < facts.held_out_texts < 100


def test_one_text_a_row_and_each_once(tokenizer, tmp_path):
    facts = write_corpus([texts(50), texts(60)], tokenizer, tmp_path, 8, False, 0.2)
    assert (facts.texts, facts.repeats_dropped) == (60, 50)
    assert facts.rows + facts.held_out_rows == 60
    assert open_corpus(tmp_path / "train").lengths.max() == 8


def test_too_few_texts(tokenizer, tmp_path):
    with pytest.raises(DataError, match="too few to hold"):
        write_corpus([["a film"]], tokenizer, tmp_path, 32, False, 0.1)
