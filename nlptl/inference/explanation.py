"""Why a run answers a text as it does: what each word adds to the logit of a label."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from html import escape
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from nlptl.errors import ConfigError, unknown
from nlptl.inference.texts import Text, texts_frame
from nlptl.inference.words import words_of
from nlptl.registry import EXPLAINERS
from nlptl.runs.artifact import Artifact, Head
from nlptl.runs.manifest import kind_of
from nlptl.training.runtime import Runtime

if TYPE_CHECKING:
    from nlptl.inference.predictor import Run

GAP = 0.05
"""Share of the difference that the words explain by which their sum may miss it."""
UNSURE = ("out_of_scope", "abstain")
"""Policies that answer with a label of their own where no label is probable enough: not that one's logit decides."""
FOR, AGAINST = "31, 119, 180", "214, 96, 12"
"""Red, green and blue of words that speak for a label and against it: told apart by people who see few colours too."""


@dataclass(frozen=True)
class Word:
    """A word of the text, and what it adds to the logit."""

    word: str
    start: int
    """Characters of the text as it was given."""
    stop: int
    share: float
    text: int = 0
    """0, or 1 for the second text of a pair."""


@dataclass(frozen=True)
class Attribution:
    """What an explainer finds for one text and one logit."""

    shares: list[np.ndarray]
    """Of each text, (words,) what its words, as `words_of` gives them, add to the logit."""
    special: float
    """What belongs to no word: special tokens, and terms that cannot be placed."""
    logit: float
    base: float
    """The logit of a text of the same length without any word."""
    method: str
    steps: int | None = None
    """Points on the way from the text without words to the text; None where nothing is approximated."""
    unread: int = 0
    """Words that lie beyond what the run reads."""
    windows: int = 1
    """Inputs that the text is read in."""


class Explainer(Protocol):
    """Splits a logit among the words of a text; a class in `nlptl.registry.EXPLAINERS`, one for each kind of run."""

    def __init__(self, artifact: Artifact, runtime: Runtime) -> None:
        """Open what is needed of a run; raises ConfigError where its answers are no sum over words."""

    def attribute(self, texts: Sequence[str], column: int) -> Attribution:
        """What the words of one text, or of a pair, add to a column of the run's logits."""


@dataclass(frozen=True)
class Explanation:
    """What the words of a text add to the logit of a label.

    In a notebook it shows the text, words that speak for the label in blue and words against it in orange.
    """

    texts: tuple[str, ...]
    """The text, or a pair."""
    label: str
    """Whose logit is explained."""
    decided: Any
    """What the run answers; a list of labels for multi_label."""
    probability: float
    """Of the explained label."""
    logit: float
    """Of the model in float32, before calibration."""
    base: float
    """The logit of the same text with padding in the place of every word; of a baseline, of a text of unknown terms."""
    words: list[Word]
    """Those of the text in their order; their shares and `special` add up to logit - base, but for `gap`."""
    special: float
    """Share of special tokens, and of what else belongs to no word."""
    method: str
    steps: int | None
    notes: list[str]
    """What a reader must know: another label than the decided one, words that were not read, a gap that stayed."""

    @property
    def gap(self) -> float:
        """What the shares miss of logit - base: the completeness gap, absolute."""
        return abs(sum(word.share for word in self.words) + self.special - (self.logit - self.base))

    @property
    def relative_gap(self) -> float:
        """The gap as a share of the difference that is explained; infinite where there is none."""
        return relative(self.gap, self.logit - self.base)

    def top(self, most: int = 10) -> list[Word]:
        """The words with the largest shares, for or against."""
        return sorted(self.words, key=lambda word: -abs(word.share))[:most]

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        relative_gap = None if math.isinf(self.relative_gap) else self.relative_gap
        return {**asdict(self), "gap": self.gap, "relative_gap": relative_gap}

    def _repr_html_(self) -> str:
        most = max((abs(word.share) for word in self.words), default=0.0) or 1.0
        lines = "".join(f"<div>{coloured(text, self._of(i), most)}</div>" for i, text in enumerate(self.texts))
        notes = "".join(f"<div><small>{escape(note)}</small></div>" for note in self.notes)
        return (
            f"<div><b>{escape(self.label)}</b> ({self.probability:.4f}), logit {self.logit:+.2f}; without words "
            f"{self.base:+.2f}; special tokens {self.special:+.2f}; gap {self.relative_gap:.1%}</div>{lines}{notes}"
        )

    def _of(self, text: int) -> list[Word]:
        return [word for word in self.words if word.text == text]


def coloured(text: str, words: Sequence[Word], most: float) -> str:
    """A text as HTML, each word on a background that says its share; everything in it is escaped.

    Args:
        text: as it was given.
        words: of this text.
        most: the share that has the full colour.
    """
    parts, at = [], 0
    for word in words:
        parts.append(escape(text[at : word.start]))
        rgb, strength = FOR if word.share > 0 else AGAINST, min(abs(word.share) / most, 1.0)
        style = f"background: rgba({rgb}, {0.75 * strength:.2f})"
        parts.append(f'<span style="{style}" title="{word.share:+.3f}">{escape(word.word)}</span>')
        at = word.stop
    return "".join([*parts, escape(text[at:])])


def relative(gap: float, difference: float) -> float:
    """A gap as a share of the difference that is explained."""
    return gap / abs(difference) if difference else (0.0 if gap == 0 else float("inf"))


def explainer_of(artifact: Artifact, runtime: Runtime) -> Explainer:
    """What explains a run of this kind.

    Raises:
        ConfigError: nothing does, or the run's answers are no sum over words.
        MissingExtraError: a package that is needed is not installed.
    """
    kind = kind_of(artifact.manifest)
    if kind not in EXPLAINERS:
        raise ConfigError(f"{artifact.folder} is a run of kind {kind}, which nothing explains. {_there()}")
    found: Explainer = EXPLAINERS.get(kind)(artifact, runtime)
    return found


def _there() -> str:
    return f"Kinds of runs that are explained: {', '.join(EXPLAINERS)}."


def explain_text(run: Run, explainer: Explainer, head: Head, text: Text, label: str | None = None) -> Explanation:
    """Explain one text.

    Args:
        run: that answers.
        explainer: of the run.
        head: of the task that the run answers for.
        text, label: as of `Run.explain`, which raises the same.
    """
    row = texts_frame([text], run.text_columns).iloc[0]
    texts = tuple(str(part) for part in row)
    predictions, probabilities, _ = run.answer([text])
    decided = predictions[0].label
    chosen, notes = _label(head, probabilities[0], decided, label)
    place = run.labels.index(chosen)
    found = explainer.attribute(texts, head.columns.start + place)
    words = [
        Word(part[span.start : span.stop], span.start, span.stop, float(share), i)
        for i, part in enumerate(texts)
        for span, share in zip(words_of(part), found.shares[i], strict=True)
    ]
    probability, base = float(probabilities[0, place]), found.base
    made = Explanation(
        texts, chosen, decided, probability, found.logit, base, words, found.special, found.method, found.steps, notes
    )
    notes += _notes(made, found)
    return made


def _label(head: Head, probabilities: np.ndarray, decided: Any, asked: str | None) -> tuple[str, list[str]]:
    """Whose logit is explained, and what is to be said of that."""
    labels = head.task.label_list()
    if asked is not None:
        if asked not in labels:
            raise ConfigError(unknown("label", asked, labels))
        return asked, []
    best = labels[int(probabilities.argmax())]
    if isinstance(decided, list):
        several = sorted(decided, key=lambda label: -float(probabilities[labels.index(label)]))
        if not several:
            return best, [f"No label was decided; {best} is the most probable one."]
        also = f"Also decided: {', '.join(several[1:])}. Each is explained by its name."
        return several[0], [also] if several[1:] else []
    unsure = head.decision.policy in UNSURE and decided == head.decision.label != best
    if decided not in labels or unsure:
        return best, [f"Decided was {decided}, since no label is probable enough; {best} is the most probable one."]
    return str(decided), []


def _notes(made: Explanation, found: Attribution) -> list[str]:
    notes = []
    if found.windows > 1:
        notes.append(
            f"The text is read in {found.windows} windows, all of which are explained: a word that several hold "
            "has the sum of its shares in them."
        )
    if found.unread:
        notes.append(f"{found.unread} words lie beyond what the run reads, and have no share.")
    if made.relative_gap > GAP:
        notes.append(
            f"The shares miss {made.gap:.3f} of the {abs(made.logit - made.base):.3f} that they explain "
            f"({made.relative_gap:.0%}) after {found.steps} steps: read them as rough."
        )
    return notes
