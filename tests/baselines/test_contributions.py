"""Shares of words in the logits of linear baselines: exact, and placed where scikit-learn found the terms."""

from __future__ import annotations

from collections import Counter

import pandas as pd
import pytest

import nlptl
from nlptl.baselines.bag_of_words import FEATURES, TextVectors
from nlptl.baselines.contributions import places_of
from nlptl.errors import ConfigError

TEXTS = [
    "a good film, a GOOD film",
    "I'm  not so bad; e-mail x@y.z!",
    "I a",
    "cafe\u0301 Straße İstanbul ﬁne",
    "\tweird\u00a0space\u2003here\n",
    "好 电影 我 很",
    "a.b..c x",
    "",
]


@pytest.fixture(scope="module")
def baseline(obvious, tmp_path_factory):
    runs = {}

    def of(model, features=None):
        if (model, features) not in runs:
            settings = {"runtime.progress": False, **({"baseline.features": [features]} if features else {})}
            runs[model, features] = nlptl.train_baseline(
                "sentiment", model=model, data=obvious, output=tmp_path_factory.mktemp("run") / "run", settings=settings
            )
        return runs[model, features]

    return of


@pytest.mark.parametrize("model", ["logistic_regression", "linear_svm", "naive_bayes"])
@pytest.mark.parametrize("features", ["words", "words_characters"])
def test_shares_add_up_to_the_logit_exactly(baseline, model, features):
    run = baseline(model, features)
    for text in ["a good film and more of it", *TEXTS]:
        for place, label in enumerate(run.labels):
            found = run.explain(text, label=label)
            assert found.logit == pytest.approx(run.logits([text])[0, place], abs=1e-4)
            assert found.gap == pytest.approx(0.0, abs=1e-9)
    spoken = {word.word: word.share for word in run.explain("a great film, not poor", label="positive").words}
    assert spoken["great"] > 0 > spoken["poor"]
    assert spoken[","] == 0 if features == "words" else True


@pytest.mark.parametrize("features", ["words", "words_characters"])
@pytest.mark.parametrize("text", TEXTS[:3] + TEXTS[4:])
def test_terms_are_found_where_the_vectorizer_finds_them(features, text):
    vectors = TextVectors.fit(pd.DataFrame({"text": [*TEXTS, "other words too"]}), features)
    for terms, vectorizer in vectors._blocks:
        expected = Counter(vectorizer.build_analyzer()(text))
        assert {name: len(found) for name, found in places_of(text, terms).items()} == expected


def test_places_are_letters_of_the_text():
    (words,) = FEATURES["words"]
    places = places_of("a Good film, good", words)
    assert [(span.start, span.stop) for (span,) in places["good"]] == [(2, 6), (13, 17)]
    ((first, second),) = places["good film"]
    assert (first.start, second.stop) == (2, 11)


@pytest.mark.parametrize(("model", "title"), [("knn", "knn on TF-IDF"), ("decision_tree", "decision_tree on TF-IDF")])
def test_what_is_no_sum_over_words_is_refused(baseline, model, title):
    with pytest.raises(ConfigError, match=f"answers by {title}, which is no sum over words"):
        baseline(model).explain("a good film")
