"""What the verbs that look into encoders, and train none, are asked for: probe and rank."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from nlptl.config.overrides import dotted_keys
from nlptl.config.records import read_record
from nlptl.config.run import RunConfig
from nlptl.data.given import PYTHON_DATA
from nlptl.errors import ArtifactError, ConfigError
from nlptl.quality.config import PROBE
from nlptl.tasks import TaskSpec, read_task
from nlptl.verbs.request import present

LOOKED_AT = (
    "task",
    "tasks_dir",
    "seed",
    *(key for key in dotted_keys() if key.startswith("data.") and not key.startswith("data.target")),
    "probe.regularisation",
    "model.max_length",
    "runtime.precision",
    "runtime.progress",
    "runtime.kernels",
    "runtime.packing",
)
"""What probe and rank read: they look into encoders and train none."""
INSPECTED = (
    *(key for key in LOOKED_AT if key not in ("data.shots", "data.leaks", "data.duplicates", "data.label_names")),
    "checkpoint",
    "model.pooling",
)
"""What inspect reads: all rows as they are."""
WHICH_ROWS = ("source", "validation", "test", "shots", "split", "validation_fraction", "test_fraction", "test_seed")
"""The settings of `data` that belong to one data set; the others say how tables of its kind are read."""


def of_run(folder: Path, settings: Mapping[str, Any], given: Any = None) -> tuple[TaskSpec, dict[str, Any]]:
    """What a look into a run is asked for: the run's task, data, seed and tasks folder, and over them the settings.

    Args:
        folder: of the run.
        settings: by dotted key; None is "not given". With other data than the run's, the run says how they are read.
        given: Python data.

    Raises:
        ArtifactError: the folder is no run.
        ConfigError: the run has several tasks, or another one than the settings say; or its data were given in Python.
    """
    task, asked = task_of_run(folder), present(settings)
    if asked.get("task", task.name) != task.name:
        raise ConfigError(f"{folder} learned {task.name}, not {asked['task']}. Leave the task out, or name its run.")
    noted = read_record(RunConfig, folder / "run.yaml")
    others = given is not None or "data.source" in asked
    if noted.data.source == PYTHON_DATA and not others:
        raise ConfigError(f"{folder} was trained on data that were given in Python. Name the data to look at.")
    left_out = {"target", "target_test", *(WHICH_ROWS if others else ())}
    data = {f"data.{key}": value for key, value in noted.data if key not in left_out}
    own = {"task": task.name, "seed": noted.seed, "tasks_dir": noted.tasks_dir, **data}
    return task, {**present(own), **asked}


def task_of_run(folder: Path) -> TaskSpec:
    """The one task of a finished run, without opening its model.

    Raises:
        ArtifactError: the folder is no run.
        ConfigError: the run has several tasks.
    """
    if (folder / "heads").is_dir():
        names = sorted(path.name for path in (folder / "heads").iterdir())
        raise ConfigError(f"{folder} serves several tasks: {', '.join(names)}. Name the one that is meant.")
    if not (folder / "task.yaml").is_file():
        raise ArtifactError(f"{folder} is no finished run: it holds no task.yaml.")
    return read_task(folder)


def inspected_reads(folds_from: str) -> Collection[str] | None:
    """The settings that an inspection reads; None where it trains an encoder for each fold, which may read any."""
    return INSPECTED if folds_from == PROBE else None
