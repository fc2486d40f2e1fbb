"""Labelled rows for a finished run: a file, a folder or saved data set, a named one, or data in Python."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pandas as pd

from nlptl.config.data import DataConfig
from nlptl.data.files import is_table, read_frame, table_stem
from nlptl.data.objects import from_hub, from_objects, from_saved, split_of
from nlptl.data.sources import Source
from nlptl.errors import DataError, NlptlError, unknown
from nlptl.inference.reading import Reading, reading_for
from nlptl.runs.artifact import Artifact, Head, head_folder
from nlptl.storage.paths import user_path
from nlptl.tasks import NamedData, TaskSpec, load_task

log = logging.getLogger("nlptl")


def labelled_rows(artifact: Artifact, head: Head, given: Any, data: DataConfig | None) -> tuple[Source, Reading]:
    """What `evaluate` was given, as a source with a `test` split, and how it is read.

    Args:
        artifact: the run.
        head: of the task.
        given: a path, Hub id or named data set, of which several splits mean that the test split is taken; or a
            DataFrame, a `datasets` object, or a dict of them by split.
        data: as `reading_for`.

    Raises:
        DataError: there is no such source, it cannot be read, or it holds several splits and none of them is `test`.
    """
    if not isinstance(given, str | os.PathLike):
        reading = reading_for(artifact, head, data)
        return _source(*_test_of(from_objects(given, "the data", [], to_train=False), "the data"), reading), reading
    name = os.fspath(given)
    path = user_path(name)
    named, owner = _named(artifact, head, name)
    about = _about(named, owner) if named is not None else None
    reading = reading_for(artifact, head, data, about)
    if named is not None:
        frame, origin = _read_named(named, owner, name, reading)
    elif path.is_file():
        _warn_of_training_rows(artifact, head, path)
        frame, origin = _read(path, reading), name
    elif (path / "dataset_dict.json").is_file() or (path / "state.json").is_file():
        frame, origin = _test_of(from_saved(path, name, [], to_train=False), name)
    elif path.is_dir():
        file = _test_file(path)
        frame, origin = _read(file, reading), str(file)
    elif re.fullmatch(r"[\w.-]+/[\w.-]+(@[\w./-]+)?", name) and not is_table(path):
        hub_id, _, revision = name.partition("@")
        frame, origin = _test_of(from_hub(hub_id, None, revision or None, {}, [], to_train=False), name)
    elif is_table(path):
        raise DataError(f"{path} does not exist or is not a file.")
    else:
        message = unknown("data source", name, _known(artifact, head))
        raise DataError(f"{message} It is not an existing file or folder, nor a Hub id (owner/name).")
    return _source(frame, origin, reading), reading


def _read(path: Path, reading: Reading) -> pd.DataFrame:
    dialect = reading.dialect(path)
    return read_frame(path, dialect.encoding, dialect.delimiter, dialect.quotes)


def _about(named: NamedData, owner: TaskSpec) -> dict[str, Any]:
    """Its columns and label names, under the names of `DataConfig`."""
    columns = {
        "text_columns": named.text_columns or owner.text_columns,
        "label_column": named.label_column or owner.label_column,
    }
    return columns | ({"label_map": named.label_map} if named.label_map else {})


def _source(frame: pd.DataFrame, origin: str, reading: Reading) -> Source:
    label = reading.label_column(list(map(str, frame.columns)), origin)
    texts = reading.text_columns(list(map(str, frame.columns)), origin)
    return Source({"test": frame}, {"test": origin}, texts, label, reading.label_map(label))


def _test_of(frames: Mapping[str, pd.DataFrame], origin: str) -> tuple[pd.DataFrame, str]:
    """The only split, or of several the test split."""
    if len(frames) == 1:
        return next(iter(frames.values())), origin
    if "test" not in frames:
        there = ", ".join(frames) or "no split"
        raise DataError(f"{origin} holds {there}, but no test split. Give the one to evaluate on.")
    log.info(f"{origin}: its test split is evaluated")
    return frames["test"], f"{origin}[test]"


def _test_file(folder: Path) -> Path:
    """The test file of a folder, or its only table."""
    tables = sorted(path for path in folder.iterdir() if path.is_file() and is_table(path))
    tests = [path for path in tables if split_of(table_stem(path)) == "test"] or (tables if len(tables) == 1 else [])
    if len(tests) != 1:
        there = ", ".join(path.name for path in tables) or "no table"
        fault = "several test files" if tests else "no test.csv, test.jsonl or test.parquet"
        raise DataError(f"{folder} holds {fault}; it holds {there}. Name one file.")
    log.info(f"{folder}: {tests[0].name} is evaluated")
    return tests[0]


def _known(artifact: Artifact, head: Head) -> dict[str, tuple[NamedData, TaskSpec]]:
    """Data sets by name: those of the task as it is registered here, and those that the run's own file still has."""
    found: dict[str, tuple[NamedData, TaskSpec]] = {}
    with suppress(NlptlError):  # a run is complete without its task's folder
        registered = load_task(head.task.name, artifact.config.tasks_dir)
        found |= {name: (named, registered) for name, named in registered.data.items()}
    return {name: (named, head.task) for name, named in head.task.data.items()} | found


def _named(artifact: Artifact, head: Head, name: str) -> tuple[NamedData | None, TaskSpec]:
    if re.fullmatch(r"[a-z0-9][a-z0-9_-]*", name) is None:
        return None, head.task
    return _known(artifact, head).get(name, (None, head.task))


def _read_named(named: NamedData, owner: TaskSpec, name: str, reading: Reading) -> tuple[pd.DataFrame, str]:
    if named.hub_id is not None:
        splits = {str(split): theirs for split, theirs in named.splits.items()}
        frames = from_hub(named.hub_id, named.configuration, named.revision, splits, [], to_train=False)
        return _test_of(frames, named.hub_id)
    files = named.files or {}
    if "test" not in files:
        raise DataError(f"The data set {name!r} holds {', '.join(files)}, but no test split. Give a labelled file.")
    path = (owner.folder or Path()) / files["test"]
    log.info(f"{name}: its test split is evaluated")
    return _read(path, reading), f"{owner.name}/{files['test']}"


def _warn_of_training_rows(artifact: Artifact, head: Head, path: Path) -> None:
    """Say it where the file is the one that training took its rows from."""
    config = artifact.config
    several = len(artifact.heads) > 1
    trained = config.multi_task.sources.get(head.task.name) if several else config.data.source
    if trained is not None and user_path(trained).is_file() and user_path(trained).resolve() == path.resolve():
        home = head_folder(artifact.folder, head.task.name, len(artifact.heads))
        log.warning(
            f"{path} is the file that the run was trained on: it knows most of these rows, and its numbers here say "
            f"little about new ones. The rows that were held out are in {home / 'predictions.csv'}."
        )
