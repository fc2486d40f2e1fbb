"""Near training rows, words of labels, and whether the named words decide: on the bundled checkpoint."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

import nlptl
from nlptl.errors import ArtifactError, ConfigError, DataError
from nlptl.explore.explained import Explained, words_by_label
from nlptl.explore.faithfulness import measure_faithfulness
from nlptl.inference.explanation import Explanation, Word
from nlptl.inference.words import words_of
from tests.conftest import sample

TEXT = "It fell apart after six weeks."


def explanation(text, shares, label="good", probability=0.9):
    words = [
        Word(text[span.start : span.stop], span.start, span.stop, share)
        for span, share in zip(words_of(text), shares, strict=True)
    ]
    return Explanation((text,), label, label, probability, 1.0, 0.0, words, 0.0, "fixed", 8, [])


class Counting:
    """A run whose probability of `good` grows with the word good alone."""

    labels = ("bad", "good")

    def predict_proba(self, texts):
        self.texts = texts
        share = np.array([0.9 if "good" in text.split() else 0.2 for text in texts], np.float32)
        return np.stack([1 - share, share], 1)


def test_named_words_are_removed_and_random_ones_beside_them():
    texts = [f"a good thing , for round {i}" for i in range(30)]
    right = [explanation(text, [0.1, 2.0, 0.2, 5.0, 0.0, 0.0, 0.1]) for text in texts]
    run = Counting()
    found = measure_faithfulness(run, [*right, explanation("one", [1.0])], removed=1, draws=4)
    assert found.texts == 30
    assert found.left_out == 1  # nothing would stay of it
    assert found.top == pytest.approx(0.7)
    assert 0.0 < found.random < 0.4
    assert found.difference.outcome == "better"
    assert "beats random words" in found.sentence
    assert len(run.texts) == 30 * 5
    assert all("," in text for text in run.texts)  # signs are removed on neither side
    wrong = [explanation(text, [3.0, 0.0, 0.2, 0.0, 0.0, 0.0, 0.1]) for text in texts]
    assert measure_faithfulness(Counting(), wrong, removed=1).difference.outcome == "worse"
    assert measure_faithfulness(Counting(), [explanation("one", [1.0])]) is None


def test_words_of_a_label_are_ordered_by_what_they_add_over_its_texts():
    made = [
        explanation("Fine film", [1.0, 0.2]),
        explanation("fine , fine meal", [0.5, 0.9, 0.5, -0.3]),
        explanation("awful film", [0.7, 0.1], label="bad"),
    ]
    found = words_by_label(made)
    assert [(word.word, word.texts) for word in found["good"]] == [("fine", 2), ("film", 1)]
    assert found["good"][0].share == found["good"][0].total == pytest.approx(1.0)
    assert found["good"][1].total == pytest.approx(0.1)
    assert [word.word for word in found["bad"]] == ["awful", "film"]
    many = [explanation(f"fine w{i}", [1.0, 9.0]) for i in range(25)]
    assert [word.word for word in words_by_label(many)["good"]] == ["fine"]  # one text says nothing of a label


@pytest.fixture(scope="module")
def full(trained):
    return trained("full").run


def test_the_named_words_decide_more_than_random_ones(full):
    """Real encoder, real sample: removing them lowers the probability more than removing others."""
    found = nlptl.explain(full, data=sample("sentiment", "test", 28), faithfulness=True, removed=2)
    assert found.widest_gap < 0.05
    assert found.faithfulness.difference.outcome == "better"
    assert found.faithfulness.top > 2 * found.faithfulness.random
    assert set(found.by_label) <= set(full.labels)


def test_the_nearest_rows_are_rows_of_training(full, reviews):
    train = pd.read_csv(reviews / "train.csv")
    own = str(train["text"][3])
    found = nlptl.explain(full, [own, TEXT], nearest=3)
    first, second = found.nearest
    assert first[0].text == own
    assert first[0].label == train["label"][3]
    assert first[0].similarity == pytest.approx(1.0, abs=1e-4)
    assert first[0].place == f"{reviews / 'train.csv'}:4"
    assert {row.text for row in [*first, *second]} <= set(train["text"])
    for rows in (first, second):
        assert [row.similarity for row in rows] == sorted((row.similarity for row in rows), reverse=True)
    features = full.features([TEXT, *train["text"]])
    cosine = features[1:] @ features[0] / np.linalg.norm(features[1:], axis=1) / np.linalg.norm(features[0])
    assert second[0].text == train["text"][int(cosine.argmax())]


def test_rows_that_are_not_those_of_training_are_no_substitute(full, reviews):
    with pytest.raises(DataError, match="no longer the rows of training"):
        nlptl.explain(full, TEXT, nearest=1, training_data=reviews / "test.csv")


def test_a_baseline_has_no_near_rows(obvious, tmp_path):
    run = nlptl.train_baseline("sentiment", data=obvious, output=tmp_path / "run", settings={"runtime.progress": False})
    with pytest.raises(ArtifactError, match="is a baseline .*; it has no encoder"):
        nlptl.explain(run, "a good film", nearest=1)
    assert nlptl.explain(run, ["a good film", "an awful shop"]).by_label.keys() == {"positive", "negative"}


def test_rows_of_a_table_are_drawn_with_the_seed(full):
    table = sample("sentiment", "test", 20)
    drawn = [nlptl.explain(full, data=table, rows=3, seed=seed) for seed in (1, 1, 2)]
    texts = [[one.texts[0] for one in found.explanations] for found in drawn]
    assert texts[0] == texts[1] != texts[2]
    with pytest.raises(ConfigError, match="one of them"):
        nlptl.explain(full, TEXT, data=table)
    with pytest.raises(ConfigError, match="has no keyword 'text'"):
        nlptl.explain(full, text=TEXT)


def test_files_hold_all_of_it_and_texts_as_they_are(full, tmp_path):
    hostile = "<script>alert(1)</script> it fell apart"
    found = nlptl.explain(full, [hostile, TEXT], nearest=1, faithfulness=True)
    found.write(tmp_path / "x.json")
    noted = json.loads((tmp_path / "x.json").read_text())
    assert noted["texts"][0]["texts"] == [hostile]
    assert noted["texts"][1]["nearest"][0]["similarity"] <= 1.0001
    assert noted["faithfulness"]["texts"] == 2
    found.write(tmp_path / "x.html")
    page = (tmp_path / "x.html").read_text()
    assert "<script" not in page
    assert "fell" in page
    assert found._repr_html_() in page
    with pytest.raises(ConfigError, match=r"written as \.json or \.html"):
        found.write(tmp_path / "x.png")
    assert isinstance(found, Explained)
