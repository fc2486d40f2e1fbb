"""From what the user named to one DataFrame per split."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from nlptl.config.data import DataConfig
from nlptl.data.files import is_table, read_frame, table_stem
from nlptl.data.objects import Frames, from_hub, from_objects, from_saved, ignored, split_of
from nlptl.errors import DataError, closest, shortened, unknown
from nlptl.storage.paths import user_path
from nlptl.tasks import NamedData, TaskSpec


@dataclass
class Source:
    """The splits that a source holds, still under its own column names and labels."""

    frames: dict[str, pd.DataFrame]
    origins: dict[str, str]
    text_columns: list[str]
    label_column: str
    label_map: dict[str, str]
    notes: list[str] = field(default_factory=list)


def open_source(task: TaskSpec, config: DataConfig, given: Any = None) -> Source:
    """Read every split that the configuration names.

    Args:
        task: gives the named data sets and the default columns.
        config: what to read; `validation` and `test` files go before the source's own.
        given: a DataFrame, a `datasets` Dataset or DatasetDict, or a dict of them by split, instead of a path.

    Raises:
        DataError: the source does not exist, cannot be read, or holds no train split.
    """
    name = config.source or _default_source(task)
    named = task.data.get(name) if given is None else None
    source = Source(
        frames={},
        origins={},
        text_columns=config.text_columns or (named and named.text_columns) or task.text_columns,
        label_column=config.label_column or (named and named.label_column) or task.label_column,
        label_map=config.label_map or (named.label_map if named else {}),
    )
    if given is not None:
        _add_all(source, from_objects(given, "data", source.notes), "data")
    elif named is not None:
        _read_named(source, task, named, config)
    else:
        _read_path(source, task, name, config)
    for split, file in (("validation", config.validation), ("test", config.test)):
        if file is not None:
            _add_file(source, split, user_path(file), file, config)
    if "train" not in source.frames:
        there = ", ".join(source.frames) or "none"
        raise DataError(f"{name} holds no train split; it holds {there}. Train on other data, and evaluate on this.")
    return source


def check_text_columns(columns: list[str], task: TaskSpec) -> None:
    """A task of single texts takes one text column, a task of pairs two.

    Raises:
        DataError: another number was asked for.
    """
    if len(columns) != len(task.text_columns):
        raise DataError(
            f"The task {task.name!r} takes {len(task.text_columns)} text column(s), but {len(columns)} are given: "
            f"{', '.join(columns)}. A task of pairs names two text_columns in its task.yaml; nlptl tasks new drafts "
            "it: --text-column A --text-column B."
        )


def column_fault(frame: pd.DataFrame, columns: list[str], origin: str, flag: str) -> str | None:
    """What is wrong with the choice of columns: names what is missing, what is there, the nearest name, the flag."""
    missing = [column for column in columns if column not in frame.columns]
    if not missing:
        return None
    there = [shortened(str(column)) for column in frame.columns]
    nearest = closest(missing[0], there)
    hint = f" Did you mean {nearest!r}?" if nearest else ""
    return (
        f"{origin} has no column {', '.join(map(repr, missing))}. Its columns: {', '.join(there) or 'none'}.{hint} "
        f"Choose with {flag}."
    )


def pick_columns(frame: pd.DataFrame, columns: list[str], origin: str, flag: str) -> None:
    """Check that the columns are there.

    Raises:
        DataError: as `column_fault` says.
    """
    fault = column_fault(frame, columns, origin, flag)
    if fault:
        raise DataError(fault)


def _default_source(task: TaskSpec) -> str:
    if not task.data:
        raise DataError(f"The task {task.name!r} names no data set. Say which data to use: --data FILE")
    return "sample" if "sample" in task.data else next(iter(task.data))


def _read_named(source: Source, task: TaskSpec, named: NamedData, config: DataConfig) -> None:
    if named.hub_id is not None:
        splits = {str(k): v for k, v in named.splits.items()}
        frames = from_hub(named.hub_id, named.configuration, named.revision, splits, source.notes)
        _add_all(source, frames, named.hub_id)
        return
    folder = task.folder or Path()
    for split, file in (named.files or {}).items():
        _add_file(source, split, folder / file, f"{task.name}/{file}", config)


def _read_path(source: Source, task: TaskSpec, name: str, config: DataConfig) -> None:
    path = user_path(name)
    if path.is_file():
        _add_file(source, "train", path, name, config)
    elif (path / "dataset_dict.json").is_file() or (path / "state.json").is_file():
        _add_all(source, from_saved(path, name, source.notes), name)
    elif path.is_dir():
        _read_folder(source, path, config)
    elif re.fullmatch(r"[\w.-]+/[\w.-]+(@[\w./-]+)?", name) and not is_table(path):
        hub_id, _, revision = name.partition("@")
        _add_all(source, from_hub(hub_id, None, revision or None, {}, source.notes), name)
    else:
        message = unknown("data source", name, task.data)
        raise DataError(f"{message} It is not an existing file or folder, nor a Hub id (owner/name).")


def _read_folder(source: Source, folder: Path, config: DataConfig) -> None:
    tables = sorted(path for path in folder.iterdir() if path.is_file() and is_table(path))
    for path in tables:
        split = split_of(table_stem(path))
        if split is not None and split in source.frames:
            raise DataError(f"{folder} holds two {split} files: {source.origins[split]} and {path}. Keep one.")
        if split is not None:
            _add_file(source, split, path, str(path), config)
    if not source.frames and len(tables) == 1:
        _add_file(source, "train", tables[0], str(tables[0]), config)
    if "train" not in source.frames:
        there = ", ".join(path.name for path in tables) or "no table"
        raise DataError(f"{folder} holds no train.csv, train.jsonl or train.parquet; it holds {there}. Name one file.")
    others = [path.name for path in tables if str(path) not in source.origins.values()]
    if others:
        source.notes.append(ignored(str(folder), others))


def _add_file(source: Source, split: str, path: Path, origin: str, config: DataConfig) -> None:
    frame = read_frame(path, config.encoding, config.delimiter, config.quotes)
    source.frames[split], source.origins[split] = frame, origin
    _tell_of_filler(source, frame, origin)


def _tell_of_filler(source: Source, frame: pd.DataFrame, origin: str) -> None:
    """Columns without a name after the last one that has one hold what an unquoted comma cut off a text."""
    names = list(frame.columns)
    named = max((i for i, name in enumerate(names) if not str(name).startswith("Unnamed: ")), default=len(names))
    filled = sum(any(str(cell).strip() for cell in row) for row in frame[names[named + 1 :]].to_numpy())
    if filled:
        source.notes.append(
            f"{origin}: {filled} rows hold something in columns without a name, which is not read; perhaps their texts "
            "were cut at a comma"
        )


def _add_all(source: Source, frames: Frames, origin: str) -> None:
    for split, frame in frames.items():
        source.frames[split] = frame
        source.origins[split] = f"{origin}[{split}]"
