"""A baseline as what a run folder predicts with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from nlptl.baselines.bag_of_words import BagOfWords
from nlptl.config.run import RunConfig
from nlptl.data.tokens.tokenising import CHUNK
from nlptl.errors import ArtifactError
from nlptl.runs.lineage import normaliser_of
from nlptl.runs.manifest import MODEL
from nlptl.tasks import TaskSpec, joint_labels
from nlptl.training.runtime import Runtime


@dataclass(frozen=True)
class BaselinePredictor:
    """A classical model on TF-IDF vectors."""

    model: BagOfWords
    needs: ClassVar[frozenset[str]] = frozenset({"files"})

    @classmethod
    def open(
        cls, folder: Path, config: RunConfig, tasks: list[TaskSpec], manifest: Mapping[str, Any]
    ) -> BaselinePredictor:
        """Open the model of a run folder.

        Raises:
            ArtifactError: it is damaged, or has other labels than the task.
            MissingExtraError: its normaliser needs a package that is not installed.
        """
        normaliser_of(manifest)
        model = BagOfWords.load(folder / MODEL)
        classes = model.logits(pd.DataFrame()).shape[1]
        if classes != len(joint_labels(tasks)):
            raise ArtifactError(
                f"The baseline in {folder / MODEL} does not fit this task: it tells {classes} labels apart, the task "
                f"has {len(joint_labels(tasks))}."
            )
        return cls(model)

    @property
    def title(self) -> str:
        return f"{self.model.name} on TF-IDF"

    def settle(self, runtime: Runtime) -> None:
        """Classical models stay on the CPU."""

    def prepare(self, frame: pd.DataFrame) -> pd.DataFrame:
        return frame

    def logits(self, prepared: pd.DataFrame, runtime: Runtime) -> np.ndarray:
        starts = runtime.track(range(0, len(prepared), CHUNK), "predicting", unit="chunk")
        parts = [self.model.logits(prepared.iloc[start : start + CHUNK]) for start in starts]
        return np.concatenate(parts) if parts else self.model.logits(prepared)

    def vectors(self, frame: pd.DataFrame) -> Any:
        """The texts as the model sees them: a sparse matrix (rows, V) of TF-IDF.

        Args:
            frame: columns `text` and, for pairs, `text_pair`.
        """
        return self.model.vectors.transform(frame)
