"""A first task.yaml from a file of labelled texts."""

from __future__ import annotations

import shutil
from pathlib import Path

import pandas as pd

from nlptl.config.records import validate, write_yaml
from nlptl.data.files import OPTIONS, Dialect, TableWriter, read_frame
from nlptl.data.labels import label_name
from nlptl.data.sources import pick_columns
from nlptl.errors import ConfigError, DataError
from nlptl.tasks import TaskSpec, read_task

MOST_LABELS = 1000
AS_FOUND = Dialect(section=OPTIONS)
"""Nothing is said of how a file is written."""


def draft_task(
    name: str,
    file: Path,
    folder: Path,
    text_column: str | None = None,
    label_column: str | None = None,
    dialect: Dialect = AS_FOUND,
) -> TaskSpec:
    """Write `folder/name/` with a task.yaml and a copy of the data.

    The text column is the one with the longest texts, the label column the one whose values repeat most; either can
    be given instead. A file whose dialect had to be said is copied as CSV in UTF-8, which all read.

    Raises:
        ConfigError: the folder exists, or the name cannot be a task's.
        DataError: the file cannot be read, or its columns cannot be told apart.
    """
    target = folder / name
    if target.exists():
        raise ConfigError(f"{target} exists already. Choose another name or remove it.")
    frame = read_frame(file, dialect.encoding, dialect.delimiter, dialect.quotes, dialect.section)
    given = [column for column in (text_column, label_column) if column]
    pick_columns(frame, given, str(file), "--text-column and --label-column")
    text = text_column or _text_column(frame, label_column, file)
    label = label_column or _label_column(frame, text, file)
    labels = sorted({label_name(value) for value in frame[label] if isinstance(value, str) or pd.notna(value)} - {""})
    if not 2 <= len(labels) <= MOST_LABELS:
        raise DataError(
            f"{file}: column {label!r} holds {len(labels)} different values; a task needs 2 to {MOST_LABELS} labels. "
            f"Choose with --label-column; columns: {', '.join(map(str, frame.columns))}."
        )
    copied = file.name if dialect == AS_FOUND else f"{file.name.partition('.')[0]}.csv"
    values = {
        "name": name,
        "description": f"Drafted from {file.name}: {len(frame)} rows, {len(labels)} labels.",
        "labels": labels,
        "text_columns": [text],
        "label_column": label,
        "metric": "macro_f1",
        "data": {"sample": {"description": f"Copied from {file.name}", "files": {"train": copied}}},
    }
    spec = validate(TaskSpec, values, f"The drafted task {name!r}")
    aside = folder / f".{name}.part"
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    if dialect == AS_FOUND:
        shutil.copyfile(file, aside / copied)
    else:
        with TableWriter(aside / copied) as writer:
            writer.write(frame)
    write_yaml(aside / "task.yaml", spec)
    aside.rename(target)
    return read_task(target)


def _text_column(frame: pd.DataFrame, label: str | None, file: Path) -> str:
    lengths = {
        str(column): frame[column].dropna().map(str).str.len().mean()
        for column in frame.columns
        if column != label and frame[column].map(lambda v: isinstance(v, str)).mean() > 0.5
    }
    if not lengths:
        raise DataError(f"{file} has no column of texts. Columns: {', '.join(map(str, frame.columns)) or 'none'}.")
    return max(lengths, key=lambda column: lengths[column])


def _label_column(frame: pd.DataFrame, text: str, file: Path) -> str:
    kinds = {str(column): frame[column].map(str).nunique() for column in frame.columns if column != text}
    fitting = {column: n for column, n in kinds.items() if 2 <= n <= max(2, min(MOST_LABELS, len(frame) // 2))}
    named = [
        column for column in fitting if column.lower() in ("label", "labels", "class", "category", "intent", "target")
    ]
    if not fitting:
        raise DataError(f"{file} has no column that could hold labels. Choose with --label-column.")
    return named[0] if named else min(fitting, key=lambda column: fitting[column])
