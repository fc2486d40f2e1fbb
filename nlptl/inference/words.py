"""The words of a text, and where the characters that a run reads come from in the text as it was given."""

from __future__ import annotations

import unicodedata
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from nlptl.runs.artifact import Artifact

JOINERS = frozenset("'\u2019\u02bc-._@&/")
"""Signs that join a word where a single one stands between two letters: don't, e-mail, 3.5."""


class Span(NamedTuple):
    """Characters `start` to `stop` of a text."""

    start: int
    stop: int


@dataclass(frozen=True)
class AsRead:
    """A text as a run's tokenizer or vectors get it."""

    text: str
    spans: Sequence[tuple[int, int]] | None = None
    """Of each character of `text`, the stretch of the given text that it stands for; None: the text is as given."""

    def original(self, start: int, stop: int) -> Span:
        """The characters of the given text that these stand for; of none, where they would stand."""
        if self.spans is None:
            return Span(start, stop)
        if start >= stop:
            at = self.spans[start][0] if start < len(self.spans) else max((span[1] for span in self.spans), default=0)
            return Span(at, at)
        there = self.spans[start:stop]
        return Span(min(span[0] for span in there), max(span[1] for span in there))


def as_read(artifact: Artifact, text: str) -> AsRead:
    """What becomes of a text before a run's tokenizer or vectors get it: what changes texts there is traced here."""
    return AsRead(text)


def words_of(text: str) -> list[Span]:
    """The words of a text in their order: runs of letters, digits and their marks, and runs of other signs.

    A letter of a script that is written without spaces between words in wide letters, such as Chinese, is a word.
    """
    kinds = [_kind(letter) for letter in text]
    for at in range(1, len(text) - 1):
        if text[at] in JOINERS and kinds[at - 1] == kinds[at + 1] == "letter":
            kinds[at] = "joiner"  # two in a row have no letter on both sides
    found: list[Span] = []
    start = 0
    for at in range(1, len(text) + 1):
        if at < len(text) and _goes_on(kinds[at - 1], kinds[at]):
            continue
        if kinds[start] != "space":
            found.append(Span(start, at))
        start = at
    return found


def word_at(words: Sequence[Span], text: str, span: Span) -> int | None:
    """Which word some characters belong to: the one that their first letter lies in, else the next; None: no word.

    Args:
        words: as `words_of` gives them.
        text: whose words they are.
        span: the characters; of none, where they would stand.
    """
    if not words:
        return None
    start = span.start
    while start < span.stop - 1 and text[start].isspace():
        start += 1
    found = bisect_right(words, start, key=lambda word: word.start) - 1
    if found < 0 or (start >= words[found].stop and found + 1 < len(words)):
        found += 1
    return found


def without(text: str, removed: Sequence[Span]) -> str:
    """The text without some of its words; where a space stood on either side, one is left."""
    kept, at = [], 0
    for span in sorted(removed, key=lambda one: one.start):
        kept.append(text[at : span.start])
        at = span.stop
        if text[at : at + 1].isspace() and (not "".join(kept) or "".join(kept)[-1].isspace()):
            at += 1
    return "".join([*kept, text[at:]])


def says_something(text: str, word: Span) -> bool:
    """Whether a word holds a letter or a digit."""
    return any(letter.isalnum() for letter in text[word.start : word.stop])


def _kind(letter: str) -> str:
    if letter.isspace():
        return "space"
    category = unicodedata.category(letter)
    if category[0] in "PSCZ" and category != "Cf":  # a mark that is not seen, such as a zero-width space, parts nothing
        return "sign"
    return "wide" if category == "Lo" and unicodedata.east_asian_width(letter) == "W" else "letter"


def _goes_on(before: str, now: str) -> bool:
    if now == "wide":
        return False
    if before == "wide":
        return False
    return before == now or {before, now} == {"letter", "joiner"}
