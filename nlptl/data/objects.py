"""Data that is in memory, saved by `datasets`, or on the Hub, as one DataFrame per split."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from nlptl.data.files import check_frame
from nlptl.data.files.parquet import arrow_frame, cells
from nlptl.data.files.tables import check_names, frame_of, records_frame
from nlptl.errors import DataError, shortened
from nlptl.tasks import SPLITS

_SPLIT_NAMES = {
    "train": "train",
    "training": "train",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "dev": "validation",
    "test": "test",
}
Frames = dict[str, pd.DataFrame]


def split_of(name: str) -> str | None:
    """The split that a name such as `dev` or `Training` stands for; None if it is no split's."""
    return _SPLIT_NAMES.get(name.lower())


def ignored(origin: str, names: Iterable[str]) -> str:
    """What to tell of parts of a source that are no split."""
    return f"{origin}: ignored {', '.join(names)} (only train, validation and test are read)"


def from_objects(given: Any, origin: str, notes: list[str], to_train: bool = True) -> Frames:
    """A table in memory (see `object_frame`), or a dict of them by split, as a `DatasetDict` is.

    Args:
        given: the data.
        origin: what messages call it.
        notes: takes which parts are no split.
        to_train: there must be a train split.

    Raises:
        DataError: of another type, two parts for one split, no train split, or a table that cannot be used.
    """
    if isinstance(given, pd.DataFrame) or not isinstance(given, Mapping):
        given = {"train": given}
    named: dict[str, Any] = {}
    for name, value in given.items():
        split = split_of(str(name))
        if split in named:
            raise DataError(f"The data holds two {split} splits: {', '.join(map(repr, given))}. Keep one.")
        if split is not None:
            named[split] = value
    if "train" not in named and to_train:
        raise DataError(f"{origin} holds no train split; it holds {', '.join(map(str, given)) or 'none'}.")
    if others := [str(name) for name in given if split_of(str(name)) is None]:
        notes.append(ignored(origin, others))
    return {name: object_frame(value, f"{origin}[{name}]") for name, value in named.items()}


def object_frame(value: Any, origin: str) -> pd.DataFrame:
    """A table in memory as files give it: columns named by strings, holding plain Python values.

    The named index of a DataFrame becomes a column, as it is one in a Parquet file.

    Raises:
        DataError: of another type, or a table that cannot be used.
    """
    import datasets
    import pyarrow as pa

    if isinstance(value, datasets.Dataset):
        return _dataset_frame(value, origin)
    if isinstance(value, pa.Table):
        check_names(origin, value.schema.names)
        frame = arrow_frame(value)
    elif isinstance(value, pd.DataFrame):
        frame = _plain_frame(value, origin)
    elif isinstance(value, list | tuple) and value and all(isinstance(record, Mapping) for record in value):
        frame = records_frame(origin, value)
    else:
        raise DataError(
            f"Cannot read data from a {type(value).__name__}. Give a path, a pandas DataFrame, a datasets Dataset, "
            'an Arrow table, a list of records such as {"text": "...", "label": "..."}, or a dict of them by split.'
        )
    check_frame(origin, frame)
    return frame


def _plain_frame(frame: pd.DataFrame, origin: str) -> pd.DataFrame:
    if frame.columns.nlevels > 1:
        first = shortened(repr(frame.columns[0] if len(frame.columns) else ()))
        raise DataError(
            f"{origin}: the columns have names of {frame.columns.nlevels} levels, such as {first}. Give each one name: "
            "frame.columns = ['_'.join(map(str, name)) for name in frame.columns]"
        )
    names = [_column_name(name) for name in frame.columns]
    check_names(origin, names)
    index = frame.index
    levels = {
        _column_name(name): index.get_level_values(i)
        for i, name in enumerate(index.names)
        if name is not None and _column_name(name) not in names
    }
    columns = {name: frame.iloc[:, i] for i, name in enumerate(names)}
    return frame_of({name: values.astype(object) for name, values in {**columns, **levels}.items()})


def _column_name(name: Any) -> str:
    """A column's name as an option can say it; whole numbers as such, also where pandas made them fractions."""
    return str(int(name)) if isinstance(name, float) and name.is_integer() else str(name)


def _dataset_frame(dataset: Any, origin: str) -> pd.DataFrame:
    """A `datasets.Dataset`; class ids are replaced by their names (-1 and missing ones, "no label", by None)."""
    import datasets

    table = dataset.with_format("arrow")[:]
    check_names(origin, table.schema.names)
    columns = {}
    for i, name in enumerate(table.schema.names):
        values, feature = cells(table.column(i)), dataset.features[name]
        inner = getattr(feature, "feature", None)
        if isinstance(feature, datasets.ClassLabel):
            values = [_class_name(feature.names, number, origin, name) for number in values]
        elif isinstance(inner, datasets.ClassLabel):
            values = [_class_names(inner.names, numbers, origin, name) for numbers in values]
        columns[name] = values
    frame = frame_of(columns)
    check_frame(origin, frame)
    return frame


def _class_name(names: list[str], number: int | None, origin: str, column: str) -> str | None:
    if number is None or number < 0:
        return None
    if number >= len(names):
        raise DataError(f"{origin}, column {column!r}: class {number}, but there are names for {len(names)} only.")
    return names[number]


def _class_names(names: list[str], numbers: list[int | None] | None, origin: str, column: str) -> list[str] | None:
    if numbers is None:
        return None
    found = (_class_name(names, number, origin, column) for number in numbers)
    return [name for name in found if name is not None]


def from_saved(path: Path, origin: str, notes: list[str], to_train: bool = True) -> Frames:
    """What `datasets.save_to_disk` wrote.

    Raises:
        DataError: the folder is damaged, or as `from_objects`.
    """
    import datasets

    try:
        loaded = datasets.load_from_disk(str(path))
        return from_objects(loaded, origin, notes, to_train)
    except DataError:
        raise
    except Exception as error:  # datasets wraps damage in many types
        raise DataError(f"{path} is not a readable saved `datasets` folder: {error}") from error


def from_hub(
    hub_id: str,
    configuration: str | None,
    revision: str | None,
    splits: Mapping[str, str],
    notes: list[str],
    to_train: bool = True,
) -> Frames:
    """A data set on the Hub, or in the Hub's cache.

    Args:
        hub_id: owner/name.
        configuration: one of the data set's configurations.
        revision: None: the newest.
        splits: split -> the data set's name for it; empty: those whose names say it.
        notes: takes which of its parts are no split.
        to_train: there must be a train split.

    Raises:
        DataError: it cannot be loaded, or lacks a split.
    """
    import datasets

    try:
        loaded = datasets.load_dataset(hub_id, configuration, revision=revision)
    except Exception as error:  # no network, no such id, no such configuration: each library layer has its own type
        first = str(error).split("\n", 1)[0]
        raise DataError(
            f"The Hub data set {hub_id!r} cannot be loaded: {first} "
            "Without a network, use the bundled `sample` or a local file."
        ) from error
    if not splits:
        return from_objects(loaded, hub_id, notes, to_train)
    missing = sorted(set(splits.values()) - set(loaded))
    if missing:
        raise DataError(f"{hub_id} has no split {', '.join(missing)}; it has {', '.join(loaded)}.")
    chosen = {split: loaded[theirs] for split, theirs in splits.items()}
    return {split: object_frame(chosen[split], f"{hub_id}[{split}]") for split in SPLITS if split in chosen}
