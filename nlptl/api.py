"""The verbs of the library: train a run, open a run, merge a run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nlptl.artifacts import merge_artifact
from nlptl.config import RunConfig, load_config
from nlptl.inference.predictor import Run, load
from nlptl.reports.model_card import write_card
from nlptl.transfer.fine_tune import fine_tune

__all__ = ["Run", "load", "merge", "train", "train_config"]


def train(
    task: str | None = None,
    *,
    data: Any = None,
    mode: str | None = None,
    checkpoint: str | None = None,
    output: str | Path | None = None,
    config: str | Path | None = None,
    seed: int | None = None,
    resume: bool = False,
    settings: dict[str, Any] | None = None,
) -> Run:
    """Train a classifier and open it.

    Args:
        task: name of a registered task.
        data: a path, Hub id or named data set; or a pandas DataFrame, a `datasets` object, or a dict of them by split.
        mode: full, lora or feature_extraction.
        checkpoint: a name, Hub id or folder.
        output: the run folder.
        config: a YAML file to start from, such as a run's own run.yaml.
        seed: of splits, shots, initialisation, order and dropout.
        resume: go on with an unfinished run.
        settings: any other setting by dotted key, for example `{"training.epochs": 5}`.

    Returns:
        The finished run, ready to predict.

    Raises:
        NlptlError: something asked for cannot be done; the message says what, and what to do.
    """
    named = data is None or isinstance(data, str | Path)
    values = {
        "task": task,
        "mode": mode,
        "checkpoint": checkpoint,
        "output": None if output is None else str(output),
        "seed": seed,
        "data.source": (None if data is None else str(data)) if named else "(python data)",
        **(settings or {}),
    }
    return train_config(load_config(config, **values), None if named else data, resume)


def merge(run: str | Path, output: str | Path) -> Path:
    """Write a run whose weights stand alone, with a model card of its own.

    Raises:
        NlptlError: the run cannot be opened, or the output exists or cannot be written.
    """
    folder = merge_artifact(Path(run), Path(output))
    write_card(folder)
    return folder


def train_config(config: RunConfig, given: Any = None, resume: bool = False) -> Run:
    """Train what a RunConfig says; see `train`."""
    folder = fine_tune(config, given, resume, publish=write_card)
    return load(folder, config.runtime.precision, config.runtime.progress)
