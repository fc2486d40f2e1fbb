"""The text normaliser of a run: texts that look alike to people get one form, the same in training and ever after.

It is applied where texts become token ids (`data.tokens.encoding.encode`) or terms
(`baselines.bag_of_words.TextVectors`), and nowhere else: rows, digests and predictions.csv keep the texts as they came.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import pandas as pd

from nlptl.data.normalising import characters, spelling
from nlptl.data.normalising.edits import Edit, Step, applied
from nlptl.errors import ConfigError, unknown

NONE = "none"
_UNICODE: tuple[Step, ...] = (characters.invisible, characters.compatible, characters.invisible)
STEPS: dict[str, tuple[Step, ...]] = {
    NONE: (),
    "nfkc": _UNICODE,
    "confusables": (
        *_UNICODE,
        characters.stray_marks,
        spelling.letters_apart,
        spelling.letters_strung,
        spelling.lookalikes,
        spelling.addresses,
        spelling.leetspeak,
    ),
}
"""Name, as `data.normaliser` has it -> what is done, in this order."""
COLUMNS = ("text", "text_pair")


@dataclass(frozen=True)
class Normalised:
    """A text in its normal form, and where each of its characters comes from."""

    text: str
    spans: list[tuple[int, int]]
    """Of each character of `text`, the stretch [start, stop) of the original that it stands for."""

    def original(self, start: int, stop: int) -> tuple[int, int]:
        """The stretch of the original text that the stretch [start, stop) of `text` stands for.

        An empty stretch lies where it lies: before the character that follows it.
        """
        if start >= stop:
            at = self.spans[start][0] if start < len(self.spans) else (self.spans[-1][1] if self.spans else 0)
            return at, at
        return min(span[0] for span in self.spans[start:stop]), max(span[1] for span in self.spans[start:stop])


def check(name: str) -> None:
    """See that a normaliser is there.

    Raises:
        ConfigError: there is none of that name.
        MissingExtraError: it needs a package that is not installed.
    """
    if name not in STEPS:
        raise ConfigError(unknown("normaliser", name, STEPS))
    if spelling.lookalikes in STEPS[name]:
        spelling.load_lookalikes()


def normalise(text: str, name: str) -> str:
    """The normal form of a text.

    Args:
        text: of any length.
        name: a key of `STEPS`.

    Raises:
        MissingExtraError: as `check`.
    """
    for step in STEPS[name]:
        edits = step(text)
        text = applied(text, edits) if edits else text
    return text


def traced(text: str, name: str) -> Normalised:
    """As `normalise`, with the places in the original text, for explanations of it."""
    spans = [(place, place + 1) for place in range(len(text))]
    for step in STEPS[name]:
        edits = step(text)
        if edits:
            text, spans = applied(text, edits), _moved(spans, edits)
    return Normalised(text, spans)


def normalised(frame: pd.DataFrame, name: str) -> pd.DataFrame:
    """The frame with its texts in normal form; the frame itself where there is nothing to do.

    Args:
        frame: columns `text` and, for pairs, `text_pair`; others stay as they are.
        name: a key of `STEPS`.
    """
    columns = [column for column in COLUMNS if column in frame]
    if name == NONE or frame.empty or not columns:
        return frame
    return frame.assign(
        **{
            column: pd.Series([normalise(text, name) for text in frame[column]], index=frame.index, dtype=object)
            for column in columns
        }
    )


def _moved(spans: list[tuple[int, int]], edits: Iterable[Edit]) -> list[tuple[int, int]]:
    moved, done = list[tuple[int, int]](), 0
    for start, stop, new in edits:
        moved += spans[done:start]
        if len(new) == stop - start:
            moved += spans[start:stop]
        elif new:
            moved += [(spans[start][0], spans[stop - 1][1])] * len(new)
        done = stop
    return moved + spans[done:]
