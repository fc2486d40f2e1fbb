"""From what the user named to one DataFrame per split."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from nlptl.config.run import DataConfig
from nlptl.data.files import is_table, read_frame
from nlptl.errors import DataError, closest, shortened, unknown
from nlptl.storage.paths import user_path
from nlptl.tasks import SPLITS, NamedData, TaskSpec

_FILE_NAMES = {
    "train": "train",
    "training": "train",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "dev": "validation",
    "test": "test",
}


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
        _add_all(source, _from_objects(given), "data")
    elif named is not None:
        _read_named(source, task, name, named, config.encoding)
    else:
        _read_path(source, task, name, config.encoding)
    for split, file in (("validation", config.validation), ("test", config.test)):
        if file is not None:
            source.frames[split] = read_frame(user_path(file), config.encoding)
            source.origins[split] = file
    if "train" not in source.frames:
        raise DataError(f"{name} holds no train split; it holds {', '.join(source.frames) or 'none'}.")
    return source


def read_labelled_file(path: Path, task: TaskSpec, config: DataConfig) -> Source:
    """One file as a `test` split, for evaluating a finished run."""
    frame = read_frame(path, config.encoding)
    columns = config.text_columns or task.text_columns
    return Source(
        {"test": frame},
        {"test": str(path)},
        columns,
        config.label_column or task.label_column,
        config.label_map,
    )


def check_text_columns(columns: list[str], task: TaskSpec) -> None:
    """A task of single texts takes one text column, a task of pairs two.

    Raises:
        DataError: another number was asked for.
    """
    if len(columns) != len(task.text_columns):
        raise DataError(
            f"The task {task.name!r} takes {len(task.text_columns)} text column(s), but {len(columns)} are given: "
            f"{', '.join(columns)}. A task of pairs names two text_columns in its task.yaml."
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


def _read_named(source: Source, task: TaskSpec, name: str, named: NamedData, encoding: str | None) -> None:
    if named.hub_id is not None:
        splits = {str(k): v for k, v in named.splits.items()}
        _add_all(source, _from_hub(named.hub_id, named.configuration, named.revision, splits), named.hub_id)
        return
    folder = task.folder or Path()
    for split, file in (named.files or {}).items():
        source.frames[split] = read_frame(folder / file, encoding)
        source.origins[split] = f"{task.name}/{file}"


def _read_path(source: Source, task: TaskSpec, name: str, encoding: str | None) -> None:
    path = user_path(name)
    if path.is_file():
        source.frames["train"] = read_frame(path, encoding)
        source.origins["train"] = name
    elif (path / "dataset_dict.json").is_file() or (path / "state.json").is_file():
        _add_all(source, _from_saved(path), name)
    elif path.is_dir():
        _read_folder(source, path, encoding)
    elif re.fullmatch(r"[\w.-]+/[\w.-]+(@[\w./-]+)?", name) and not is_table(path):
        hub_id, _, revision = name.partition("@")
        _add_all(source, _from_hub(hub_id, None, revision or None, {}), name)
    else:
        message = unknown("data source", name, task.data)
        raise DataError(f"{message} It is not an existing file or folder, nor a Hub id (owner/name).")


def _read_folder(source: Source, folder: Path, encoding: str | None) -> None:
    tables = sorted(path for path in folder.iterdir() if path.is_file() and is_table(path))
    for path in tables:
        split = _FILE_NAMES.get(path.stem.lower())
        if split is not None and split in source.frames:
            raise DataError(f"{folder} holds two {split} files: {source.origins[split]} and {path}. Keep one.")
        if split is not None:
            source.frames[split] = read_frame(path, encoding)
            source.origins[split] = str(path)
    if not source.frames and len(tables) == 1:
        source.frames["train"] = read_frame(tables[0], encoding)
        source.origins["train"] = str(tables[0])
    if "train" not in source.frames:
        there = ", ".join(path.name for path in tables) or "no table"
        raise DataError(f"{folder} holds no train.csv, train.jsonl or train.parquet; it holds {there}. Name one file.")
    ignored = [path.name for path in tables if str(path) not in source.origins.values()]
    if ignored:
        source.notes.append(f"{folder}: ignored {', '.join(ignored)} (only train, validation and test are read)")


def _add_all(source: Source, frames: Mapping[str, pd.DataFrame], origin: str) -> None:
    for split, frame in frames.items():
        source.frames[split] = frame
        source.origins[split] = f"{origin}[{split}]"


def _from_objects(given: Any) -> dict[str, pd.DataFrame]:
    if isinstance(given, pd.DataFrame) or not isinstance(given, Mapping):
        given = {"train": given}
    named: dict[str, Any] = {}
    for name, value in given.items():
        split = _FILE_NAMES.get(str(name).lower(), str(name))
        if split in named:
            raise DataError(f"The data holds two {split} splits: {', '.join(map(repr, given))}. Keep one.")
        named[split] = value
    extra = sorted(set(named) - set(SPLITS))
    if extra:
        raise DataError(f"Unknown split {', '.join(map(repr, extra))}. Available: {', '.join(SPLITS)}.")
    return {name: _object_frame(value) for name, value in named.items()}


def _object_frame(value: Any) -> pd.DataFrame:
    import datasets

    if isinstance(value, pd.DataFrame):
        return value.reset_index(drop=True).astype(object)
    if isinstance(value, datasets.Dataset):
        return _dataset_frame(value)
    raise DataError(
        f"Cannot read data from a {type(value).__name__}. Give a path, a pandas DataFrame, a datasets Dataset, "
        "or a dict of them by split."
    )


def _dataset_frame(dataset: Any) -> pd.DataFrame:
    """A `datasets.Dataset` as a DataFrame, class ids replaced by their names (-1, "no label", becomes None)."""
    import datasets

    frame = dataset.with_format(None).to_pandas().astype(object)
    for column, feature in dataset.features.items():
        inner = getattr(feature, "feature", None)
        if isinstance(feature, datasets.ClassLabel):
            names = feature.names
            frame[column] = [names[i] if i is not None and i >= 0 else None for i in frame[column]]
        elif isinstance(inner, datasets.ClassLabel):
            frame[column] = [[inner.names[i] for i in ids] if ids is not None else None for ids in frame[column]]
    return pd.DataFrame(frame)


def _from_saved(path: Path) -> dict[str, pd.DataFrame]:
    import datasets

    try:
        loaded = datasets.load_from_disk(str(path))
    except Exception as error:  # datasets wraps damage in many types
        raise DataError(f"{path} is not a readable saved `datasets` folder: {error}") from error
    return _from_objects(loaded)


def _from_hub(
    hub_id: str, configuration: str | None, revision: str | None, splits: dict[str, str]
) -> dict[str, pd.DataFrame]:
    import datasets

    try:
        loaded = datasets.load_dataset(hub_id, configuration, revision=revision)
    except Exception as error:  # no network, no such id, no such configuration: each library layer has its own type
        first = str(error).split("\n", 1)[0]
        raise DataError(
            f"The Hub data set {hub_id!r} cannot be loaded: {first} "
            "Without a network, use the bundled `sample` or a local file."
        ) from error
    chosen = splits or {split: split for split in SPLITS if split in loaded}
    missing = sorted(set(chosen.values()) - set(loaded))
    if missing:
        raise DataError(f"{hub_id} has no split {', '.join(missing)}; it has {', '.join(loaded)}.")
    return {split: _dataset_frame(loaded[theirs]) for split, theirs in chosen.items()}
