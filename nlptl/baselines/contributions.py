"""What each word adds to a logit of a linear baseline: weight times value of every term, shared out to its words.

    logit = sum over terms of w_t x_t + bias

A term of several words gives each of them the same part; one of characters belongs to the word that they are in. So the
shares of the words and of what cannot be placed add up to logit - bias exactly.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from nlptl.baselines.bag_of_words import Terms
from nlptl.baselines.predictor import BaselinePredictor
from nlptl.baselines.scorers import Linear
from nlptl.errors import ConfigError
from nlptl.inference.explanation import Attribution
from nlptl.inference.words import AsRead, Span, as_read, word_at, words_of
from nlptl.runs.artifact import Artifact
from nlptl.training.runtime import Runtime

METHOD = "terms of a linear model"
Places = dict[str, list[list[Span]]]
"""Term -> its occurrences, each the places that it is made of."""


class TermContributions:
    """Explains baselines whose logits are sums over terms.

    Args:
        artifact: the run.
        runtime: not needed.

    Raises:
        ConfigError: the model is not linear.
    """

    def __init__(self, artifact: Artifact, runtime: Runtime) -> None:
        predictor = artifact.predictor
        if not isinstance(predictor, BaselinePredictor) or not isinstance(predictor.model.scorer, Linear):
            raise ConfigError(
                f"{artifact.folder} answers by {predictor.title}, which is no sum over words, so that no word has a "
                "share of it. Linear baselines are explained (logistic_regression, linear_svm, naive_bayes), and runs "
                "on encoders."
            )
        self._artifact = artifact
        self._model, self._scorer = predictor.model, predictor.model.scorer

    def attribute(self, texts: Sequence[str], column: int) -> Attribution:
        """What the words of a text, or of a pair, add to a column of the logits."""
        read = [as_read(self._artifact, text) for text in texts]
        frame = pd.DataFrame([texts], columns=["text", "text_pair"][: len(texts)], dtype=object)
        row = self._model.vectors.transform(frame).tocoo()
        weight = self._scorer.weight[column].astype(np.float64) / self._model.temperature
        values = {int(term): float(value) * float(weight[term]) for term, value in zip(row.col, row.data, strict=True)}
        base = float(self._scorer.bias[column]) / self._model.temperature
        words = [words_of(text) for text in texts]
        shares, special = [np.zeros(len(found)) for found in words], 0.0
        for terms, text, places in self._placed(read):
            for term, value in ((t, values.pop(t)) for t in [*values] if t in terms):
                parts = [span for occurrence in places.get(terms[term], []) for span in occurrence]
                found = [word_at(words[text], texts[text], read[text].original(p.start, p.stop)) for p in parts]
                for word in found:
                    if word is not None:
                        shares[text][word] += value / len(found)
                special += value if not words[text] or not found else 0.0
        logit = base + sum(float(found.sum()) for found in shares) + special
        return Attribution(shares, special, logit, base, METHOD)

    def _placed(self, read: Sequence[AsRead]) -> Iterator[tuple[dict[int, str], int, Places]]:
        """Of each block of terms: the terms by their column, which text they are of, and where that has them."""
        start = 0
        for terms, names in self._model.vectors.blocks():
            text = int(terms.column == "text_pair")
            places = places_of(read[text].text, terms)
            yield {start + at: name for at, name in enumerate(names) if name in places}, text, places
            start += len(names)


def places_of(text: str, terms: Terms) -> Places:
    """Where a text has the terms that scikit-learn's vectorizer finds in it."""
    lowered = text.lower()
    if len(lowered) != len(text):  # a letter that becomes two, as some of Turkish do: its term has no place
        lowered = "".join(letter.lower() if len(letter.lower()) == 1 else letter for letter in text)
    found: Places = {}
    pieces = _words(lowered, terms) if terms.analyzer == "word" else _characters(lowered, terms)
    for name, spans in pieces:
        found.setdefault(name, []).append(spans)
    return found


def _words(text: str, terms: Terms) -> Iterator[tuple[str, list[Span]]]:
    tokens = [(found[0], Span(*found.span())) for found in re.finditer(r"(?u)\b\w\w+\b", text)]
    for length in range(terms.shortest, terms.longest + 1):
        for at in range(len(tokens) - length + 1):
            part = tokens[at : at + length]
            yield " ".join(name for name, _ in part), [span for _, span in part]


def _characters(text: str, terms: Terms) -> Iterator[tuple[str, list[Span]]]:
    for word in re.finditer(r"\S+", text):
        padded, last = f" {word[0]} ", word.end() - 1
        for length in range(terms.shortest, terms.longest + 1):
            for at in range(max(len(padded) - length, 0) + 1):
                start = min(max(word.start() + at - 1, word.start()), last)
                stop = min(word.start() + at - 1 + length, word.end())
                yield padded[at : at + length], [Span(start, max(stop, start + 1))]
                if length >= len(padded):
                    break
            if length >= len(padded):  # scikit-learn counts a short word once
                break
