"""Words of a text, and the way back to the text as it was given."""

import pytest

from nlptl.inference.words import AsRead, Span, as_read, says_something, without, word_at, words_of


def said(text):
    return [text[word.start : word.stop] for word in words_of(text)]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("It fell apart, after six weeks.", ["It", "fell", "apart", ",", "after", "six", "weeks", "."]),
        ("I don't, e-mail me at 3.5", ["I", "don't", ",", "e-mail", "me", "at", "3.5"]),
        ("bad...really --bad", ["bad", "...", "really", "--", "bad"]),
        ("cafe\u0301 नमस्ते שלום", ["cafe\u0301", "नमस्ते", "שלום"]),  # marks belong to their letters
        ("g\u200bood so\u00adlid", ["g\u200bood", "so\u00adlid"]),
        ("我很好 ok", ["我", "很", "好", "ok"]),
        ("win \U0001f600\U0001f600 now", ["win", "\U0001f600\U0001f600", "now"]),
        ("  \n ", []),
        ("", []),
    ],
)
def test_words_are_what_a_reader_calls_words(text, words):
    assert said(text) == words


def test_characters_belong_to_the_word_that_their_first_letter_lies_in():
    text = "a  good film!"
    words = words_of(text)
    assert word_at(words, text, Span(3, 5)) == word_at(words, text, Span(5, 7)) == 1
    assert word_at(words, text, Span(7, 10)) == 2  # a token with the space in front of it
    assert word_at(words, text, Span(1, 1)) == 1  # of no letters: the next word
    assert word_at(words, text, Span(13, 13)) == 3
    assert word_at([], "  ", Span(0, 1)) is None


def test_words_are_removed_with_one_of_the_spaces_around_them():
    text = "It fell apart, after six weeks."
    words = words_of(text)
    assert without(text, [words[1], words[5]]) == "It apart, after weeks."
    assert without(text, [words[0]]) == "fell apart, after six weeks."
    assert without(text, words) == ""
    assert [says_something(text, word) for word in words[2:4]] == [True, False]


def test_what_is_read_otherwise_leads_back_to_the_original():
    assert as_read(None, "abc") == AsRead("abc")
    assert AsRead("abc").original(1, 2) == Span(1, 2)
    read = AsRead("free", [(0, 1), (2, 3), (3, 4), (4, 5)])  # of "f\u200bree"
    assert read.original(0, 2) == Span(0, 3)
    assert read.original(1, 1) == Span(2, 2)
    assert read.original(4, 4) == Span(5, 5)
