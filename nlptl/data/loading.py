"""The one way from a source to audited splits with known labels."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from nlptl.config.run import DataConfig
from nlptl.data import audit as auditing
from nlptl.data.audit import Audit
from nlptl.data.sources import Source, check_text_columns, column_fault, open_source, read_labelled_file
from nlptl.data.splits import cut, draw_shots
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
    frames = audited(source, task, config, audit)
    audit.stop_if_faulty()
    for split in frames:
        frames[split] = auditing.check_repeats(frames[split], split, config.duplicates == "drop", audit)
    if "test" not in frames:
        frames["train"], frames["test"] = cut(frames["train"], config.test_fraction, seed)
    auditing.drop_leaks(frames, config.leaks == "drop", audit)
    if config.shots:
        # A whole validation split would be many more labels than were asked for, and the refit learns from them.
        for split in frames.keys() & {"train", "validation"}:
            frames[split] = draw_shots(frames[split], config.shots, seed)
    task = _fix_labels(task, frames["train"])
    if "validation" not in frames:
        fraction = config.validation_fraction * (2 if config.shots else 1)
        frames["train"], frames["validation"] = cut(frames["train"], fraction, seed)
    auditing.check_balance(frames["train"], audit)
    for split in ("validation", "test"):
        auditing.check_labels(frames[split], task.label_list(), source.label_column, audit)
        if frames[split].empty:
            audit.faults.append(f"the {split} split has no rows")
    audit.stop_if_faulty()
    train, validation, test = (frames[name].reset_index(drop=True) for name in ("train", "validation", "test"))
    return Splits(train, validation, test, task, audit)


def load_labelled(path: Path, task: TaskSpec, config: DataConfig) -> tuple[pd.DataFrame, Audit]:
    """One labelled file for a finished run, held to the run's labels.

    Raises:
        DataError: all faults of the file at once.
    """
    source = read_labelled_file(path, task, config)
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
    source: Source, task: TaskSpec, config: DataConfig, audit: Audit, labelled: bool = True
) -> dict[str, pd.DataFrame]:
    """All splits in the common columns, without rows that miss a cell; faults go to `audit`.

    Args:
        source: raw frames.
        task: labels and their kind.
        config: what to do with bad rows.
        audit: takes faults and counts.
        labelled: False: a frame may lack the label column, and then has no column `label`; a row may lack its label,
            and then has None there.

    Raises:
        DataError: the columns asked for cannot be those of the task.
    """
    check_text_columns(source.text_columns, task)
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
        missing = [
            column_fault(raw, source.text_columns, origin, "--text-column"),
            column_fault(raw, [source.label_column], origin, "--label-column") if labelled else None,
        ]
        if any(missing):
            audit.faults += filter(None, missing)
            continue
        frame = pd.DataFrame({common: raw[original].to_numpy(dtype=object) for common, original in columns.items()})
        frame["file"], frame["row"] = origin, np.arange(1, len(frame) + 1)
        # A multi_label row may have no label at all.
        required = {c: o for c, o in columns.items() if c != "label" or (labelled and task.kind == "single_label")}
        frame = auditing.check_cells(frame, split, required, config.bad_rows == "drop", audit)
        for column in ("text", "text_pair"):
            if column in frame:
                frame[column] = frame[column].map(str)
        if "label" in frame:
            names = [
                None if not labelled and auditing.is_empty(cell) else _label(cell, task, source.label_map)
                for cell in frame["label"]
            ]
            frame["label"] = pd.Series(names, index=frame.index, dtype=object)
        if "label" in frame and not isinstance(task.labels, str):
            auditing.check_labels(frame, task.labels, source.label_column, audit)
        if frame.empty and not audit.faults:
            audit.faults.append(f"{origin} has no rows")
        frames[split] = frame
    return frames


def _label(value: Any, task: TaskSpec, label_map: dict[str, str]) -> str | list[str]:
    """A cell as a label name (numbers as written in a CSV), or a list of names for multi_label."""
    if task.kind == "multi_label":
        if isinstance(value, str):
            parts = value.split(task.label_separator)
        elif pd.api.types.is_list_like(value):
            parts = list(value)
        else:
            parts = [] if pd.isna(value) else [value]
        names = [label_name(part) for part in parts]
        return [label_map.get(name, name) for name in dict.fromkeys(names) if name]
    name = label_name(value)
    return label_map.get(name, name)


def label_name(value: Any) -> str:
    """The name of a label cell; whole numbers as a CSV would write them, `1` rather than `1.0`."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value).strip()


def _fix_labels(task: TaskSpec, train: pd.DataFrame) -> TaskSpec:
    if not isinstance(task.labels, str):
        return task
    found = sorted({str(name) for name in train["label"].explode().dropna()})
    if len(found) < (2 if task.kind == "single_label" else 1):
        only = found[0] if found else "none"
        raise DataError(f"train holds one label only ({shortened(only)!r}); a classifier needs at least two.")
    return task.with_labels(found)
