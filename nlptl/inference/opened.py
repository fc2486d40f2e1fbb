"""A finished run that is open: what it is, and what its model computes of texts."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd

from nlptl.errors import ConfigError
from nlptl.inference.precision import precision_for
from nlptl.inference.prepared import Preparation, Prepared
from nlptl.inference.texts import Text, texts_frame
from nlptl.inference.turns import Turn
from nlptl.runs.artifact import Artifact, Head, load_artifact
from nlptl.storage.paths import user_path
from nlptl.training.runtime import Runtime, local_runtime

MANY = 1000
"""Texts from which on a progress bar is shown."""


class OpenRun:
    """A finished run and its model; `Run` adds answers.

    Args, Raises: as `Run`.
    """

    def __init__(self, folder: str | Path, precision: str | None = None, progress: bool = True) -> None:
        self._artifact: Artifact = load_artifact(user_path(folder))
        self._runtime: Runtime = local_runtime(precision_for(self._artifact, precision), progress)
        self._artifact.predictor.settle(self._runtime)
        self._preparation = Preparation(self._artifact)
        self._chosen: str | None = None
        # A tokenizer holds its settings of truncation while it works, and a model its activations: one text at a time.
        self._tokenizing, self._computing = Turn(), Turn()

    def task(self, name: str) -> Self:
        """The same run as it answers for one of its tasks.

        Raises:
            ConfigError: the run has no task of that name.
        """
        self._artifact.head(name)
        chosen = copy.copy(self)
        chosen._chosen = name
        return chosen

    @property
    def tasks(self) -> list[str]:
        """The tasks it serves."""
        return [head.task.name for head in self._artifact.heads]

    @property
    def _head(self) -> Head:
        return self._artifact.head(self._chosen)

    @property
    def folder(self) -> Path:
        """Where the run lies."""
        return self._artifact.folder

    @property
    def labels(self) -> list[str]:
        """Label names; column i of `predict_proba` belongs to label i."""
        return self._head.task.label_list()

    @property
    def label_separator(self) -> str:
        """What stands between several labels of a row in one cell."""
        return self._head.task.label_separator

    @property
    def text_columns(self) -> int:
        """Texts per row: one, or two for a pair task."""
        return len(self._head.task.text_columns)

    @property
    def metrics(self) -> dict[str, Any]:
        """What `metrics.json` holds; of a chosen task, its part."""
        metrics = self._artifact.metrics
        if self._chosen is None or len(self._artifact.heads) == 1:
            return metrics
        part: dict[str, Any] = metrics["tasks"][self._chosen]
        return part

    @property
    def precision(self) -> str:
        """bf16, fp16 or fp32: what it predicts in."""
        return self._runtime.precision

    @property
    def artifact(self) -> Artifact:
        """Configuration, task, model and tokenizer.

        The model's weights are exact; predictions in bf16 or fp16 are made by a copy, rounded when the run was opened.
        """
        return self._artifact

    def logits(self, texts: Iterable[Text]) -> np.ndarray:
        """What the model gives before calibration and decision: (texts, labels) float32; texts as `predict_proba`."""
        return self._logits(self._prepare(texts_frame(texts, self.text_columns)))

    def features(self, texts: Iterable[Text]) -> np.ndarray:
        """What the head sees of each text, the encoder's pooled states: (texts, H) float32; texts as `predict_proba`.

        Raises:
            ArtifactError: the run is a baseline, which has no encoder.
        """
        predictor = self._artifact.with_features
        prepared = self._prepare(texts_frame(texts, self.text_columns))
        with self._computing:
            return predictor.features(prepared.texts, self._quiet(prepared))

    def scope(self, texts: Iterable[Text]) -> np.ndarray:
        """How far in scope each text is, by the run's scorer: (texts,), higher is more in scope; in the scorer's unit.

        The decision's `threshold` is the lowest that is in scope. Texts as `predict_proba`.

        Raises:
            ConfigError: the run's decision goes by no scorer.
        """
        if self._head.scorer is None:
            raise ConfigError(
                f"{self.folder} has no scorer of what is in scope. Train with decision.scorer=auto on a task "
                " whose decision policy is out_of_scope."
            )
        scope = self._computed(self._prepare(texts_frame(texts, self.text_columns)))[1]
        assert scope is not None  # there is a scorer
        return scope

    def _computed(self, prepared: Prepared, quiet: bool = False) -> tuple[np.ndarray, np.ndarray | None]:
        """Logits (texts, C) and, where there is a scorer, (texts,) how far in scope; of one forward pass."""
        head = self._head
        if head.scorer is None or not head.scorer.needs_features:
            logits = self._logits(prepared, quiet)
            return logits, head.scope(None, logits)
        with self._computing:
            features, logits = self._artifact.with_features.outputs(prepared.texts, self._quiet(prepared, quiet))
        logits = logits[:, head.columns]
        return logits, head.scope(features, logits)

    def _prepare(self, frame: pd.DataFrame) -> Prepared:
        with self._tokenizing:
            return self._preparation.of(frame)

    def _probabilities(self, prepared: Prepared, quiet: bool = False) -> np.ndarray:
        logits = self._logits(prepared, quiet)
        return self._head.calibration.probabilities(logits, self._head.task.kind == "multi_label")

    def _answered(self, prepared: Prepared, quiet: bool = False) -> tuple[np.ndarray, np.ndarray | None]:
        """Probabilities (texts, C), and scope as `_computed`."""
        logits, scope = self._computed(prepared, quiet)
        return self._head.calibration.probabilities(logits, self._head.task.kind == "multi_label"), scope

    def _logits(self, prepared: Prepared, quiet: bool = False) -> np.ndarray:
        with self._computing:
            logits = self._artifact.predictor.logits(prepared.texts, self._quiet(prepared, quiet))
        return logits[:, self._head.columns]

    def _quiet(self, prepared: Prepared, quiet: bool = False) -> Runtime:
        """The runtime, without a progress bar where there is little to wait for."""
        return replace(self._runtime, progress=False) if quiet or prepared.rows < MANY else self._runtime

    @property
    def _name(self) -> str:
        return self._chosen or "+".join(self.tasks)
