"""Attacks: what people do to a text to get past a classifier. Each is seeded, and undone or not by the normaliser."""

from __future__ import annotations

import logging
import unicodedata

import numpy as np
import pandas as pd
import pytest

from nlptl.data.attacked_copies import ORIGIN, attacked, with_attacked_copies
from nlptl.data.normalising.normaliser import normalise
from nlptl.errors import ConfigError
from nlptl.registry import ATTACKS

TEXTS = [
    "Congratulations, you have won a free cash prize! Visit http://www.win-now.com/claim today",
    "Your parcel is waiting. Pay the small fee of 2.99 at shop.net",
]
CANNOT_BE_UNDONE = {"leetspeak", "typos", "casing"}
"""What is left of the text does not say what it was."""
NO_ADDRESS = ["Call me later, please", "See you at nine"]


@pytest.mark.parametrize("name", sorted(ATTACKS))
def test_an_attack_changes_texts_and_is_a_function_of_text_place_and_seed(name):
    once = attacked(TEXTS, name, seed=1)
    assert once == attacked(TEXTS, name, seed=1)
    assert all(new != old for new, old in zip(once, TEXTS, strict=True))
    assert attacked(TEXTS[:1], name, seed=1) == once[:1]
    drawn = name not in ("all_homoglyphs", "spacing", "full_width", "mathematical")
    assert (attacked(TEXTS * 5, name, seed=2) != attacked(TEXTS * 5, name, seed=1)) == drawn
    assert attacked([""], name, seed=1) == [""]


@pytest.mark.parametrize("name", sorted(set(ATTACKS) - CANNOT_BE_UNDONE))
def test_the_normaliser_undoes_what_can_be_undone(name):
    # A text without accents of its own: an attack that composes one has left nothing else to tell it by.
    for new, old in zip(attacked(TEXTS, name, seed=3), TEXTS, strict=True):
        assert normalise(new, "confusables") == normalise(old, "confusables") == old


def test_leetspeak_is_undone_but_for_words_that_may_be_meant():
    text = "You have won a guaranteed prize, claim the voucher before Sunday"
    attacked_once = attacked([text] * 30, "leetspeak", 0)
    right = [
        sum(a == b for a, b in zip(normalise(t, "confusables").split(), text.split(), strict=True))
        for t in attacked_once
    ]
    before = [sum(a == b for a, b in zip(t.split(), text.split(), strict=True)) for t in attacked_once]
    assert np.mean(right) > 0.75 * len(text.split()) > 1.5 * np.mean(before)


def test_nfkc_alone_leaves_cyrillic_letters():
    (text,) = attacked(["a free prize"], "all_homoglyphs", 0)
    assert normalise(text, "nfkc") == text != "a free prize"
    assert "CYRILLIC" in {unicodedata.name(letter).split()[0] for letter in text if letter != " "}


def test_texts_without_an_address_stay():
    assert attacked(NO_ADDRESS, "addresses", 0) == NO_ADDRESS


def test_an_unknown_attack_lists_those_there_are():
    with pytest.raises(ConfigError, match=r"Unknown attack 'homoglyph'\. Available: .*Did you mean 'homoglyphs'"):
        attacked(TEXTS, "homoglyph", 0)


@pytest.fixture
def train() -> pd.DataFrame:
    rows = {"text": [f"a plain text about a thing, number {i}" for i in range(60)], "label": ["x", "y", "y"] * 20}
    return pd.DataFrame({**rows, "file": "train.csv", "row": range(1, 61)})


def test_copies_are_added_behind_the_rows_and_keep_their_labels(train, caplog):
    with caplog.at_level(logging.INFO, "nlptl"):
        found = with_attacked_copies(train, 0.5, seed=4)
    assert "30 training rows once more" in caplog.text
    pd.testing.assert_frame_equal(found.head(60), train)
    copies = found.iloc[60:]
    assert len(copies) == 30
    assert set(copies["file"]) == {ORIGIN}
    assert copies["row"].is_unique
    original = train.set_index("row")
    assert (original.loc[copies["row"], "label"].to_numpy() == copies["label"].to_numpy()).all()
    # All but the attack on addresses, which these texts have none of, change their text.
    same = original.loc[copies["row"], "text"].to_numpy() == copies["text"].to_numpy()
    assert same.sum() <= 6
    pd.testing.assert_frame_equal(found, with_attacked_copies(train, 0.5, seed=4))
    assert not np.array_equal(with_attacked_copies(train, 0.5, seed=5)["row"], found["row"])
    assert with_attacked_copies(train, 0.0, seed=4) is train


def test_of_a_pair_both_texts_are_attacked_alike(train):
    pairs = train.assign(text_pair=train["text"])
    copies = with_attacked_copies(pairs, 1.0, seed=0).iloc[60:]
    spaced = copies[copies["text"].str.startswith("a   p l a i n")]
    assert len(spaced) == 5
    assert spaced["text_pair"].str.startswith("a   p l a i n").all()
