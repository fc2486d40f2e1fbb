"""A first task.yaml from a file of labelled texts."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, get_args

import pandas as pd

from nlptl.config.records import validate, write_yaml
from nlptl.data.audit import is_empty
from nlptl.data.files import OPTIONS, Dialect, TableWriter, read_frame
from nlptl.data.label_columns import states
from nlptl.data.labels import form_fault, label_name, label_of, separated_otherwise, written_list
from nlptl.data.sources import pick_columns
from nlptl.errors import ConfigError, DataError, shortened, unknown
from nlptl.tasks import TaskSpec, read_task

log = logging.getLogger("nlptl")
MOST_LABELS = 1000
AS_FOUND = Dialect(section=OPTIONS)
"""Nothing is said of how a file is written."""
USUAL = ("label", "labels", "class", "category", "intent", "target", "tags", "topics")
"""Names of label columns."""
KINDS = get_args(TaskSpec.model_fields["kind"].annotation)
SEVERAL = {"kind": "multi_label", "decision": {"policy": "threshold"}}
"""What a task of several labels a text says besides its labels: each label has a threshold, fitted on validation."""


class Draft(NamedTuple):
    """A drafted task, and what its columns were taken for, in words."""

    task: TaskSpec
    read_as: str


def draft_task(
    name: str,
    file: Path,
    folder: Path,
    text_columns: Sequence[str] = (),
    label_columns: Sequence[str] = (),
    dialect: Dialect = AS_FOUND,
    kind: str | None = None,
    label_separator: str | None = None,
) -> Draft:
    """Write `folder/name/` with a task.yaml and a copy of the data.

    A file whose dialect had to be said is copied as CSV in UTF-8, which all read.

    Args:
        name: of the task.
        file: labelled texts.
        folder: where the task's folder goes.
        text_columns: one, or two for pairs. None given: the one with the longest texts.
        label_columns: one, or a column of 0 and 1 for each label. None given: one of a usual name, else all that hold
            0 and 1 where there are several, else the one whose values repeat most.
        dialect: how the file is written.
        kind: single_label or multi_label; None: multi_label where the label columns show it.
        label_separator: between the labels of a cell; None: the one that the cells show.

    Raises:
        ConfigError: the folder exists, or the name cannot be a task's.
        DataError: the file cannot be read, or its columns cannot be told apart.
    """
    target = folder / name
    if target.exists():
        raise ConfigError(f"{target} exists already. Choose another name or remove it.")
    if len(text_columns) > 2:
        raise ConfigError(f"A task takes one text column, or two for pairs; {len(text_columns)} are given.")
    frame = read_frame(file, dialect.encoding, dialect.delimiter, dialect.quotes, dialect.section)
    pick_columns(frame, [*text_columns, *label_columns], str(file), "--text-column and --label-column")
    if kind is not None and kind not in KINDS:
        raise ConfigError(unknown("kind", kind, KINDS))
    texts = list(text_columns) or [_text_column(frame, label_columns, file)]
    taken = [*texts, *label_columns]
    if twice := sorted({column for column in taken if taken.count(column) > 1}):
        raise ConfigError(f"Each column has one use; asked for twice: {', '.join(map(repr, twice))}.")
    columns = list(label_columns) or _label_columns(frame, texts, file, kind)
    form = _form(frame, columns, file, kind, label_separator)
    labels = form["labels"]
    least = 1 if form.get("kind") == "multi_label" else 2
    if not least <= len(labels) <= MOST_LABELS:
        raise DataError(
            f"{file}: column {', '.join(map(repr, columns))} holds {len(labels)} different values; a task needs "
            f"{least} to {MOST_LABELS} labels. Choose with --label-column; columns: "
            f"{', '.join(map(str, frame.columns))}."
        )
    copied = file.name if dialect == AS_FOUND else f"{file.name.partition('.')[0]}.csv"
    values = {
        "name": name,
        "description": f"Drafted from {file.name}: {len(frame)} rows, {len(labels)} labels.",
        **form,
        "text_columns": texts,
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
    others = [] if text_columns else [column for column in _texts(frame) if column not in (*texts, *columns)]
    if others:
        log.warning(
            f"{file} has other columns of texts, which are not read: {', '.join(map(repr, others))}. For pairs, name "
            f"both: {' '.join(f'--text-column {name}' for name in _texts(frame) if name in (texts[0], others[0]))}"
        )
    return Draft(read_task(target), _in_words(texts, columns, form))


def _form(
    frame: pd.DataFrame, columns: list[str], file: Path, kind: str | None, separator: str | None
) -> dict[str, Any]:
    """What a task.yaml says of labels in these columns."""
    if len(columns) > 1:
        if kind == "single_label" or separator is not None:
            raise ConfigError(
                f"Several label columns ({', '.join(columns)}) are one of 0 and 1 for each label: kind multi_label, "
                "without a label separator."
            )
        for column in columns:
            odd = frame[column][[state is None for state in states(frame[column])]]
            if len(odd):
                raise DataError(
                    f"{file}: column {column!r} holds {shortened(repr(odd.iloc[0]))}, which is neither 0 nor 1. "
                    "Several label columns say of each label whether it applies."
                )
        # A label column that the file had would be read instead.
        absent = next(name for name in ("label", "labels", "label_names") if name not in frame.columns)
        return {**SEVERAL, "labels": columns, "label_column": absent}
    cells = [cell for cell in frame[columns[0]] if not is_empty(cell)]
    lists = any(pd.api.types.is_list_like(cell) or written_list(cell) is not None for cell in cells)
    found = separated_otherwise(cells, "", set()) if kind != "single_label" and separator is None else None
    if kind == "multi_label" or separator is not None or ((lists or found) and kind is None):
        separator = separator or (found[1] if found else "|")
        several = TaskSpec(name="draft", description="", kind="multi_label", label_separator=separator)
        if fault := form_fault(cells, several, {}):
            raise DataError(f"{file}, column {columns[0]!r}: {fault}")
        names = {label for cell in cells for label in label_of(cell, several, {})}
        form = {**SEVERAL, "labels": sorted(names), "label_column": columns[0]}
        return form if lists else {**form, "label_separator": separator}
    return {"labels": sorted({label_name(cell) for cell in cells}), "label_column": columns[0]}


def _in_words(texts: list[str], columns: list[str], form: dict[str, Any]) -> str:
    text = f"text {texts[0]!r}" if len(texts) == 1 else f"pairs {texts[0]!r} + {texts[1]!r}"
    if "kind" not in form:
        return f"{text}, label {columns[0]!r}"
    if len(columns) > 1:
        return f"{text}, any number of labels a text from columns of 0 and 1"
    between = f" with {form['label_separator']!r} between them" if "label_separator" in form else ""
    return f"{text}, any number of labels a text from {columns[0]!r}{between}"


def _texts(frame: pd.DataFrame) -> list[str]:
    """The columns whose cells are texts of several words, and too many to be names of labels."""
    return [
        str(column)
        for column in frame.columns
        if frame[column].map(lambda v: isinstance(v, str) and len(v.split()) > 1).mean() > 0.5
        and frame[column].map(str).nunique() > min(20, len(frame) / 2)
    ]


def _text_column(frame: pd.DataFrame, labels: Sequence[str], file: Path) -> str:
    lengths = {
        str(column): frame[column].dropna().map(str).str.len().mean()
        for column in frame.columns
        if column not in labels and frame[column].map(lambda v: isinstance(v, str)).mean() > 0.5
    }
    if not lengths:
        raise DataError(f"{file} has no column of texts. Columns: {', '.join(map(str, frame.columns)) or 'none'}.")
    return max(lengths, key=lambda column: lengths[column])


def _label_columns(frame: pd.DataFrame, texts: list[str], file: Path, kind: str | None) -> list[str]:
    rest = [str(column) for column in frame.columns if column not in texts]
    kinds = {column: frame[column].map(str).nunique() for column in rest}
    fitting = {column: n for column, n in kinds.items() if 2 <= n <= max(2, min(MOST_LABELS, len(frame) // 2))}
    named = [column for column in rest if column.lower() in USUAL and kinds[column] > 1]
    if named:
        return named[:1]
    flags = [column for column in rest if all(state is not None for state in states(frame[column]))]
    if len(flags) > 1 and kind != "single_label":
        return flags
    if not fitting:
        raise DataError(f"{file} has no column that could hold labels. Choose with --label-column.")
    return [min(fitting, key=lambda column: fitting[column])]
