import numpy as np
import pandas as pd
import pytest

from nlptl.data.audit import Audit, check_balance, check_cells, check_labels, check_repeats, drop_leaks
from nlptl.data.text_keys import keys_of, text_key
from nlptl.errors import DataError


def frame(texts, labels, pairs=None):
    columns = {"text": texts, "label": labels} | ({"text_pair": pairs} if pairs else {})
    return pd.DataFrame({**columns, "file": "a.csv", "row": range(1, len(texts) + 1)})


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("Hello,   World!", "hello world"),
        ("\u201chello\u201d \u2013 world\u2026", "hello world"),
        ("\uff28\uff25\uff2c\uff2c\uff2f\u3000world", "hello world"),
        ("hello\n\tworld ", "hello world"),
        ("HELLO_WORLD", "hello world"),
        ("E\u0301te\u0301", "été"),
        ("don't", "don t"),
        (" !!! ", "!!!"),
        ("Well-made (really), *great*: and/or `fine`...", "well made really great and or fine"),
        ("3.5 kg, 2,000 m.", "3.5 kg 2,000 m"),
        ("from 5-10, so-so", "from 5-10 so so"),
        ("", ""),
    ],
)
def test_text_key(text, key):
    assert text_key(text) == key


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("good", "good not"),
        ("!!!", "???"),
        ("3.5", "35"),
        ("é", "e"),
        ("😀", "😡"),
        ("great :)", "great :("),
        ("fine", "fine ;)"),
        ("I <3 it", "I </3 it"),
        ("C++", "C"),
        ("C#", "C++"),
        ("5%", "5"),
        ("$5", "5"),
        ("-5 degrees", "5 degrees"),
        ("1.5 l", "15 l"),
        ("10:30", "10 30"),
        ("A & B", "A B"),
        ("x > y", "x < y"),
        ("mp3", "mp 3"),
        ("हिन्दी", "हन्दी"),
    ],
)
def test_text_key_keeps_different_texts_apart(one, other):
    assert text_key(one) != text_key(other)


def test_counts_add_up_and_nothing_found_says_nothing():
    audit = Audit()
    audit.warn("x", 0, "none")
    audit.warn("x", 2, "two")
    audit.warn("x", 3, "three")
    assert (audit.counts, audit.warnings) == ({"x": 5}, ["two", "three"])


def test_stops_with_every_fault():
    Audit().stop_if_faulty()
    with pytest.raises(DataError, match=r"\(2 faults\):\n  - one\n  - two"):
        Audit(faults=["one", "two"]).stop_if_faulty()


@pytest.mark.parametrize("missing", ["", "  \n", None, float("nan"), pd.NA])
def test_rows_without_text_or_label(missing):
    rows = frame(["a", missing, "c"], ["x", "y", missing])
    columns = {"text": "message", "label": "class"}
    audit = Audit()
    check_cells(rows, "train", columns, False, audit)
    assert len(audit.faults) == 2
    assert audit.faults[0].startswith("a.csv row 2, column 'message': text is missing or empty")
    assert audit.faults[1].startswith("a.csv row 3, column 'class': label is missing or empty")
    assert "data.bad_rows=drop" in audit.faults[0]
    audit = Audit()
    assert check_cells(rows, "train", columns, True, audit)["text"].tolist() == ["a"]
    assert audit.faults == []
    assert audit.counts == {"train_rows_without_text": 1, "train_rows_without_label": 1}


def test_long_lists_of_rows_are_cut():
    audit = Audit()
    check_cells(frame([""] * 14, ["x"] * 14), "train", {"text": "text"}, False, audit)
    assert "row 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 and 4 more, column" in audit.faults[0]


def test_unknown_labels_show_both_lists_and_a_map_that_guesses_nothing():
    audit = Audit()
    check_labels(frame(["a", "b", "c"], ["ham", "Fraud", "fraud"]), ["legitimate", "fraud"], "y", audit)
    (fault,) = audit.faults
    assert fault.startswith("a.csv row 1, 2, column 'y': unknown label 'Fraud', 'ham'.")
    assert "Labels in the data: ham, Fraud, fraud." in fault
    assert "Labels of the task: legitimate, fraud." in fault
    assert fault.endswith(
        "--label-map Fraud=fraud,ham=... with a label of the task for each ... (nothing leaves its rows out)"
    )


def test_class_numbers_are_mapped_in_order():
    audit = Audit()
    check_labels(frame(["a", "b"], ["0", "1"]), ["negative", "positive"], "y", audit)
    assert audit.faults[0].endswith("--label-map 0=negative,1=positive")


def test_numbers_that_are_no_class_numbers_are_not_mapped_in_order():
    audit = Audit()
    check_labels(frame(["a", "b"], ["1", "5"]), ["negative", "positive"], "y", audit)
    assert "--label-map 1=...,5=... with a label" in audit.faults[0]


def test_a_suggested_map_continues_the_one_there_is():
    audit = Audit()
    check_labels(frame(["a"], ["spma"]), ["legitimate", "spam"], "y", audit, given={"ham": "legitimate"})
    assert audit.faults[0].endswith("--label-map ham=legitimate,spma=spam")


def test_a_row_with_several_labels_or_none():
    audit = Audit()
    check_labels(frame(["a", "b"], [["x", "y"], []]), ["x", "y"], "y", audit)
    assert audit.faults == []
    check_labels(frame(["a", "b"], [["x", "z"], []]), ["x", "y"], "y", audit)
    assert audit.faults[0].startswith("a.csv row 1, column 'y': unknown label 'z'.")


def test_balance():
    audit = Audit()
    check_balance(frame(["a"] * 3, ["x"] * 3), audit)
    assert audit.faults == ["train holds one label only ('x'); a classifier needs at least two"]
    audit = Audit()
    check_balance(
        frame(["a"] * 154, ["positive"] * 80 + ["negative"] * 70 + ["postive", "rare", "rare", "Negative"]), audit
    )
    assert audit.faults == []
    assert audit.counts == {"labels_with_few_rows": 3, "labels_perhaps_misspelt": 2}
    assert "rare (2)" in audit.warnings[0]
    assert "'postive' (meant 'positive'?)" in audit.warnings[1]
    assert "'Negative' (meant 'negative'?)" in audit.warnings[1]


def test_balance_of_several_labels_ignores_rows_without():
    audit = Audit()
    check_balance(frame(["a"] * 11, [["x"], []] * 5 + [["x"]]), audit)
    assert (audit.faults, audit.counts) == ([], {})


@pytest.mark.parametrize("drop", [True, False])
def test_repeats_and_conflicts(drop):
    rows = frame(["Same!", "Same!", "same", "Two", "two", "three"], ["x", "x", "x", "x", "y", "y"])
    audit = Audit()
    kept = check_repeats(rows, "train", drop, audit)
    assert kept["row"].tolist() == ([1, 4, 5, 6] if drop else [1, 2, 3, 4, 5, 6])
    assert audit.counts == {"train_duplicates": 2, "train_conflicting_texts": 1}
    assert "2 repeated rows" in audit.warnings[0]
    assert "(1 exact" in audit.warnings[0]
    assert "a.csv row 4, 5" in audit.warnings[1]


def test_keys_are_numbers_that_are_equal_where_the_texts_count_as_the_same(monkeypatch):
    """Over the borders of chunks, under the frame's own index, and apart where one text ends and the other begins."""
    monkeypatch.setattr("nlptl.data.text_keys.CHUNK", 2)
    rows = frame(
        ["Same!", "same", "other", "a b", "SAME ", "a"], list("xxxxxx"), pairs=["c", "C.", "c", "c", "c", "b c"]
    )
    rows.index = [7, 3, 5, 1, 0, 9]
    keys = keys_of(rows)
    assert keys.dtype == np.int64 and keys.index.equals(rows.index)
    assert keys[7] == keys[3] == keys[0]
    assert keys.nunique() == 4
    assert keys_of(rows.drop(columns="text_pair")).nunique() == 4
    assert keys_of(rows.iloc[:0]).empty


def test_cells_are_looked_at_chunk_by_chunk(monkeypatch):
    monkeypatch.setattr("nlptl.data.audit.CHUNK", 2)
    audit = Audit()
    check_cells(frame(["a", "b", " ", "c", b"d"], list("xxxxx")), "train", {"text": "text"}, False, audit)
    assert [fault.partition(", column")[0] for fault in audit.faults] == ["a.csv row 3", "a.csv row 5"]


def test_a_pair_repeats_only_as_a_whole():
    rows = frame(["q", "q", "q"], ["x", "x", "x"], pairs=["a", "b", "A."])
    audit = Audit()
    assert check_repeats(rows, "train", True, audit)["text_pair"].tolist() == ["a", "b"]


@pytest.mark.parametrize("drop", [True, False])
def test_leaks_leave_the_earlier_split(drop):
    frames = {
        "train": frame(["one", "Two!", "three", "four"], list("xxyy")),
        "validation": frame(["two", "five", "six"], list("xxy")),
        "test": frame(["FOUR", "six?", "seven"], list("xyy")),
    }
    audit = Audit()
    drop_leaks(frames, drop, audit)
    assert audit.counts == {"train_leaks": 2, "validation_leaks": 1}
    assert "a.csv row 2, 4" in audit.warnings[0]
    kept = {name: rows["text"].tolist() for name, rows in frames.items()}
    assert kept["test"] == ["FOUR", "six?", "seven"]
    assert kept["train"] == (["one", "three"] if drop else ["one", "Two!", "three", "four"])
    assert kept["validation"] == (["two", "five"] if drop else ["two", "five", "six"])
