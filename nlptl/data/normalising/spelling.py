"""Steps on words: letters of another alphabet that look like these, letters set apart, addresses made harmless."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from functools import cache

from nlptl.data.normalising.edits import Edit
from nlptl.errors import MissingExtraError

LATIN = "LATIN"
ALPHABETS = ("CYRILLIC", "GREEK", "ARMENIAN", "CHEROKEE", "COPTIC", "LISU")
"""Scripts whose letters are passed off as Latin ones."""
FEWEST = 4
"""Letters set apart that are taken for a word; fewer may be an abbreviation."""
_WORD = re.compile(r"[^\W_]+")
_SHAPED = re.compile(r"LATIN LETTER SMALL CAPITAL ([A-Z])")
_APART = re.compile(rf"(?<!\S)\S(?:[ \t]+\S){{{FEWEST - 1},}}(?!\S)")
_STRUNG = re.compile(rf"(?<![^\W_])[^\W\d_]([.\-_*~|+])[^\W\d_](?:\1[^\W\d_]){{{FEWEST - 2},}}(?![^\W_])")
_LEET = {"4": "a", "@": "a", "3": "e", "1": "i", "!": "i", "0": "o", "5": "s", "$": "s", "7": "t"}
_TOKEN = re.compile(r"(?<![^\s\"'(,.!?:;])[A-Za-z0-9@$!]{3,}(?![^\s\"'),.!?:;])(?!\.\w)")
_INSIDE = re.compile(r"[A-Za-z][0-9@$!]+[A-Za-z]|[A-Za-z][0-9@$!]{2,}$")
_SENTENCE_END = re.compile(r"[a-z]![A-Z]")
_SCHEME = re.compile(r"\bh(?:xx|\*\*)p(?=s?://)", re.IGNORECASE)
_ENDINGS = r"(?=(?:com|net|org|info|biz|co\.uk)\b)"
_DOT = re.compile(
    rf"[ ]?[\[({{<][ ]?(?:\.|dot)[ ]?[\])}}>][ ]?|(?<=\w)[ ]dot[ ]{_ENDINGS}|(?<=\w)[ ]\.[ ]?{_ENDINGS}", re.IGNORECASE
)


@cache
def load_lookalikes() -> dict[str, dict[str, str]]:
    """Script -> letter -> the Latin letter that it is confused with, of Unicode's confusables (UTS 39).

    Raises:
        MissingExtraError: the package that brings them is not installed.
    """
    try:
        from confusable_homoglyphs.confusables import confusables_data
    except ImportError as error:
        raise MissingExtraError(
            "data.normaliser=confusables needs confusable-homoglyphs: pip install 'nlptl[evidence]'"
        ) from error
    found: dict[str, dict[str, str]] = {script: {} for script in ALPHABETS}
    for letter, others in confusables_data.items():
        if len(letter) == 1 and letter.isalpha() and (script := _script(letter)) in found:
            latin = next((plain for other in others if (plain := _plain_latin(other["c"]))), None)
            if latin is not None:
                found[script][letter] = latin
    return found


@cache
def _plain_latin(character: str) -> str | None:
    """The letter from A to z that a Latin character shows; None where there is none."""
    if len(character) == 1 and character.isascii() and character.isalpha():
        return character
    if character == "\u0138":  # kra, a small k
        return "k"
    shaped = _SHAPED.fullmatch(unicodedata.name(character, "")) if len(character) == 1 else None
    return shaped[1].lower() if shaped else None


@cache
def _script(letter: str) -> str:
    return unicodedata.name(letter, "").partition(" ")[0]


@cache
def _latin_as(script: str) -> dict[str, str]:
    """Latin letter -> the letter of another script that it is confused with; the first of several in Unicode."""
    return {latin: letter for letter, latin in sorted(load_lookalikes()[script].items(), reverse=True)}


def lookalikes(text: str) -> list[Edit]:
    """Give each word of two alphabets the one that it is meant to be read in; small capitals become letters.

    Only words that mix Latin with another alphabet are touched, so that real Cyrillic and Greek stay. Such a word
    becomes Latin where each foreign letter looks like a Latin one; else it takes the other alphabet, where at most a
    third of it is Latin, and each of these letters looks like one of those. Where the text has words that can only be
    of the other alphabet, that one is tried first. A word that is made of nothing but foreign letters which look Latin
    becomes Latin only beside a mixed one that did, in a text without a word that can only be of its alphabet.
    """
    if text.isascii():
        return []
    known = load_lookalikes()
    words = [(found.start(), found[0], _scripts(found[0])) for found in _WORD.finditer(text) if not found[0].isascii()]
    genuine = {
        script for _, word, scripts in words for script in scripts & known.keys() if _only(word, scripts, known[script])
    }
    edits = list[Edit]()
    wholly = list[tuple[int, str, str]]()
    deceptive = False
    for start, word, scripts in words:
        foreign = scripts - {LATIN}
        if not foreign:
            edits += _shaped(start, word)
        elif LATIN in scripts and foreign <= known.keys():
            chosen = _chosen(word, foreign, genuine)
            deceptive = deceptive or any(letter.isascii() for letter in chosen.values())
            edits += _letters(start, word, chosen)
        elif len(foreign) == 1 and foreign <= known.keys() - genuine:
            wholly.append((start, word, next(iter(foreign))))
    if deceptive:
        edits += [edit for start, word, script in wholly for edit in _letters(start, word, known[script])]
    return sorted(edits)


def _scripts(word: str) -> frozenset[str]:
    return frozenset(_script(letter) for letter in word if letter.isalpha())


def _only(word: str, scripts: Iterable[str], latin: dict[str, str]) -> bool:
    """Whether a word has one script, and a letter that is not like any Latin one."""
    return len(set(scripts)) == 1 and any(letter.isalpha() and letter not in latin for letter in word)


def _chosen(word: str, foreign: Iterable[str], genuine: Iterable[str]) -> dict[str, str]:
    """What each letter of a mixed word gives way to; nothing where it cannot be of one alphabet."""
    known, scripts = load_lookalikes(), sorted(foreign)
    letters = [letter for letter in word if letter.isalpha()]
    to_latin = {letter: latin for script in scripts for letter, latin in known[script].items()}
    ways = [(LATIN, to_latin)]
    of_latin = sum(_script(letter) == LATIN for letter in letters)
    if len(scripts) == 1 and 3 * of_latin <= len(letters):  # one or two slipped in, and no name such as Java in front
        other = (scripts[0], _latin_as(scripts[0]))
        ways = [other, *ways] if scripts[0] in set(genuine) else [*ways, other]
    return next((way for kept, way in ways if all(_script(x) == kept or x in way for x in letters)), {})


def _letters(start: int, word: str, instead: dict[str, str]) -> list[Edit]:
    return [
        (start + place, start + place + 1, instead[letter]) for place, letter in enumerate(word) if letter in instead
    ]


def _shaped(start: int, word: str) -> list[Edit]:
    return [
        (start + place, start + place + 1, plain)
        for place, letter in enumerate(word)
        if not letter.isascii() and (plain := _plain_latin(letter)) is not None
    ]


def letters_apart(text: str) -> list[Edit]:
    """Join letters that are set apart, `w o r d s`; wider gaps between them are those between words."""
    edits = list[Edit]()
    for found in _APART.finditer(text):
        if _reads_as_words(found[0].split()):
            edits += [
                (found.start() + gap.start(), found.start() + gap.end(), " " * (len(gap[0]) > 1))
                for gap in re.finditer(r"[ \t]+", found[0])
            ]
    return edits


def _reads_as_words(signs: list[str]) -> bool:
    """Whether single signs are a text set apart, and no row of stars, kisses or initials."""
    letters = [sign.lower() for sign in signs if sign.isalpha()]
    return len(letters) >= FEWEST and len(set(letters)) >= FEWEST - 1 and 2 * sum(map(str.isalnum, signs)) >= len(signs)


def letters_strung(text: str) -> list[Edit]:
    """Join letters with one sign between each two of them, `w.o.r.d.s`."""
    return [
        (place, place + 1, "") for found in _STRUNG.finditer(text) for place in range(found.start() + 1, found.end(), 2)
    ]


def addresses(text: str) -> list[Edit]:
    """Write addresses as they are meant: `hxxp://` as `http://`, `shop[.]com` and `shop dot com` as `shop.com`."""
    edits = [(found.start(), found.end(), "http") for found in _SCHEME.finditer(text)]
    return sorted([*edits, *((found.start(), found.end(), ".") for found in _DOT.finditer(text))])


def leetspeak(text: str) -> list[Edit]:
    """Put letters for the digits and signs that stand for them inside words: `c4$h` is `cash`.

    A word has at least two letters and as many as signs, one of these between two letters or several at its end, and no
    other digit: `b4`, `3rd`, `150p`, `gr8` and codes of capitals and digits are left.
    """
    edits = list[Edit]()
    for found in _TOKEN.finditer(text):
        word = found[0].rstrip("!")
        signs = [sign for sign in word if not sign.isalpha()]
        letters = len(word) - len(signs)
        if (
            signs
            and letters >= max(2, len(signs))
            and all(sign in _LEET for sign in signs)
            and _INSIDE.search(word)
            and not _SENTENCE_END.search(word)
            and not (word.isupper() and any(map(str.isdigit, signs)))
        ):
            edits += [
                (found.start() + place, found.start() + place + 1, _LEET[sign])
                for place, sign in enumerate(word)
                if sign in _LEET
            ]
    return edits
