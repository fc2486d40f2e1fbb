import numpy as np
import pandas as pd
import pytest

from nlptl.data.splits import cut, draw_shots
from nlptl.data.text_keys import keys_of


@pytest.fixture
def rows() -> pd.DataFrame:
    """Sorted by label, of unequal sizes, every tenth text twice."""
    labels = ["a"] * 100 + ["b"] * 40 + ["c"] * 10
    texts = [f"text {i}" for i in range(150)]
    table = pd.DataFrame({"text": texts, "label": labels})
    return pd.concat([table, table.iloc[::10].assign(text=lambda t: t["text"].str.upper())], ignore_index=True)


def test_a_cut_is_a_partition_in_the_frames_order(rows):
    rest, off = cut(rows, 0.2, seed=0)
    assert sorted([*rest.index, *off.index]) == list(range(len(rows)))
    assert rest.index.is_monotonic_increasing
    assert off.index.is_monotonic_increasing


def test_a_cut_is_stratified(rows):
    _, off = cut(rows, 0.2, seed=0)
    texts = off.assign(key=keys_of(off)).drop_duplicates("key")["label"].value_counts()
    assert texts.to_dict() == {"a": 20, "b": 8, "c": 2}


def test_no_text_stands_on_both_sides(rows):
    for seed in range(5):
        rest, off = cut(rows, 0.3, seed)
        assert not set(keys_of(rest)) & set(keys_of(off))


def test_the_same_seed_cuts_the_same_and_another_otherwise(rows):
    first, again, other = (cut(rows, 0.2, seed)[1].index.tolist() for seed in (1, 1, 2))
    assert first == again
    assert first != other


def test_the_index_does_not_matter(rows):
    moved = rows.set_index(rows.index[::-1] * 7)
    assert cut(rows, 0.2, 0)[1]["text"].tolist() == cut(moved, 0.2, 0)[1]["text"].tolist()


@pytest.mark.parametrize("fraction", [0.01, 0.5, 0.99])
def test_every_label_with_two_texts_is_on_both_sides(fraction):
    frame = pd.DataFrame({"text": list("abcdef"), "label": ["x", "x", "y", "y", "y", "single"]})
    rest, off = cut(frame, fraction, 0)
    assert set(rest["label"]) == {"x", "y", "single"}
    assert set(off["label"]) == {"x", "y"}


def test_lists_of_labels_and_pairs():
    frame = pd.DataFrame(
        {
            "text": ["q"] * 20,
            "text_pair": [f"answer {i}" for i in range(20)],
            "label": [["x"], ["x", "y"]] * 10,
        }
    )
    rest, off = cut(frame, 0.2, 0)
    assert (len(rest), len(off)) == (16, 4)


def test_shots(rows):
    drawn = draw_shots(rows, 8, seed=0)
    assert drawn["label"].value_counts().to_dict() == {"a": 8, "b": 8, "c": 8}
    assert drawn.index.is_monotonic_increasing
    assert drawn.equals(draw_shots(rows, 8, seed=0))
    assert not drawn.equals(draw_shots(rows, 8, seed=1))


def test_a_label_with_fewer_rows_than_shots_gives_all(rows):
    assert draw_shots(rows, 50, seed=0)["label"].value_counts()["c"] == np.sum(rows["label"] == "c")
