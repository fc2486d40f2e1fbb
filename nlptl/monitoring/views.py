"""What the tests look at: each text's features, the score of what was decided, and the decided labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
import pandas as pd

from nlptl.inference.predictor import Run
from nlptl.monitoring.samples import Label, Sample, names_of
from nlptl.runs.predictors import EncoderPredictor

DIMENSIONS = 100
"""Of TF-IDF vectors, which have as many as there are terms."""
NONE = "(none)"
"""Of a text with several labels that has none."""


@runtime_checkable
class GivesVectors(Protocol):
    """A baseline: it has no encoder, but sees texts as vectors."""

    def vectors(self, frame: pd.DataFrame) -> Any:
        """A sparse matrix (rows, V)."""


@dataclass(frozen=True)
class View:
    """One sample as the run sees it."""

    features: np.ndarray | None
    """(rows, H) float32; None where the run has none."""
    scores: np.ndarray
    """(rows,) probability of the decided label."""
    labels: list[Label]
    """As the run decides; a list for several labels a text and for sets."""
    most_probable: list[Label]
    """Whatever the run decides; for several labels a text those with at least 0.5."""


@dataclass(frozen=True)
class Views:
    """Both samples, and what the features are."""

    reference: View
    new: View
    features: str

    def label_matrices(self, known: list[str]) -> tuple[np.ndarray, np.ndarray]:
        """(rows, C + 1) 0/1 of each: the decided labels, and last whether there is none, or one that is not known."""
        return _matrix(self.reference.labels, known), _matrix(self.new.labels, known)


def views_of(run: Run, reference: Sample, new: Sample, seed: int) -> Views:
    """Predict both samples, and take their features.

    Args:
        run: of one task.
        reference, new: the samples.
        seed: of the reduction of TF-IDF vectors.
    """
    (one, other), kind = _features(run, reference, new, seed)
    return Views(_view(run, reference, one), _view(run, new, other), kind)


def most_probable(run: Run, sample: Sample) -> list[Label]:
    """The most probable label of each row."""
    return [prediction.label for prediction in run.predict(sample.items(), "argmax")]


def _view(run: Run, sample: Sample, features: np.ndarray | None) -> View:
    decided, probabilities, _ = run.answer(sample.items())
    likely = run.decide(probabilities, "argmax")
    scores = np.array([prediction.score for prediction in decided], np.float64)
    return View(features, scores, [each.label for each in decided], [each.label for each in likely])


def _features(
    run: Run, reference: Sample, new: Sample, seed: int
) -> tuple[tuple[np.ndarray | None, np.ndarray | None], str]:
    predictor = run.artifact.predictor
    if isinstance(predictor, EncoderPredictor):
        return (run.features(reference.items()), run.features(new.items())), "the encoder's features"
    if not isinstance(predictor, GivesVectors):
        return (None, None), "none: this kind of run sees no features, so that scores and labels alone are compared"
    both = predictor.vectors(pd.concat([reference.texts, new.texts], ignore_index=True))
    reduced = _reduced(both, seed)
    kind = f"TF-IDF vectors in {reduced.shape[1]} dimensions (truncated SVD of both samples together)"
    return (reduced[: len(reference)], reduced[len(reference) :]), kind


def _reduced(matrix: Any, seed: int) -> np.ndarray:
    """(rows, at most DIMENSIONS): latent semantic analysis; it does not know which rows are new."""
    from sklearn.decomposition import TruncatedSVD

    width = max(1, min(DIMENSIONS, min(matrix.shape) - 1))
    return np.asarray(TruncatedSVD(width, random_state=seed).fit_transform(matrix), np.float32)


def _matrix(labels: list[Label], known: list[str]) -> np.ndarray:
    place = {name: i for i, name in enumerate(known)}
    matrix = np.zeros((len(labels), len(known) + 1), np.float32)
    for row, label in enumerate(labels):
        for name in names_of(label) or [NONE]:
            matrix[row, place.get(name, len(known))] = 1.0
    return matrix
