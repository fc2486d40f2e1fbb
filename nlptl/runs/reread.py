"""The rows that a finished run was made from, read once more and held to the digests that the run noted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from nlptl.config.data import DataConfig
from nlptl.config.records import read_record
from nlptl.config.run import RunConfig
from nlptl.data.digest import rows_digest
from nlptl.data.domains import load_domains
from nlptl.data.given import PYTHON_DATA
from nlptl.data.loading import Splits
from nlptl.errors import DataError, NlptlError
from nlptl.runs.claims import read_inputs
from nlptl.runs.manifest import read_manifest, tasks_of
from nlptl.storage.json_files import read_json
from nlptl.tasks import SPLITS, TaskSpec, find_tasks

ROWS = "rows"
"""Where a run keeps the rows that it was made from, if nobody else does."""
SINCE = "since_training"
"""In the section `evolution` of `metrics.json`: names of labels in training -> their names now."""


def reread(folder: Path, source: str | None = None, given: Any = None) -> Splits:
    """The audited splits of a finished run of one task: the same rows in the same order, or none.

    Labels have the names that they have now.

    Args:
        folder: of the run.
        source: where its data lie now; None: where they lay in training.
        given: its data in Python, instead.

    Raises:
        DataError: they cannot be had: the run notes none, they are gone, or they are no longer what they were. Test
            rows that a run keeps are no rows that it learned from.
    """
    tasks, noted = tasks_of(folder, read_manifest(folder)), read_inputs(folder)
    if len(tasks) > 1:
        raise _lacking(folder, f"it has {len(tasks)} tasks, whose rows are not read again")
    (task,) = tasks
    config, names = read_record(RunConfig, folder / "run.yaml"), renamed_since(read_json(folder / "metrics.json"))
    task = _renamed_task(task, {new: old for old, new in names.items()})
    wanted = {split: noted.get(f"{split} rows of {task.name}") for split in SPLITS}
    if None in wanted.values():
        raise _lacking(folder, "the run noted no digests of them, so that other rows could not be told from them")
    data, own = _data(folder, config, source), given is not None or source is not None
    if data.source == PYTHON_DATA and given is None:
        raise _lacking(folder, "they were given in Python. Give them again")
    try:
        splits = load_domains(task if own else _reading_task(config, data, task), data, config.seed, given)
    except NlptlError as error:
        raise _lacking(folder, f"reading them fails: {error}") from error
    found = splits.frames()
    changed = [split for split in SPLITS if rows_digest(found[split]) != wanted[split]]
    if changed:
        where = source or data.source or "sample"
        raise _lacking(folder, f"{', '.join(changed)} of {where} are no longer the rows of training")
    return _renamed(splits, names)


def renamed_since(metrics: Mapping[str, Any]) -> dict[str, str]:
    """Names of labels in training -> their names now, where they differ."""
    return dict(metrics.get("evolution", {}).get(SINCE, {}))


def _renamed_task(task: TaskSpec, names: Mapping[str, str]) -> TaskSpec:
    """The task under other names of its labels, as far as reading rows asks for them."""
    decision = task.decision.model_copy(update={"label": names.get(str(task.decision.label), task.decision.label)})
    labels = [names.get(label, label) for label in task.label_list()]
    return task.model_copy(update={"labels": labels, "decision": decision})


def _renamed(splits: Splits, names: Mapping[str, str]) -> Splits:
    """The splits under other names of labels."""
    if not names:
        return splits

    def named(frame: pd.DataFrame) -> pd.DataFrame:
        cells = [[names.get(n, n) for n in c] if isinstance(c, list) else names.get(c, c) for c in frame["label"]]
        return frame.assign(label=pd.Series(cells, index=frame.index, dtype=object))

    return replace(
        splits,
        train=named(splits.train),
        validation=named(splits.validation),
        test=named(splits.test),
        task=_renamed_task(splits.task, names),
    )


def _data(folder: Path, config: RunConfig, source: str | None) -> DataConfig:
    kept = folder / ROWS
    if source is not None:
        return config.data.model_copy(update={"source": source})
    if config.data.source == PYTHON_DATA and kept.is_dir():
        return config.data.model_copy(update={"source": str(kept)})
    return config.data


def _reading_task(config: RunConfig, data: DataConfig, task: TaskSpec) -> TaskSpec:
    """The run's own task; but where files lie that are called by name, the registered one of that name knows."""
    registered = find_tasks(config.tasks_dir)
    by_name = config.task in registered and (data.source or "sample") in registered.get(config.task).data
    return registered.get(config.task) if by_name else task


def _lacking(folder: Path, why: str) -> DataError:
    return DataError(f"The rows that {folder} was trained on cannot be had: {why}.")
