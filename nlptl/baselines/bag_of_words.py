"""Texts as TF-IDF vectors, and a classical model on them: what a baseline predicts with.

baseline.json         name of the model, kinds of features with their terms, normaliser, temperature
baseline.safetensors  inverse document frequencies and the fitted model's arrays
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from safetensors.numpy import load_file, save_file
from scipy import sparse
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.preprocessing import normalize

from nlptl.baselines.scorers import Scorer
from nlptl.data.normalising.normaliser import NONE, normalised
from nlptl.errors import ArtifactError, ConfigError, DataError
from nlptl.registry import BASELINE_SCORERS

# A term of a single text teaches nothing beyond it; where there are many texts, such terms are most of the matrix.
MANY_TEXTS = 2000


@dataclass(frozen=True)
class Terms:
    """What counts as a term of a text."""

    column: str
    """text or text_pair"""
    analyzer: str
    """word, or char_wb for characters inside words"""
    shortest: int
    longest: int
    most: int | None = None
    """Keep only this many of the most frequent terms."""


FEATURES: dict[str, tuple[Terms, ...]] = {
    "words": (Terms("text", "word", 1, 2),),
    "words_characters": (Terms("text", "word", 1, 2), Terms("text", "char_wb", 3, 5)),
    "frequent_words": (Terms("text", "word", 1, 1, 5000),),
}


class TextVectors:
    """TF-IDF (Salton & Buckley 1988) with 1 + log tf, blocks of terms side by side, rows of length one."""

    def __init__(self, blocks: list[tuple[Terms, TfidfVectorizer]], normaliser: str = NONE) -> None:
        self._blocks = blocks
        self.normaliser = normaliser
        """The form in which texts are read."""

    @classmethod
    def fit(cls, frame: pd.DataFrame, features: str, normaliser: str = NONE) -> TextVectors:
        """Take the terms of some texts; the second text of a pair has terms of its own.

        Args:
            frame: columns `text` and, for pairs, `text_pair`.
            features: one of FEATURES.
            normaliser: the form in which texts are read, `data.normaliser`.

        Raises:
            DataError: the texts hold no term at all.
        """
        frame = normalised(frame, normaliser)
        columns = [column for column in ("text", "text_pair") if column in frame]
        wanted = [Terms(**{**asdict(terms), "column": c}) for c in columns for terms in FEATURES[features]]
        blocks = []
        for terms in wanted:
            vectorizer = _vectorizer(terms, min_df=2 if len(frame) >= MANY_TEXTS else 1)
            try:
                blocks.append((terms, vectorizer.fit(frame[terms.column])))
            except ValueError as error:  # scikit-learn's way to say that the vocabulary is empty
                raise DataError(
                    f"The column {terms.column!r} of the training split holds no {terms.analyzer} terms: {error}"
                ) from error
        return cls(blocks, normaliser)

    @property
    def width(self) -> int:
        """V, the number of features."""
        return sum(len(vectorizer.vocabulary_) for _, vectorizer in self._blocks)

    def blocks(self) -> list[tuple[Terms, list[str]]]:
        """Each block with its terms, in the order of the features."""
        return [(terms, vectorizer.get_feature_names_out().tolist()) for terms, vectorizer in self._blocks]

    def transform(self, frame: pd.DataFrame) -> Any:
        """A sparse matrix (rows, V) float32."""
        if frame.empty:  # which scikit-learn refuses
            return sparse.csr_matrix((0, self.width), dtype=np.float32)
        frame = normalised(frame, self.normaliser)
        parts = [vectorizer.transform(frame[terms.column]) for terms, vectorizer in self._blocks]
        return sparse.csr_matrix(normalize(sparse.hstack(parts, format="csr", dtype=np.float32), copy=False))

    def state(self) -> tuple[list[dict[str, Any]], dict[str, np.ndarray]]:
        """Plain values and arrays that `from_state` needs."""
        plain, arrays = [], {}
        for i, (terms, vectorizer) in enumerate(self._blocks):
            plain.append({**asdict(terms), "terms": vectorizer.get_feature_names_out().tolist()})
            arrays[f"idf.{i}"] = np.asarray(vectorizer.idf_, np.float64)
        return plain, arrays

    @classmethod
    def from_state(
        cls, plain: list[dict[str, Any]], arrays: dict[str, np.ndarray], normaliser: str = NONE
    ) -> TextVectors:
        """What `state` described."""
        blocks = []
        for i, values in enumerate(plain):
            terms = Terms(**{name: value for name, value in values.items() if name != "terms"})
            vectorizer = _vectorizer(terms, vocabulary={term: place for place, term in enumerate(values["terms"])})
            vectorizer.idf_ = arrays[f"idf.{i}"]
            blocks.append((terms, vectorizer))
        return cls(blocks, normaliser)


@dataclass(frozen=True)
class BagOfWords:
    """Vectors, a fitted model on them, and the temperature that makes its scores probabilities (Guo et al. 2017)."""

    vectors: TextVectors
    scorer: Scorer
    name: str
    temperature: float = 1.0

    def logits(self, frame: pd.DataFrame) -> np.ndarray:
        """(rows, C) float32.

        Args:
            frame: columns `text` and, for pairs, `text_pair`.
        """
        return self.scorer.logits(self.vectors.transform(frame)) / np.float32(self.temperature)

    def save(self, folder: Path) -> None:
        """Write what `load` reads.

        Raises:
            ConfigError: the fitted model is of a class that no package registers, so that it could not be opened.
        """
        plain, idf = self.vectors.state()
        kind = self._registered_form()
        content = {
            "name": self.name,
            "scorer": kind,
            "temperature": self.temperature,
            "normaliser": self.vectors.normaliser,
            "vectors": plain,
        }
        (folder / "baseline.json").write_text(json.dumps(content, ensure_ascii=False) + "\n", encoding="utf-8")
        arrays = {**idf, **{f"scorer.{name}": array for name, array in self.scorer.arrays().items()}}
        save_file(
            {name: np.ascontiguousarray(array) for name, array in arrays.items()}, folder / "baseline.safetensors"
        )

    def _registered_form(self) -> str:
        for name in BASELINE_SCORERS:
            if BASELINE_SCORERS.get(name) is type(self.scorer):
                return name
        raise ConfigError(
            f"The baseline {self.name!r} was fitted as a {type(self.scorer).__name__}, which is not registered. Add it "
            f"to nlptl.registry.BASELINE_SCORERS, or to the entry points of group {BASELINE_SCORERS.group}. "
            f"Registered: {', '.join(BASELINE_SCORERS)}."
        )

    @classmethod
    def load(cls, folder: Path) -> BagOfWords:
        """What `save` wrote.

        Raises:
            ArtifactError: files are missing or damaged.
        """
        try:
            content = json.loads((folder / "baseline.json").read_text(encoding="utf-8"))
            arrays = load_file(folder / "baseline.safetensors")
            vectors = TextVectors.from_state(content["vectors"], arrays, content.get("normaliser", NONE))
            name, kind, temperature = content["name"], content["scorer"], float(content["temperature"])
        except Exception as error:  # json, safetensors and scikit-learn each raise their own for the same damage
            raise ArtifactError(f"The baseline in {folder} cannot be opened: {error!r}") from error
        prefix = "scorer."
        own = {key.removeprefix(prefix): array for key, array in arrays.items() if key.startswith(prefix)}
        if kind not in BASELINE_SCORERS:
            raise ArtifactError(
                f"The baseline in {folder} is saved as {kind!r}, which is not known here. If another package brought "
                f"it, install that package. Known: {', '.join(BASELINE_SCORERS)}."
            )
        return cls(vectors, BASELINE_SCORERS.get(kind).from_arrays(own), name, temperature)


def _vectorizer(terms: Terms, min_df: int = 1, vocabulary: dict[str, int] | None = None) -> TfidfVectorizer:
    return TfidfVectorizer(
        analyzer=terms.analyzer,
        ngram_range=(terms.shortest, terms.longest),
        sublinear_tf=True,
        min_df=min_df,
        max_features=terms.most if vocabulary is None else None,
        vocabulary=vocabulary,
    )
