"""The rows that are inspected, of all splits one after the other, and what a frozen encoder makes of their texts."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from nlptl.checkpoints import Checkpoint
from nlptl.config.run import RunConfig
from nlptl.data.loading import Splits, label_targets, load_splits
from nlptl.data.sources import open_source, pick_columns
from nlptl.errors import ConfigError
from nlptl.registry import MODES
from nlptl.runs.lineage import lineage_of
from nlptl.strategies.encoding import encode_rows
from nlptl.strategies.job import RunContext, task_rows
from nlptl.strategies.pipeline import EncoderLearner
from nlptl.strategies.stages import fresh_classifier, frozen_features
from nlptl.tasks import SPLITS, TaskSpec, load_task
from nlptl.training.timing import Clock

log = logging.getLogger("nlptl")


@dataclass(frozen=True)
class Rows:
    """The rows of a task's splits, as the files have them: repeated and leaked ones are still among them."""

    splits: Splits
    frame: pd.DataFrame
    """Train, validation and test, one after the other; columns text, text_pair (of pairs), label, file, row, split."""
    targets: np.ndarray
    """(N,) label ids."""

    @property
    def task(self) -> TaskSpec:
        """What is learned, its labels fixed."""
        return self.splits.task

    @property
    def labels(self) -> list[str]:
        """Names of the label ids."""
        return self.task.label_list()

    @property
    def texts(self) -> list[str]:
        """Each row's text; of a pair both, one line each."""
        if "text_pair" not in self.frame:
            return [str(text) for text in self.frame["text"]]
        return [f"{one}\n{other}" for one, other in zip(self.frame["text"], self.frame["text_pair"], strict=True)]

    def places(self, rows: np.ndarray) -> list[str]:
        """Where rows are, such as `train.csv row 17`."""
        return [f"{file} row {row}" for file, row in self.frame.iloc[rows][["file", "row"]].itertuples(index=False)]


def inspected_task(config: RunConfig) -> TaskSpec:
    """The task of the rows.

    Raises:
        ConfigError: a text may have several of its labels at once.
    """
    task = load_task(config.task, config.tasks_dir)
    if task.kind == "multi_label":
        raise ConfigError(
            f"The task {task.name!r} gives a text several labels at once; rows are inspected for one label a text only."
        )
    return task


def read_rows(config: RunConfig, given: Any = None) -> Rows:
    """Read the splits as a training would, but keep rows that stand in two splits.

    Raises:
        NlptlError: the task or the data cannot be used.
    """
    task = inspected_task(config)
    data = config.data.model_copy(update={"leaks": "keep", "duplicates": "keep", "label_names": False})
    splits = load_splits(task, data, config.seed, given)
    frames = {name: frame for name, frame in splits.frames().items() if name in SPLITS}
    frame = pd.concat([part.assign(split=name) for name, part in frames.items()], ignore_index=True)
    return Rows(splits, frame, label_targets(frame, splits.task.label_list()))


def column_values(config: RunConfig, rows: Rows, columns: list[str], given: Any = None) -> dict[str, list[Any]]:
    """Further columns of the data, which no training reads: column -> the cell of each row.

    Raises:
        DataError: a file has no such column.
    """
    if not columns:
        return {}
    source = open_source(load_task(config.task, config.tasks_dir), config.data, given)
    raw = {source.origins[split]: frame for split, frame in source.frames.items()}
    for origin in dict.fromkeys(rows.frame["file"]):
        pick_columns(raw[origin], columns, origin, "--slice")
    cells = {
        column: {origin: frame[column].tolist() for origin, frame in raw.items() if column in frame}
        for column in columns
    }
    places = list(zip(rows.frame["file"], rows.frame["row"], strict=True))
    return {column: [cells[column][file][row - 1] for file, row in places] for column in columns}


def embeddings(config: RunConfig, rows: Rows) -> np.ndarray:
    """(N, H) float32: the pooled vectors of the frozen encoder, from the cache where it has them.

    Raises:
        CheckpointError: the checkpoint cannot be opened, or its encoder has learned labels of this task.
    """
    frozen = config.model_copy(update={"mode": "feature_extraction", "strategy": None})
    learner = EncoderLearner.of(frozen, [rows.task])
    _refuse_learned_labels(learner.checkpoint, rows.task)
    runtime = learner.try_out([rows.task], learner.start())
    context = RunContext(learner.config, task_rows([rows.splits]), runtime, Clock())
    job = encode_rows(context, learner.config, learner.checkpoint)
    features = frozen_features(job, fresh_classifier(job), job.part, SPLITS)
    return np.concatenate([features[split] for split in SPLITS])


def _refuse_learned_labels(checkpoint: Checkpoint, task: TaskSpec) -> None:
    """An encoder that was trained on the labels that are to be checked repeats the wrong ones among them."""
    for entry in lineage_of(checkpoint):
        if entry["kind"] == "task" and entry["name"] == task.name and MODES.get(entry["mode"]).trains_encoder:
            raise ConfigError(
                f"The encoder of {checkpoint.name} was trained on labels of {task.name}, perhaps on those of these "
                "very rows, and would repeat their mistakes. Name a checkpoint that has not seen them, or leave "
                "--checkpoint out; --folds-from full trains one for each fold, on the other folds' rows alone."
            )
