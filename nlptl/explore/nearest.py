"""Which training rows a run sees near a text: by the cosine of their features."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from nlptl.inference.texts import Text

if TYPE_CHECKING:
    from nlptl.inference.predictor import Run

CELLS = 20_000_000
"""Similarities that are held at once: 80 MB."""


@dataclass(frozen=True)
class Neighbour:
    """A training row near a text."""

    text: Text
    label: Any
    similarity: float
    """Cosine of the features that the head sees, -1 to 1."""
    place: str
    """File and row of the training data."""


def nearest_rows(run: Run, texts: Sequence[Text], rows: pd.DataFrame, most: int) -> list[list[Neighbour]]:
    """The rows nearest to each text, the nearest first.

    Args:
        run: on an encoder.
        texts: whose neighbours are looked for.
        rows: training rows with the common columns, as `nlptl.runs.reread` gives them.
        most: neighbours of a text.

    Raises:
        ArtifactError: the run is a baseline, which has no encoder.
    """
    known = list(rows["text"]) if "text_pair" not in rows else list(zip(rows["text"], rows["text_pair"], strict=True))
    theirs, mine = _directions(run.features(known)), _directions(run.features(texts))
    step, found = max(1, CELLS // max(len(known), 1)), []
    for start in range(0, len(mine), step):
        similarity = mine[start : start + step] @ theirs.T
        # Rows that are equally near keep their order.
        order = np.argsort(-similarity, axis=1, kind="stable")[:, :most]
        for row, places in zip(similarity, order, strict=True):
            found.append([_neighbour(rows.iloc[at], known[at], float(row[at])) for at in places])
    return found


def _neighbour(row: Any, text: Text, similarity: float) -> Neighbour:
    return Neighbour(text, row["label"], similarity, f"{row['file']}:{row['row']}")


def _directions(features: np.ndarray) -> np.ndarray:
    return np.asarray(features / np.linalg.norm(features, axis=1, keepdims=True).clip(min=1e-12), np.float32)
