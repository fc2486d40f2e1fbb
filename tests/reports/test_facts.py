"""What a report says is what the rows say: thresholds, groups of like probability, parts, worst mistakes."""

from __future__ import annotations

import shutil

import numpy as np
import pandas as pd
import pytest

from nlptl.errors import ArtifactError
from nlptl.reports.facts.confusions import confused_pairs, most_confused
from nlptl.reports.facts.curves import MOST_POINTS, cuts_of, reliability_of
from nlptl.reports.facts.rows import LONGEST_TEXT, MOST_MISTAKES, read_rows
from nlptl.reports.facts.run import read_run
from nlptl.reports.facts.slices import label_slices, length_slices
from tests.reports.conftest import made_up


@pytest.mark.parametrize("rows", [50, 30_000])
def test_each_threshold_gives_what_the_rows_give(rows):
    random = np.random.default_rng(1)
    wanted = random.random(rows) < 0.3
    scores = np.round(random.random(rows), 2 if rows == 50 else 6).astype(np.float32)  # the few rows have ties
    cuts = cuts_of(scores, wanted, kept=0.417)
    assert len(cuts.thresholds) <= MOST_POINTS + 2
    assert cuts.thinned_from == len(np.unique(scores))
    assert 0.417 in cuts.thresholds
    assert (cuts.positives, cuts.negatives) == (wanted.sum(), (~wanted).sum())
    for threshold, hits, alarms in zip(cuts.thresholds, cuts.hits, cuts.alarms, strict=True):
        flagged = scores >= np.float32(threshold)
        assert (hits, alarms) == ((flagged & wanted).sum(), (flagged & ~wanted).sum())
    assert (np.diff(cuts.hits) >= 0).all()
    assert (np.diff(cuts.alarms) >= 0).all()
    assert (cuts.hits[0], cuts.alarms[0]) == (0, 0)
    assert (cuts.hits[-1], cuts.alarms[-1]) == (wanted.sum(), (~wanted).sum())


def test_rare_positives_keep_thresholds_of_their_own():
    """Of 100 000 rows fifty have the label: evenly spread over rows, all would fall between two thresholds."""
    scores = np.linspace(0, 1, 100_000)
    wanted = scores > 0.9995
    cuts = cuts_of(scores, wanted)
    assert len(np.unique(cuts.hits)) > 40


def test_groups_of_like_probability_are_of_equal_size():
    random = np.random.default_rng(0)
    said = random.uniform(0.5, 1, size=3000)
    probabilities = np.stack([said, 1 - said], 1)
    found = reliability_of(probabilities, (random.random(3000) > said).astype(int))
    assert len(found.said) == 15
    assert found.said == sorted(found.said)
    assert found.error < 0.04
    assert all(
        interval.low <= share <= interval.high for share, interval in zip(found.right, found.intervals, strict=True)
    )
    assert reliability_of(probabilities, np.zeros(3000, int)).error == pytest.approx(0.25, abs=0.01)


def test_a_part_that_is_worse_is_found():
    random = np.random.default_rng(2)
    characters = random.integers(10, 400, size=1000)
    right = random.random(1000) < np.where(characters > 300, 0.6, 0.9)
    found = length_slices(characters, right)
    assert sum(each.rows for each in found) == 1000
    assert [each.difference.outcome for each in found][-1] == "worse"
    assert found[-1].difference.comparisons == len(found) == 4
    labels = label_slices(random.integers(3, size=1000), right, ["a", "b", "c"])
    assert [each.difference.outcome for each in labels] == ["no clear difference"] * 3


def test_parts_that_are_alike_are_rarely_called_different():
    """At most 5 % of simulated sets of parts have any that is called better or worse; 200 sets."""
    random, called = np.random.default_rng(3), 0
    for _ in range(200):
        found = length_slices(random.integers(10, 400, size=300), random.random(300) < 0.8)
        called += any(each.difference.outcome in ("better", "worse") for each in found)
    assert called <= 16  # 5 % of 200 and two standard errors


def test_texts_of_one_length_are_one_part():
    assert [each.rows for each in length_slices(np.full(50, 7), np.ones(50, bool))] == [50]
    assert length_slices(np.zeros(0, int), np.zeros(0, bool)) == []


def test_confused_pairs_and_labels():
    matrix = np.array([[8, 2, 0], [0, 9, 1], [5, 0, 5]])
    pairs = confused_pairs(matrix, ["a", "b", "c"])
    assert [(each.gold, each.predicted, each.rows, each.of) for each in pairs] == [
        ("c", "a", 5, 10),
        ("a", "b", 2, 10),
        ("b", "c", 1, 10),
    ]
    assert most_confused(matrix, 2).tolist() == [0, 2]


def test_the_worst_mistakes_come_first(fraud, with_rows):
    targets, logits = made_up(500)
    texts = [f"text {i} " + "x" * (i % 7) for i in range(500)]
    texts[3] = "y" * 1_000_000
    logits[3] = [9.0, -9.0] if targets[3] else [-9.0, 9.0]
    part = read_run(with_rows(fraud, texts, targets, logits)).parts[0]
    rows = read_rows(part, texts=True)
    table = pd.read_csv(part.home / "predictions.csv")
    assert rows.wrong == (table["label"] != table["predicted"]).sum() == (~rows.right).sum()
    assert len(rows.mistakes) == MOST_MISTAKES
    held = [each.probability for each in rows.mistakes]
    assert held == sorted(held)
    assert rows.mistakes[0].characters == 1_000_000
    assert len(rows.mistakes[0].texts[0]) == LONGEST_TEXT + 1
    assert rows.mistakes[0].place == "test row 4"
    assert rows.characters.tolist() == [len(text) for text in texts]
    assert all(each.texts == [] for each in read_rows(part, texts=False).mistakes)


def test_rows_of_another_run_are_refused(fraud, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(fraud, folder)
    table = pd.read_csv(folder / "predictions.csv")
    table.iloc[:-1].to_csv(folder / "predictions.csv", index=False)
    with pytest.raises(ArtifactError, match=r"has 119 rows and answers.safetensors 120: they are not of one run"):
        read_rows(read_run(folder).parts[0], texts=True)
    pd.concat([table, table]).to_csv(folder / "predictions.csv", index=False)
    with pytest.raises(ArtifactError, match="240 rows or more"):
        read_rows(read_run(folder).parts[0], texts=True)


def test_texts_that_look_like_nothing_else_are_texts(fraud, with_rows):
    """Words that tables take for missing, quote marks, line ends and cells that look like numbers."""
    texts = ["NA", "null", "007", 'she said "no, \n"yes""\r\n,,"', "\r", "-1e9", *["x"] * 34]
    targets = np.resize([0, 1], 40)
    logits = -9.0 * np.eye(2)[targets]
    logits[6:] *= -1
    rows = read_rows(read_run(with_rows(fraud, texts, targets, logits)).parts[0], texts=True)
    assert rows.characters.tolist() == [len(text) for text in texts]
    assert {each.texts[0] for each in rows.mistakes} <= set(texts[:6])
    assert rows.mistakes


def test_damaged_predictions_are_told(fraud, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(fraud, folder)
    (folder / "predictions.csv").write_text("text,label\na,b\n", encoding="utf-8")
    with pytest.raises(ArtifactError, match=r"predictions.csv is damaged: it lacks predicted, score"):
        read_rows(read_run(folder).parts[0], texts=True)
    (folder / "predictions.csv").write_bytes(b"text,label,predicted,score\n\xff,a,b,0.5\n")
    with pytest.raises(ArtifactError, match=r"predictions.csv cannot be read"):
        read_rows(read_run(folder).parts[0], texts=True)
    (folder / "predictions.csv").unlink()
    assert read_rows(read_run(folder).parts[0], texts=True) is None
