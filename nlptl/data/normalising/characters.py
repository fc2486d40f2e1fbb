"""Steps on single characters: what cannot be seen goes, what is another form of a character becomes that character."""

from __future__ import annotations

import re
import unicodedata
from functools import cache

from nlptl.data.normalising.edits import Edit

# Characters that show nothing, besides those of category Cf: joiners, fillers and selectors of a variant.
_BLANK = "\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef"
# Of category Cf; those that can be seen, as before Arabic numbers, are not among them.
_FORMAT = "\u00ad\u061c\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\U0001bca0-\U0001bca3"
_TAGS = "\U000e0001\U000e0020-\U000e007f\U0001d173-\U0001d17a"
_JOINERS = "\u200c\u200d"
_INVISIBLE = re.compile(f"[{_JOINERS}]+|[{_BLANK}{_FORMAT}{_TAGS}]+")
_CASED = ("Lu", "Ll", "Lt")
# What joins with the character before it: marks, parts of Korean syllables, halfwidth Japanese sound marks.
_JOINS_BEFORE = re.compile("[\u1160-\u11ff\ud7b0-\ud7fb\uff9e\uff9f]")


def invisible(text: str) -> list[Edit]:
    """Take out what shows nothing: zero-width spaces, soft hyphens, direction marks, fillers, variant selectors.

    The two joiners stay where they are part of the writing: between letters without case, as in Persian and Hindi,
    and inside emoji.
    """
    if text.isascii():
        return []
    return [
        (found.start(), found.end(), "")
        for found in _INVISIBLE.finditer(text)
        if not (found[0][0] in _JOINERS and _written_with_joiners(text, found.start(), found.end()))
    ]


def _written_with_joiners(text: str, start: int, stop: int) -> bool:
    around = (text[start - 1 : start], text[stop : stop + 1])
    return all(side and unicodedata.category(side) in ("Lo", "Mn", "Mc", "So", "Sk") for side in around)


def compatible(text: str) -> list[Edit]:
    """Unicode's compatibility form NFKC: full-width, mathematical and circled letters become plain ones."""
    if text.isascii() or unicodedata.is_normalized("NFKC", text):
        return []
    edits, formed, done = list[Edit](), "", 0
    for start, stop in _clusters(text):
        part = text[start:stop]
        new = unicodedata.normalize("NFKC", part)
        formed += new
        if new != part:
            edits.append((start, stop, new))
        done = stop
    whole = unicodedata.normalize("NFKC", text)
    # Where characters join over what was taken for a border, the places are told for the text as a whole.
    return edits if formed == whole and done == len(text) else [(0, len(text), whole)]


def _clusters(text: str) -> list[tuple[int, int]]:
    starts = [at for at, character in enumerate(text) if at == 0 or not _joins(character)]
    return list(zip(starts, [*starts[1:], len(text)], strict=True))


@cache
def _joins(character: str) -> bool:
    return unicodedata.category(character)[0] == "M" or _JOINS_BEFORE.match(character) is not None


def stray_marks(text: str) -> list[Edit]:
    """Take the marks off words that carry marks which no alphabet puts there, as in `f̶r̶e̶e̶`.

    In the form NFKC the letters of languages that are written with accents have them inside: a mark that is left over
    on a letter with case is a decoration. The accents of such a word are taken for decoration as well and, where two
    words are so decorated, those of the whole text.
    """
    if text.isascii() or not any(unicodedata.category(character)[0] == "M" for character in text):
        return []
    words = [_without_marks(text, found.start(), found.end()) for found in re.finditer(r"\S+", text)]
    decorated = sum(stray for stray, _ in words)
    return [edit for stray, edits in words if stray or decorated > 1 for edit in edits]


def _without_marks(text: str, start: int, stop: int) -> tuple[bool, list[Edit]]:
    """Whether a word has a mark left over, and the edits that take it and all accents off."""
    edits, stray, base = list[Edit](), False, ""
    for place in range(start, stop):
        character = text[place]
        kind = unicodedata.category(character)
        if kind[0] != "M":
            base = character
            plain = unicodedata.normalize("NFD", character)[0] if kind in _CASED else character
            if plain != character:
                edits.append((place, place + 1, plain))
        elif not base or unicodedata.category(base) in _CASED or unicodedata.category(base)[0] in "NP":
            stray = True
            edits.append((place, place + 1, ""))
    return stray, edits
