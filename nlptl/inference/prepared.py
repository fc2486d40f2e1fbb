"""Texts on their way to a model, and the one word said of those that it does not read to their end."""

from __future__ import annotations

import logging
from typing import Any, NamedTuple

import pandas as pd

from nlptl.runs.artifact import Artifact

log = logging.getLogger("nlptl")


class Prepared(NamedTuple):
    """Texts as the run's predictor takes them, and how many."""

    texts: Any
    rows: int


class Preparation:
    """Makes a run's inputs, and says once where a text is longer than the run reads.

    Args:
        artifact: the run.
    """

    def __init__(self, artifact: Artifact) -> None:
        self.artifact = artifact
        self.told = False

    def of(self, frame: pd.DataFrame) -> Prepared:
        """The columns `text` and, for pairs, `text_pair` as inputs."""
        predictor: Any = self.artifact.predictor
        texts = predictor.prepare(frame)
        cut = getattr(texts, "cut", 0)  # a baseline reads whole texts
        if cut and not self.told:
            self.told = True
            log.warning(
                f"{cut} of {len(frame)} texts are longer than the {predictor.max_length} tokens that this run "
                "reads, and are cut. This is said once; a run trained with model.long_text=windows reads them whole"
            )
        return Prepared(texts, len(frame))
