"""Do the words that an explanation names decide? They are removed, and random words of the same texts beside them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from nlptl.evaluation.significance import Difference, over_rows, sentence
from nlptl.inference.explanation import Explanation, Word
from nlptl.inference.texts import Text
from nlptl.inference.words import Span, says_something, without

if TYPE_CHECKING:
    from nlptl.inference.predictor import Run

DRAWS = 5


@dataclass(frozen=True)
class Faithfulness:
    """How far the explained label's probability falls when words are removed."""

    removed: int
    """Words of each text, at most: one stays."""
    texts: int
    left_out: int
    """Texts of a single word, of which none can be removed."""
    top: float
    """Mean fall for the words that speak most for the label."""
    random: float
    """Mean fall for random words, each text's own mean over the draws."""
    difference: Difference
    """top - random, paired by text."""

    @property
    def sentence(self) -> str:
        """In words, in points of probability."""
        said = sentence(f"removing the {self.removed} words with the largest shares", "random words", self.difference)
        fallen = f"probability falls by {100 * self.top:.2f} and {100 * self.random:.2f} points"
        return f"{said} The {fallen}."

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {**asdict(self), "difference": self.difference.noted(), "sentence": self.sentence}


def measure_faithfulness(
    run: Run, explanations: Sequence[Explanation], removed: int = 3, draws: int = DRAWS, seed: int = 0
) -> Faithfulness | None:
    """Remove the words with the largest shares from each text, and as many random ones; None where no text has two.

    Deletion leaves texts that nobody writes, so that the comparison with random words counts, not the fall itself.

    Args:
        run: that answers.
        explanations: of its answers.
        removed: words of each text.
        draws: of random words for each text.
        seed: of the draws.
    """
    top, random = falls_of(run, explanations, removed, draws, seed)
    if not len(top):
        return None
    left_out = len(explanations) - len(top)
    return Faithfulness(removed, len(top), left_out, float(top.mean()), float(random.mean()), over_rows(top, random))


def falls_of(
    run: Run, explanations: Sequence[Explanation], removed: int, draws: int = DRAWS, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """How far each text's probability falls: (texts,) without the words with the largest shares, and random ones.

    Signs alone are not removed on either side: that removing a full stop does little would flatter the named words.
    Texts of a single word are left out. The random words are the same for explanations of the same texts.

    Args: as of `measure_faithfulness`.
    """
    texts: list[Text] = []
    labels: list[int] = []
    before: list[float] = []
    for place, one in enumerate(explanations):
        draw = np.random.default_rng([seed, 5, place])
        words = [word for word in one.words if says_something(one.texts[word.text], Span(word.start, word.stop))]
        count = min(removed, len(words) - 1)
        if count < 1:
            continue
        best = sorted(words, key=lambda word: -word.share)[:count]
        chosen = [best, *([words[i] for i in draw.permutation(len(words))[:count]] for _ in range(draws))]
        texts += [_without(one.texts, those) for those in chosen]
        labels.append(run.labels.index(one.label))
        before.append(one.probability)
    if not labels:
        return np.zeros(0), np.zeros(0)
    after = run.predict_proba(texts).reshape(len(labels), draws + 1, -1)[np.arange(len(labels)), :, labels]
    fallen = np.array(before)[:, None] - after
    return fallen[:, 0], fallen[:, 1:].mean(1)


def _without(texts: tuple[str, ...], words: Sequence[Word]) -> Text:
    kept = [
        without(text, [Span(word.start, word.stop) for word in words if word.text == i]) for i, text in enumerate(texts)
    ]
    return kept[0] if len(kept) == 1 else (kept[0], kept[1])
