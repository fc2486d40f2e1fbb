"""Folds, near-duplicates, outliers, slices: each alone."""

import numpy as np
import pytest

from nlptl.errors import DataError
from nlptl.quality.confusions import confused_pairs
from nlptl.quality.folds import FOLDS, Folds, make_folds, out_of_fold
from nlptl.quality.near_duplicates import nearly_same
from nlptl.quality.outliers import far_out, neighbour_distances
from nlptl.quality.slices import column_groups, length_groups, measure_slices, script_of
from nlptl.quality.wrong_labels import judge

LONG = " ".join(f"{chr(97 + i % 26)}{i}" for i in range(300))


def test_labels_of_few_texts_are_in_every_fold():
    rng = np.random.default_rng(0)
    targets = np.repeat(np.arange(30), [200, *[FOLDS] * 29])
    for seed in range(5):
        folds = make_folds(targets, np.arange(len(targets)), [str(i) for i in range(30)], seed)
        table = np.zeros((FOLDS, 30), bool)
        table[folds.fold, folds.targets] = True
        assert table.all()
    # Ten rows of one text are one text; near-duplicates go together.
    groups = np.concatenate([np.zeros(10, int), 1 + rng.integers(0, 40, 190)])
    targets = np.concatenate([np.full(10, 2), np.tile([0, 1], 95)])
    folds = make_folds(targets, groups, ["a", "b", "c"], 0)
    assert folds.rare == {2: 1}
    for group in np.unique(folds.groups):
        assert len(set(folds.fold[folds.groups == group])) == 1


def test_a_fold_that_saw_its_rows_is_refused():
    groups = np.arange(10) // 2
    fold = np.arange(10) % FOLDS  # cuts through the groups
    folds = Folds(np.arange(10), np.zeros(10, int), groups, fold, [0], {})
    with pytest.raises(RuntimeError, match="shares texts"):
        out_of_fold(folds, lambda folds, number, kept: np.zeros((len(folds.split(number, kept)[1]), 1), np.float32))


def test_too_few_texts_are_told():
    with pytest.raises(DataError, match="at least two of them have 5 different texts"):
        make_folds(np.array([0, 0, 1]), np.arange(3), ["a", "b"], 0)


def test_the_second_round_learns_from_no_flagged_row():
    targets = np.repeat([0, 1], 50)
    logits = np.where(targets[:, None] == np.arange(2), 4.0, -4.0).astype(np.float32)
    logits[:3] = -logits[:3]
    asked = []

    def answer(kept):
        asked.append(kept)
        return logits

    verdicts = judge(answer, targets, 2)
    assert asked[0] is None
    assert not asked[1][:3].any()
    assert asked[1][3:].all()
    assert np.flatnonzero(verdicts.flagged).tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        ("Where is my card?", "where is  my card", True),
        ("I would like to change my address", "I would like to chnage my address", True),
        ("what is the balance of my savings account", "what is the balance of my savings account please", True),
        ("Where is my card?", "Where is my dog?", False),
        ("cancel the flight", "book a table for two", False),
        (LONG, f"{LONG} and its end", True),
    ],
)
def test_nearly_the_same_text(first, second, same):
    assert nearly_same(first, second) is same


def test_what_lies_far_off_is_an_outlier_and_its_copies_do_not_vouch_for_it():
    rng = np.random.default_rng(0)
    vectors = (np.array([1.0, 0, 0, 0]) + 0.1 * rng.normal(size=(200, 4))).astype(np.float32)
    vectors[:6] = [0, 0, 0, 1]
    groups = np.arange(200)
    groups[:6] = 0
    far, _ = far_out(neighbour_distances(vectors, groups))
    assert set(range(6)) <= set(far[:6].tolist())
    vouched, _ = far_out(neighbour_distances(vectors, np.arange(200)))
    assert not set(range(6)) & set(vouched.tolist())


def test_a_weak_slice_is_named_and_chance_is_not():
    rng = np.random.default_rng(0)
    right = rng.random(1000) < 0.9
    channel = ["phone" if i < 120 else "web" for i in range(1000)]
    right[:120] = rng.random(120) < 0.6
    letters = [str(i % 10) for i in range(1000)]
    found = measure_slices(right, {"channel": channel, "letter": letters})
    verdicts = {(each.name, each.value): each.against.outcome for each in found}
    assert verdicts["channel", "phone"] == "worse"
    assert verdicts["channel", "web"] == "better"
    assert all(outcome == "no clear difference" for (name, _), outcome in verdicts.items() if name == "letter")
    phone = next(each for each in found if each.value == "phone")
    assert phone.interval.low < phone.accuracy < phone.interval.high


def test_groups_of_slices():
    assert [script_of(text) for text in ("abc", "где моя карта", "что hello", "123 !", "私のカード")] == [
        "Latin", "Cyrillic", "mixed", "no letters", "Chinese or Japanese",
    ]  # fmt: skip
    assert len(set(length_groups([" ".join("a" * n) for n in range(1, 41)]))) == 4
    assert column_groups(["a", None, " ", float("nan")]) == ["a", "(empty)", "(empty)", "(empty)"]
    assert len(set(column_groups([str(number) for number in range(100)]))) == 4
    many = column_groups([f"name {i}" for i in range(100)] + ["often"] * 10)
    assert many.count("often") == 10
    assert "(others)" in many


def test_confused_labels_are_counted_both_ways():
    targets, predicted = np.repeat([0, 1, 2], 10), np.repeat([0, 1, 2], 10)
    predicted[:4], predicted[10:12], predicted[20] = 1, 0, 0
    (pair,) = confused_pairs(predicted, targets, 3)
    assert (pair.first, pair.second, pair.as_second, pair.as_first, pair.rows) == (0, 1, 4, 2, 20)
    assert pair.share == pytest.approx(0.3)
