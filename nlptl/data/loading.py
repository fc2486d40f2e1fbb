"""The one way from a source to audited splits with known labels."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from nlptl.config.data import DataConfig
from nlptl.data import audit as auditing
from nlptl.data import ordered_splits
from nlptl.data.attacked_copies import with_attacked_copies
from nlptl.data.audit import Audit
from nlptl.data.files.tables import holds_texts
from nlptl.data.label_columns import gather_label_columns
from nlptl.data.label_names import with_label_names
from nlptl.data.labels import form_fault, label_name, label_of
from nlptl.data.ordered_splits import GROUP, TIME, cut_off
from nlptl.data.sources import Source, check_text_columns, column_fault, open_source
from nlptl.data.splits import draw_shots
from nlptl.errors import DataError, shortened
from nlptl.tasks import TaskSpec


@dataclass(frozen=True)
class Splits:
    """Audited rows per split, the task with its labels fixed, and what the audit found."""

    train: pd.DataFrame
    validation: pd.DataFrame
    test: pd.DataFrame
    task: TaskSpec
    audit: Audit
    more: dict[str, pd.DataFrame] = field(default_factory=dict)
    """Rows besides these, by name, such as another domain's; without the column `label` where they have none."""
    read_as: dict[str, Any] = field(default_factory=dict)
    """The columns and the label map that the rows were read with, under the names of `DataConfig`."""

    along: dict[str, Any] = field(default_factory=dict)
    """Where the splits lie on the column that they were cut along; empty for random ones."""

    def frames(self) -> dict[str, pd.DataFrame]:
        """All rows by split."""
        return {"train": self.train, "validation": self.validation, "test": self.test, **self.more}

    def sizes(self) -> dict[str, int]:
        """Rows per split."""
        return {name: len(frame) for name, frame in self.frames().items()}


def load_splits(task: TaskSpec, config: DataConfig, seed: int, given: Any = None) -> Splits:
    """Read, audit and split the data of a run.

    Args:
        task: what is learned; labels `from_data` become those of the train split, sorted.
        config: what to read.
        seed: for splits and shots.
        given: Python data instead of `config.source`.

    Raises:
        DataError: all faults of the data at once.
    """
    source = open_source(task, config, given)
    audit = Audit(warnings=list(source.notes))
    gather_label_columns(source, task, config.bad_rows == "drop", audit)
    _left_out_unlabelled(source, task, config, audit)
    ordered_splits.check_source(source.frames, config)
    frames = audited(source, task, config, audit, along=config.split)
    source.frames.clear()  # of all columns that are not learned from
    audit.stop_if_faulty()
    frames["train"] = ordered_splits.in_order(frames["train"], config.split)
    for split in frames:
        frames[split] = auditing.check_repeats(frames[split], split, config.duplicates == "drop", audit)
    if "test" not in frames:
        frames["train"], frames["test"] = cut_off(
            frames["train"], config.test_fraction, test_seed(config, seed), config, audit, "test"
        )
    auditing.drop_leaks(frames, config.leaks == "drop", audit)
    if config.shots:
        # A whole validation split would be many more labels than were asked for, and the refit learns from them.
        for split in frames.keys() & {"train", "validation"}:
            frames[split] = draw_shots(frames[split], config.shots, seed)
    if config.split is None:
        task = _fix_labels(task, frames)
    if "validation" not in frames:
        fraction = config.validation_fraction * (2 if config.shots else 1)
        frames["train"], frames["validation"] = cut_off(frames["train"], fraction, seed, config, audit, "validation")
    if config.split is not None:  # what only later rows or other groups are labelled with cannot be learned
        task = _fix_labels(task, frames)
    ordered_splits.check_labels_there(frames, task, config)
    auditing.check_balance(frames["train"], audit, [n for n in task.label_list() if n != task.decision.label])
    drop = config.bad_rows == "drop"
    for split in ("validation", "test"):
        frames[split] = auditing.check_labels(frames[split], task.label_list(), source.label_column, audit, split, drop)
        if frames[split].empty:
            audit.faults.append(f"the {split} split has no rows")
    audit.stop_if_faulty()
    along = ordered_splits.described(frames, config.split)
    frames = {name: frame.drop(columns=[TIME, GROUP], errors="ignore") for name, frame in frames.items()}
    frames["train"] = with_label_names(frames, task, config.label_names, bool(config.shots))
    frames["train"] = with_attacked_copies(frames["train"], config.attacked_copies, seed)
    train, validation, test = (frames[name].reset_index(drop=True) for name in ("train", "validation", "test"))
    read_as = {
        "text_columns": source.text_columns,
        "label_column": source.label_column,
        "label_map": source.label_map,
    }
    return Splits(train, validation, test, task, audit, read_as=read_as, along=along)


def test_seed(config: DataConfig, seed: int) -> int:
    """What the rows that become test are drawn with, where the data bring none.

    Args:
        config: of the data.
        seed: of the run.
    """
    return seed if config.test_seed is None else config.test_seed


def load_labelled(source: Source, task: TaskSpec, config: DataConfig) -> tuple[pd.DataFrame, Audit]:
    """The `test` rows of a source for a finished run, held to the run's labels.

    Raises:
        DataError: all faults of the rows at once.
    """
    audit = Audit()
    frames = audited(source, task, config, audit)
    audit.stop_if_faulty()
    return frames["test"].reset_index(drop=True), audit


def label_targets(frame: pd.DataFrame, labels: list[str]) -> np.ndarray:
    """Label ids (rows,) int64, or for lists of labels a 0/1 matrix (rows, C) float32."""
    ids = {name: i for i, name in enumerate(labels)}
    if len(frame) and isinstance(frame["label"].iloc[0], list):
        matrix = np.zeros((len(frame), len(labels)), dtype=np.float32)
        for row, names in enumerate(frame["label"]):
            matrix[row, [ids[name] for name in names]] = 1.0
        return matrix
    return np.fromiter((ids[name] for name in frame["label"]), np.int64, len(frame))


def audited(
    source: Source, task: TaskSpec, config: DataConfig, audit: Audit, labelled: bool = True, along: str | None = None
) -> dict[str, pd.DataFrame]:
    """All splits in the common columns, without rows that miss a cell; faults go to `audit`.

    Args:
        source: raw frames.
        task: labels and their kind.
        config: what to do with bad rows.
        audit: takes faults and counts.
        labelled: False: a frame may lack the label column, and then has no column `label`; a row may lack its label,
            and then has None there.
        along: the column that splits are cut along (`data.split`), kept as `time` or `group`.

    Raises:
        DataError: the columns asked for cannot be those of the task.
    """
    check_text_columns(source.text_columns, task)
    gather_label_columns(source, task, config.bad_rows == "drop", audit)  # nothing is left to do for `load_splits`
    asked = [*source.text_columns, source.label_column]
    if len(set(asked)) < len(asked):
        raise DataError(
            f"Texts and labels must be columns of their own; asked for were text {', '.join(source.text_columns)} and "
            f"label {source.label_column}. Choose with --text-column and --label-column."
        )
    frames = {}
    for split, raw in source.frames.items():
        origin = source.origins[split]
        columns = dict(zip(("text", "text_pair"), source.text_columns, strict=False))
        if labelled or source.label_column in raw.columns:
            columns["label"] = source.label_column
        if along is not None:
            columns[str(ordered_splits.kind_of(along))] = ordered_splits.column_of(along)
        missing = [
            column_fault(raw, source.text_columns, origin, "--text-column"),
            _label_column_fault(raw, source.label_column, origin, task) if labelled else None,
            None if along is None else column_fault(raw, [ordered_splits.column_of(along)], origin, "--split"),
        ]
        if any(missing):
            audit.faults += filter(None, missing)
            continue
        frame = pd.DataFrame({common: _cells(raw[original]) for common, original in columns.items()})
        frame["file"] = pd.Series(origin, frame.index, dtype=object)  # one object for all rows
        frame["row"] = np.arange(1, len(frame) + 1)
        # A multi_label row may have no label at all.
        required = {c: o for c, o in columns.items() if c != "label" or (labelled and task.kind == "single_label")}
        frame = auditing.check_cells(frame, split, required, config.bad_rows == "drop", audit)
        for column in ("text", "text_pair"):
            if column in frame and not holds_texts(frame[column]):
                frame[column] = frame[column].map(str)
        if "label" in frame:
            frame = _with_label_names(frame, split, task, source, config.bad_rows == "drop", audit, labelled)
        if frame.empty and not audit.faults:
            audit.faults.append(f"{origin} has no rows")
        frames[split] = frame
    return frames


def _cells(column: pd.Series) -> pd.Series:
    """A column of a table under row numbers from 0, its cells as they are."""
    return column.reset_index(drop=True) if holds_texts(column) else pd.Series(column.to_numpy(dtype=object))


def _label_column_fault(raw: pd.DataFrame, column: str, origin: str, task: TaskSpec) -> str | None:
    fault = column_fault(raw, [column], origin, "--label-column")
    if fault and task.kind == "multi_label" and isinstance(task.labels, str):
        fault += " Columns of 0 and 1 are read where the task lists its labels, which are the names of these columns."
    return fault


def _with_label_names(
    frame: pd.DataFrame, split: str, task: TaskSpec, source: Source, drop: bool, audit: Audit, labelled: bool
) -> pd.DataFrame:
    """The frame with names in the place of label cells, held to the task's labels where these are fixed."""
    cells, places = frame["label"].tolist(), np.arange(len(frame))
    if task.kind == "single_label" and holds_texts(frame["label"]):
        places, cells = pd.factorize(frame["label"], use_na_sentinel=False)  # rows of a label share its name
    if fault := form_fault(cells, task, source.label_map):
        audit.faults.append(f"{source.origins[split]}, column {source.label_column!r}: {fault}")
        return frame
    names = [
        None if not labelled and auditing.is_empty(cell) else label_of(cell, task, source.label_map) for cell in cells
    ]
    every = pd.Series(names, dtype=object).to_numpy()[places]
    frame = frame.assign(label=pd.Series(every, index=frame.index, dtype=object))
    frame = auditing.leave_out_unlabelled(frame, split, audit)
    if isinstance(task.labels, str):
        return frame
    may_go = None if split == "train" else split
    column, given = source.label_column, source.label_map
    return auditing.check_labels(frame, task.labels, column, audit, may_go, drop, given)


def _label_names(cells: pd.Series) -> set[str]:
    return {label_name(cell) for cell in cells if not auditing.is_empty(cell)}


def _left_out_unlabelled(source: Source, task: TaskSpec, config: DataConfig, audit: Audit) -> None:
    """Take out a validation or test split of the source that has no label at all, as published test splits often do.

    A file that was asked for by name stays, so that its fault is told; so does a split that seems to have its labels
    under another name: in a column that train does not have, and which holds nothing but train's labels.
    """
    train = source.frames["train"]
    for split, asked in (("validation", config.validation), ("test", config.test)):
        frame = source.frames.get(split)
        if frame is None or asked is not None or frame.empty or source.label_column not in train.columns:
            continue
        names = _label_names(train[source.label_column])
        if source.label_column in frame.columns:
            no_label = {"-1"} - names - set(source.label_map)
            without = all(auditing.is_empty(v) or label_name(v) in no_label for v in frame[source.label_column])
            why = f"no row of it has a label in column {source.label_column!r}"
        else:
            others = [_label_names(frame[name]) for name in frame.columns if name not in train.columns]
            without = not any(found and found <= names for found in others)
            why = f"it has no column {source.label_column!r}"
        if without and task.kind == "multi_label" and source.label_column in frame.columns:
            # There a row without labels says that none applies.
            audit.warn(f"{split}_rows_without_label", len(frame), f"{source.origins[split]}: no row has any label")
        elif without:
            del source.frames[split]
            audit.warn(
                f"{split}_rows_left_out",
                len(frame),
                f"{source.origins[split]}: left out, for {why}; {split} is cut from train instead",
            )


def _fix_labels(task: TaskSpec, frames: dict[str, pd.DataFrame]) -> TaskSpec:
    """The labels that train has, and the one for out of scope where only held-out rows have it: they measure it."""
    if not isinstance(task.labels, str):
        return task
    found = sorted({str(name) for name in frames["train"]["label"].explode().dropna()})
    if len(found) < (2 if task.kind == "single_label" else 1):
        only = found[0] if found else "none"
        raise DataError(f"train holds one label only ({shortened(only)!r}); a classifier needs at least two.")
    label, held_out = task.decision.label, [frames[split] for split in ("validation", "test") if split in frames]
    rejects = task.decision.policy == "out_of_scope" and label not in found
    if rejects and any((frame["label"] == label).any() for frame in held_out):
        found = sorted([*found, str(label)])
    return task.with_labels(found)
