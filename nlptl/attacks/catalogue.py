"""What people do to a text so that a classifier no longer knows it, and people still do.

Each attack is a function of a text and a generator; another package adds one by `@ATTACKS.register(name, help)` or
under the entry points of group `nlptl.attacks`. Look-alikes are those of Cyrillic (Unicode's confusables, UTS 39).
"""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np

Random = np.random.Generator
_LATIN = "aceiopsxyjdhqwABCEHIJKMOPSTXY"
_CYRILLIC = (
    "\u0430\u0441\u0435\u0456\u043e\u0440\u0455\u0445\u0443\u0458\u0501\u04bb\u051b\u051d"
    "\u0410\u0412\u0421\u0415\u041d\u0406\u0408\u041a\u041c\u041e\u0420\u0405\u0422\u0425\u0423"
)
LOOKALIKES = dict(zip(_LATIN, _CYRILLIC, strict=True))
LEET = {"a": "4@", "e": "3", "i": "1!", "o": "0", "s": "5$", "t": "7"}
SOME, HALF = 0.3, 0.5
"""Shares of letters, or of words, that an attack touches."""
_KEYS = ("qwertyuiop", "asdfghjkl", "zxcvbnm")
_ADDRESS = re.compile(r"\b(?:https?://|www\.)\S+|\b[\w-]+\.(?:com|net|org|info|biz|co\.uk)\b\S*", re.IGNORECASE)
_WORD = re.compile(r"[^\W\d_]{4,}")


def homoglyphs(text: str, random: Random) -> str:
    """Some of the letters that have a look-alike: `pay` with the Cyrillic one in place of its `a`."""
    return _each(text, random, SOME, lambda letter: LOOKALIKES.get(letter, letter))


def all_homoglyphs(text: str, random: Random) -> str:
    """Each letter that has a look-alike."""
    return _each(text, random, 1.0, lambda letter: LOOKALIKES.get(letter, letter))


def zero_width(text: str, random: Random) -> str:
    """A zero-width space after some letters."""
    return _each(text, random, SOME, lambda letter: f"{letter}\u200b" if letter.isalpha() else letter)


def soft_hyphens(text: str, random: Random) -> str:
    """A soft hyphen, which shows nothing inside a line, after some letters."""
    return _each(text, random, SOME, lambda letter: f"{letter}\u00ad" if letter.isalpha() else letter)


def combining_marks(text: str, random: Random) -> str:
    """A mark (U+0300 to U+036F) over, under or through some letters."""
    return _each(
        text,
        random,
        SOME,
        lambda letter: letter + chr(int(random.integers(0x0300, 0x0370))) if letter.isalpha() else letter,
    )


def leetspeak(text: str, random: Random) -> str:
    """`fr33 c4sh`."""

    def one(letter: str) -> str:
        signs = LEET.get(letter.lower())
        return letter if signs is None else signs[int(random.integers(len(signs)))]

    return _each(text, random, HALF, one)


def spacing(text: str, random: Random) -> str:
    """`f r e e   c a s h`."""
    return " ".join(text)


def casing(text: str, random: Random) -> str:
    """`fREe CaSH`."""
    return _each(text, random, HALF, str.swapcase)


def full_width(text: str, random: Random) -> str:
    """Signs from ! to ~ in the width of an East Asian character."""
    return "".join(chr(ord(sign) + 0xFEE0) if "!" <= sign <= "~" else sign for sign in text)


def mathematical(text: str, random: Random) -> str:
    """Letters and digits in the bold form that mathematics has of them."""

    def bold(sign: str) -> str:
        for first, last, start in (("A", "Z", 0x1D400), ("a", "z", 0x1D41A), ("0", "9", 0x1D7CE)):
            if first <= sign <= last:
                return chr(start + ord(sign) - ord(first))
        return sign

    return "".join(map(bold, text))


def addresses(text: str, random: Random) -> str:
    """`hxxp://shop[.]com`, or `shop dot com`; a text without an address stays."""

    def mangled(found: re.Match[str]) -> str:
        address = re.sub("^http", "hxxp", found[0], flags=re.IGNORECASE)
        return address.replace(".", "[.]") if random.random() < HALF else re.sub(r"\.(?=\w+$)", " dot ", address)

    return _ADDRESS.sub(mangled, text)


def typos(text: str, random: Random) -> str:
    """In some words of four letters or more, two letters swapped, one left out, doubled, or one of its neighbours."""

    def mistyped(found: re.Match[str]) -> str:
        word = found[0]
        if random.random() >= SOME:
            return word
        at, kind = int(random.integers(len(word) - 1)), int(random.integers(4))
        before, letter, after = word[:at], word[at], word[at + 1 :]
        if kind == 0:
            return before + after[0] + letter + after[1:]
        return before + ["", letter * 2, _neighbour(letter, random)][kind - 1] + after

    return _WORD.sub(mistyped, text)


def _neighbour(letter: str, random: Random) -> str:
    row = next((keys for keys in _KEYS if letter.lower() in keys), None)
    if row is None:
        return letter
    place = row.index(letter.lower()) + (1 if random.random() < HALF else -1)
    return row[max(0, min(place, len(row) - 1))]


def _each(text: str, random: Random, share: float, change: Callable[[str], str]) -> str:
    drawn = random.random(len(text)) < share
    return "".join(change(sign) if one else sign for sign, one in zip(text, drawn, strict=True))
