"""Training a run on with other labels: its own settings, from where it ended."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pandas as pd

from nlptl.baselines.learner import BaselineLearner
from nlptl.config.data import DataConfig
from nlptl.config.run import BaselineConfig, RunConfig
from nlptl.config.training import TrainingConfig
from nlptl.data.files import TableWriter
from nlptl.data.given import PYTHON_DATA
from nlptl.evolution.changes import Changes, of_decision
from nlptl.registry import MODES
from nlptl.runs.artifact import Artifact
from nlptl.runs.reread import ROWS
from nlptl.strategies import pipeline
from nlptl.strategies.continued import CONTINUE, KEEP
from nlptl.strategies.pipeline import EncoderLearner

log = logging.getLogger("nlptl")
MERGING_EPOCHS = 1
"""The encoder tells the labels apart already; a head for the merged ones is fitted on its features first."""


@dataclass(frozen=True)
class EvolvingLearner(EncoderLearner):
    """An `EncoderLearner`; what was forgotten is measured label by label afterwards."""

    tells_forgetting: ClassVar[bool] = False


def learns_encoder(config: RunConfig) -> bool:
    """Whether the run's encoder goes on learning; else its head, or the classical model, is fitted anew on all rows."""
    return config.baseline.model is None and bool(MODES.get(config.mode).trains_encoder)


def train_on(
    artifact: Artifact, changes: Changes, frames: Mapping[str, pd.DataFrame], output: Path, epochs: int | None
) -> Path:
    """Train a run whose labels have changed.

    Args:
        artifact: the earlier run, of one task.
        changes: labels that are merged or added.
        frames: rows by split, under the old names of labels.
        output: the new run folder.
        epochs: None: as the earlier run; one where labels are merged.

    Raises:
        NlptlError: as `pipeline.train`.
    """
    config = _config(artifact, changes, output, epochs)
    learner = BaselineLearner.of if config.baseline.model is not None else EvolvingLearner.of
    return pipeline.train(config, dict(frames), learner=learner, tasks=[changes.of(artifact.task)])


def keep_rows(folder: Path, frames: Mapping[str, pd.DataFrame]) -> None:
    """Keep the rows of a run, which nobody else has in this form, in its folder."""
    (folder / ROWS).mkdir(exist_ok=True)
    for split, frame in frames.items():
        with TableWriter(folder / ROWS / f"{split}.parquet") as writer:
            writer.write(frame)


def _config(artifact: Artifact, changes: Changes, output: Path, epochs: int | None) -> RunConfig:
    """The earlier run's settings as far as they say how it learns; from its encoder, and its head where that stays."""
    before, labels, names = artifact.config, set(artifact.task.label_list()), changes.names
    label_map = {old: names.get(new, new) for old, new in before.data.label_map.items() if old not in labels} | names
    data = DataConfig(
        source=PYTHON_DATA,
        text_columns=["text", "text_pair"][: len(artifact.task.text_columns)],
        label_column="label",
        label_map=label_map,
    )
    decision = before.decision.model_copy(update=of_decision(before.decision, names))
    shared: dict[str, Any] = {"output": str(output), "data": data, "decision": decision}
    shared |= {name: getattr(before, name) for name in ("task", "seed", "tasks_dir", "runtime")}
    weights = before.training.class_weights
    if before.baseline.model is not None:
        baseline = BaselineConfig(model=before.baseline.model, features=before.baseline.features)
        return RunConfig(**shared, baseline=baseline, training=TrainingConfig(class_weights=weights))
    learns, mode = learns_encoder(before), MODES.get(before.mode)
    start = (KEEP if not changes.merged else "probe") if learns else None
    training = before.training.model_copy(update={"refit": None})
    if epochs is not None or (changes.merged and learns):
        training = training.model_copy(update={"epochs": epochs or MERGING_EPOCHS})
    goes_on = mode.has_adapters and not artifact.manifest["whole"]  # a merged run has no adapter any more
    adapters = before.lora.model_copy(update={"adapter": CONTINUE if goes_on else "new"})
    return RunConfig(
        **shared,
        mode=before.mode,
        strategy="fine_tune",
        checkpoint=str(artifact.folder.resolve()),
        model=before.model.model_copy(update={"head_start": start, "weights": "pretrained"}),
        lora=adapters,
        probe=before.probe,
        training=training,
    )
