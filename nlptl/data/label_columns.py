"""Several labels a row, given as a column of 0 and 1 for each label, read as one column of lists of names."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from nlptl.data.audit import SHOWN, Audit, is_empty
from nlptl.data.sources import Source
from nlptl.errors import DataError, shortened
from nlptl.tasks import TaskSpec

_STATES = {"1": True, "1.0": True, "true": True, "0": False, "0.0": False, "false": False}


def gather_label_columns(source: Source, task: TaskSpec, drop: bool, audit: Audit) -> None:
    """Give each frame that lacks the label column, but has a column of 0 and 1 for each label, a label column.

    Args:
        source: its frames are replaced; label columns may have the names that the label map renames.
        task: of kind multi_label with known labels; any other is left alone.
        drop: leave rows with another cell out and count them, instead of making them a fault.
        audit: takes the fault, or the count.

    Raises:
        DataError: a frame has columns for some of the labels only.
    """
    if task.kind != "multi_label" or isinstance(task.labels, str):
        return
    for split, frame in source.frames.items():
        if source.label_column in frame.columns:
            continue
        renamed = {str(name): source.label_map.get(str(name), str(name)) for name in frame.columns}
        columns = [name for name, label in renamed.items() if label in task.labels and name not in source.text_columns]
        lacking = [label for label in task.labels if label not in {renamed[name] for name in columns}]
        if columns and lacking:
            raise DataError(
                f"{source.origins[split]} has no column {source.label_column!r}, and of the labels' own columns of 0 "
                f"and 1 it lacks {', '.join(repr(shortened(name)) for name in lacking[:SHOWN])}. Its columns: "
                f"{', '.join(shortened(str(name)) for name in frame.columns)}."
            )
        if columns:
            source.frames[split] = _gathered(frame, columns, split, source, drop, audit)


def states(column: pd.Series) -> pd.Series:
    """True for 1, False for 0, as numbers, texts or truth values; None for any other cell."""
    return column.map(_state).astype(object)


def _state(cell: Any) -> bool | None:
    # NumPy's bool and Python's are no text, a whole number may be a float beside missing ones.
    return None if pd.api.types.is_list_like(cell) else _STATES.get(str(cell).strip().lower())


def _shown(cell: Any) -> str:
    return "an empty cell" if is_empty(cell) else shortened(repr(str(cell)))


def _gathered(
    frame: pd.DataFrame, columns: list[str], split: str, source: Source, drop: bool, audit: Audit
) -> pd.DataFrame:
    bad = np.zeros(len(frame), bool)
    given = np.zeros((len(frame), len(columns)), bool)
    for i, name in enumerate(columns):
        found = states(frame[name]).to_numpy()
        odd = np.array([state is None for state in found], bool)
        given[:, i] = found == True  # noqa: E712  None beside truth values
        if odd.any() and not drop:
            rows = np.flatnonzero(odd)
            listed = ", ".join(str(row + 1) for row in rows[:SHOWN])
            more = f" and {len(rows) - SHOWN} more" if len(rows) > SHOWN else ""
            audit.faults.append(
                f"{source.origins[split]} row {listed}{more}, column {name!r}: "
                f"{_shown(frame[name].iloc[rows[0]])} is neither 0 nor 1, which say whether the label "
                "applies (--set data.bad_rows=drop leaves such rows out)"
            )
        bad |= odd
    names = np.array(columns, dtype=object)
    lists = pd.Series([names[row].tolist() for row in given], index=frame.index, dtype=object)
    audit.warn(
        f"{split}_rows_without_label_state",
        int(bad.sum()) if drop else 0,
        f"{split}: dropped {int(bad.sum())} rows with a cell that is neither 0 nor 1 in a label's column",
    )
    kept = frame.assign(**{source.label_column: lists})
    return kept[~bad] if drop else kept
