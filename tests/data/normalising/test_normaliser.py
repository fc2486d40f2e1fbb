"""`data.normaliser`: one form for texts that look alike, the same in training and ever after, real alphabets left."""

# ruff: noqa: RUF001  letters that look alike are what this is about
from __future__ import annotations

import builtins
import unicodedata
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import nlptl
from nlptl.baselines import bag_of_words
from nlptl.data.normalising import spelling
from nlptl.data.normalising.normaliser import STEPS, normalise, normalised, traced
from nlptl.data.tokens import tokenising
from nlptl.errors import MissingExtraError
from nlptl.storage.json_files import read_json
from tests.conftest import QUICK

MENDED = {
    "рауpal аccоunt is lосkеd": "paypal account is locked",
    "𝐟𝐫𝐞𝐞 𝐜𝐚𝐬𝐡 ｎｏｗ ⓖⓞ": "free cash now go",
    "fr\u200bee ca\u00adsh\ufeff \u202enow": "free cash now",
    "f̶r̶e̶e̶ ċȧṡḣ b́ánk": "free cash bank",
    "f̶r̶e̶e̶ café": "free café",
    "f r e e   c a s h ,   £ 1 0 0": "free cash, £100",
    "w.i.n.n.e.r and f-r-e-e": "winner and free",
    "hxxps://win[.]com, shop dot com, mail [dot] net": "https://win.com, shop.com, mail.net",
    "ꜰʀᴇᴇ money": "free money",
    "fr33 c4$h, w1nn3r!": "free cash, winner!",
    # Cyrillic text with a Latin letter slipped in is Cyrillic.
    "Cкидка и пaроль сегодня": "Скидка и пароль сегодня",
    "Tест новый день": "Тест новый день",
}
LEFT_ALONE = (
    "Привет, как дела? Сор, роса, тесто и у нас",
    "το κατα τον και ου",
    "the Greek word τον, the Russian сор, and α-helix",
    "JavaСкрипт and Tシャツ are of two alphabets",
    "Straße, naïve café, Nguyễn, İstanbul, Åse",
    "می‌خواهم",
    "नमस्ते क्‍ष",
    "👨‍👩‍👧 and 🇩🇪",
    "U.S.A., e.g. at 9 p.m.; plan b; x x x x; a b & w film; * * * * * *",
    "b4 the 3rd, 150p in 10mins, gr8 SW73SS, MP3, some1 today!From me@mail.org",
    "1 2 3 4 5 6 and 192.168.0.1 and 1.2.3.4",
    "HTTP://WWW.EXAMPLE.COM and a dot on the i",
    "한국어 日本語",
)


@pytest.mark.parametrize("text", MENDED)
def test_what_is_written_to_deceive_becomes_what_it_is_read_as(text):
    assert normalise(text, "confusables") == MENDED[text]


@pytest.mark.parametrize("text", LEFT_ALONE)
def test_real_texts_of_any_alphabet_stay(text):
    assert normalise(unicodedata.normalize("NFKC", text), "confusables") == unicodedata.normalize("NFKC", text)


def test_nfkc_alone_maps_no_cyrillic_letter():
    assert normalise("рауpal ｎｏｗ", "nfkc") == "рауpal now"
    assert normalise("рауpal ｎｏｗ", "none") == "рауpal ｎｏｗ"


TEXTS = st.text(
    st.one_of(
        st.characters(codec="utf-8"),
        st.sampled_from("abcdefgh .-[]рауеосхαοАВΕ\u200b\u00ad\u0336\u0301ｆｒ𝐞ﬁ½각\u1100\u1161\u11a8ｶﾞ"),
    ),
    max_size=40,
)


@settings(max_examples=300, deadline=None)
@given(TEXTS, st.sampled_from(sorted(STEPS)))
def test_places_in_the_original_text(text, name):
    """Each character of the normal form knows its stretch, in order; the form does not depend on who asks."""
    found = traced(text, name)
    assert found.text == normalise(text, name)
    assert len(found.spans) == len(found.text)
    assert all(0 <= start < stop <= len(text) for start, stop in found.spans)
    assert [span[0] for span in found.spans] == sorted(span[0] for span in found.spans)
    if name == "nfkc":
        assert found.text == unicodedata.normalize("NFKC", found.text)


def test_a_stretch_of_the_normal_form_is_found_in_the_original():
    text = "Your рау\u200bpal is ｌｏｃｋｅｄ!"
    found = traced(text, "confusables")
    start = found.text.index("paypal")
    assert text[slice(*found.original(start, start + len("paypal")))] == "рау\u200bpal"
    start = found.text.index("locked")
    assert text[slice(*found.original(start, start + len("locked")))] == "ｌｏｃｋｅｄ"
    assert found.original(len(found.text), len(found.text)) == (len(text), len(text))
    assert traced("", "confusables").original(0, 0) == (0, 0)


def test_a_frame_keeps_all_but_its_texts():
    frame = pd.DataFrame(
        {"text": ["ｆｒｅｅ", "plain"], "text_pair": ["ｃａｓｈ", ""], "label": ["ｘ", "y"]}, index=[7, 3]
    )
    found = normalised(frame, "nfkc")
    assert found["text"].tolist() == ["free", "plain"]
    assert found["text_pair"].tolist() == ["cash", ""]
    assert found["label"].tolist() == ["ｘ", "y"]
    assert list(found.index) == [7, 3]
    assert frame["text"].iloc[0] == "ｆｒｅｅ"
    assert normalised(frame, "none") is frame


def test_without_its_package_it_is_refused_at_once(monkeypatch, tiny, obvious, tmp_path):
    real = builtins.__import__

    def missing(name: str, *given: Any, **more: Any) -> Any:
        if name.startswith("confusable_homoglyphs"):
            raise ImportError(name)
        return real(name, *given, **more)

    monkeypatch.setattr(builtins, "__import__", missing)
    spelling.load_lookalikes.cache_clear()
    for verb, more in ((nlptl.train, {"checkpoint": tiny["bert"]}), (nlptl.train_baseline, {})):
        with pytest.raises(MissingExtraError, match=r"pip install 'nlptl\[evidence\]'"):
            verb(
                "sentiment",
                data=obvious,
                output=tmp_path / "run",
                settings={"data.normaliser": "confusables"},
                **more,
            )
        assert not (tmp_path / "run").exists()
    spelling.load_lookalikes.cache_clear()


DECEPTIVE = ["a gооd film", "ａ ｂａｄ ｂｏｏｋ", "a   g r e a t   s o n g", "a p\u200boor meal"]
PLAIN = ["a good film", "a bad book", "a great song", "a poor meal"]


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every text that a tokenizer or a vectoriser is given from now on, in order."""
    texts: list[str] = []
    tokenizer_reads, baseline_reads = tokenising._texts, bag_of_words.TfidfVectorizer.transform

    def tokenised(block: pd.DataFrame) -> Any:
        texts.extend(block["text"])
        return tokenizer_reads(block)

    def vectorised(self: Any, raw: Any) -> Any:
        texts.extend(raw)
        return baseline_reads(self, raw)

    monkeypatch.setattr(tokenising, "_texts", tokenised)
    monkeypatch.setattr(bag_of_words.TfidfVectorizer, "transform", vectorised)
    return texts


def _deceptive_rows(obvious: Path, folder: Path) -> Path:
    """The texts of a folder, each as somebody would write it who wants to get past a filter."""
    folder.mkdir()
    for split in ("train", "validation", "test"):
        frame = pd.read_csv(obvious / f"{split}.csv")
        frame["text"] = [text.replace("o", "о", 1).replace("a", "\u200ba", 1) for text in frame["text"]]
        frame.to_csv(folder / f"{split}.csv", index=False)
    return folder


@pytest.mark.parametrize("kind", ["encoder", "baseline"])
def test_training_predict_and_evaluate_read_bit_equal_texts(kind, tiny, obvious, tmp_path, read):
    """The run sees what the same run on plain texts sees, and answers deceptive texts as it answers plain ones."""
    folder = _deceptive_rows(obvious, tmp_path / "rows")
    quick = QUICK if kind == "encoder" else {"runtime.progress": False, "baseline.features": ["words_characters"]}
    verb, more = (
        (nlptl.train, {"checkpoint": tiny["bert"], "mode": "feature_extraction"})
        if kind == "encoder"
        else (nlptl.train_baseline, {"model": "naive_bayes"})
    )
    read.clear()
    plain = verb("sentiment", data=obvious, output=tmp_path / "plain", settings=quick, **more)
    of_plain = list(read)
    read.clear()
    mended = {**quick, "data.normaliser": "confusables"}
    run = verb("sentiment", data=folder, output=tmp_path / "run", settings=mended, **more)
    assert read == of_plain
    # Loading with this letter replaced tells that training did see it: without the normaliser nothing is equal.
    assert any("о" in text for text in pd.read_csv(tmp_path / "run" / "predictions.csv")["text"])
    read.clear()
    np.testing.assert_array_equal(run.predict_proba(DECEPTIVE), plain.predict_proba(PLAIN))
    assert set(read) == set(PLAIN)
    test = folder / "test.csv"
    assert run.evaluate(test)["accuracy"] == run.metrics["test"]["accuracy"] == plain.metrics["test"]["accuracy"]
    again = nlptl.load(run.folder)
    np.testing.assert_array_equal(again.predict_proba(DECEPTIVE), plain.predict_proba(PLAIN))
    assert read_json(run.folder / "manifest.json")["normaliser"] == "confusables"
    assert read_json(plain.folder / "manifest.json")["normaliser"] == "none"


def test_a_merged_run_reads_texts_as_its_run_does(trained_tiny, tmp_path):
    run = trained_tiny("bert", "lora", data__normaliser="confusables").run
    merged = nlptl.load(nlptl.merge(run, tmp_path / "merged"))
    np.testing.assert_allclose(merged.predict_proba(DECEPTIVE), run.predict_proba(PLAIN), atol=1e-5)


def test_max_length_is_counted_in_the_form_that_is_read(tiny, obvious, tmp_path):
    folder = tmp_path / "apart"
    folder.mkdir()
    for split in ("train", "validation", "test"):
        frame = pd.read_csv(obvious / f"{split}.csv")
        frame.assign(text=[" ".join(text) for text in frame["text"]]).to_csv(folder / f"{split}.csv", index=False)
    lengths = []
    for name, data in (("none", obvious), ("confusables", folder)):
        run = nlptl.train(
            "sentiment",
            data=data,
            mode="feature_extraction",
            checkpoint=tiny["bert"],
            output=tmp_path / name,
            max_length="auto",
            settings={**QUICK, "data.normaliser": name},
        )
        lengths.append(run.metrics["model"]["max_length"])
    assert lengths[0] == lengths[1]
