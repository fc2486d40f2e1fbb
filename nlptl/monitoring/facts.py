"""Plain facts about texts that hint at why they differ: length, other scripts, unknown words, repeats."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from nlptl.inference.predictor import Run
from nlptl.monitoring.samples import Sample
from nlptl.runs.predictors import EncoderPredictor


def text_facts(run: Run, reference: Sample, new: Sample) -> list[dict[str, Any]]:
    """One row per fact, of the reference and of the new texts.

    Args:
        run: whose tokenizer says what is unknown to the encoder; a baseline has none.
        reference, new: the samples.
    """
    sides = [_facts(run, sample) for sample in (reference, new)]
    return [{"fact": name, "reference": value, "new": sides[1][name]} for name, value in sides[0].items()]


def _facts(run: Run, sample: Sample) -> dict[str, float | None]:
    texts = sample.texts.agg(" ".join, axis=1).tolist()
    words = sum(len(text.split()) for text in texts)
    found: dict[str, float | None] = {
        "characters, median": float(np.median([len(text) for text in texts])),
        "share of empty texts": _share(sum(not text.strip() for text in texts), len(texts)),
        "share of repeated texts": _share(len(texts) - len(set(texts)), len(texts)),
        "share of letters beyond Latin": other_script(texts),
    }
    predictor = run.artifact.predictor
    if isinstance(predictor, EncoderPredictor):
        tokenizer = predictor.tokenizer
        rows = tokenizer(texts, add_special_tokens=False, truncation=False, verbose=False)["input_ids"]
        tokens = sum(map(len, rows))
        unknown = sum(row.count(tokenizer.unk_token_id) for row in rows)
        found["tokens a word"] = _share(tokens, words)  # more of them: words that the tokenizer does not have whole
        found["share of unknown tokens"] = _share(unknown, tokens)
        found["share of texts longer than the run reads"] = _share(
            sum(len(row) + 2 > predictor.max_length for row in rows), len(rows)
        )
    return found


def other_script(texts: Sequence[str]) -> float | None:
    """The share of letters that are not Latin ones; None without letters."""
    letters = Counter(letter for text in texts for letter in text if letter.isalpha())
    other = sum(count for letter, count in letters.items() if not unicodedata.name(letter, "").startswith("LATIN"))
    return _share(other, letters.total())


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None
