"""Folds answered by encoders that are fine-tuned on the other folds, where a probe on frozen features is too weak."""

from __future__ import annotations

import logging
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from nlptl.config.run import RunConfig
from nlptl.quality.folds import FOLDS, Folds, Learn
from nlptl.quality.rows import Rows
from nlptl.runs.answers import read_answers
from nlptl.runs.manifest import read_manifest, tasks_of
from nlptl.strategies.pipeline import train

log = logging.getLogger("nlptl")


def tuned(config: RunConfig, rows: Rows, mode: str) -> Learn:
    """Folds answered by runs of a mode, whose epoch is chosen on rows cut from those that they learn from.

    Args:
        config: names task, checkpoint, seed and how texts are read.
        rows: all that are inspected.
        mode: full or lora.
    """

    def learn(folds: Folds, number: int, kept: np.ndarray | None) -> np.ndarray:
        learned, held_out = folds.split(number, kept)
        log.info(f"Fold {number + 1} of {FOLDS}: {mode} on {len(learned)} rows, {len(held_out)} to answer")
        given = {"train": _table(rows, folds.checked[learned]), "test": _table(rows, folds.checked[held_out])}
        with tempfile.TemporaryDirectory(prefix="nlptl-fold-") as home:
            folder = train(_config_of_fold(config, mode, Path(home) / "run"), given)
            (task,) = tasks_of(folder, read_manifest(folder))
            places = [task.label_list().index(rows.labels[label]) for label in folds.labels]
            return np.ascontiguousarray(read_answers(folder)["test"].logits[:, places])

    return learn


def _config_of_fold(config: RunConfig, mode: str, output: Path) -> RunConfig:
    """Rows as they are given: none is left out of the answers, and the columns are the task's own."""
    own: dict[str, Any] = {
        "source": "(rows of the other folds)",
        "validation": None,
        "test": None,
        "split": None,
        "shots": None,
    }
    as_given: dict[str, Any] = {
        "text_columns": None,
        "label_column": None,
        "label_map": {},
        "leaks": "keep",
        "duplicates": "keep",
    }
    data = config.data.model_copy(update={**own, **as_given, "label_names": False})
    return config.model_copy(update={"mode": mode, "strategy": "fine_tune", "data": data, "output": str(output)})


def _table(rows: Rows, which: np.ndarray) -> object:
    """Rows under the names of the task's own columns."""
    columns = [*rows.task.text_columns, rows.task.label_column]
    there = [name for name in ("text", "text_pair", "label") if name in rows.frame]
    return rows.frame.iloc[which][there].set_axis(columns, axis=1).reset_index(drop=True)
