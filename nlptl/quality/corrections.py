"""A table of corrections that people filled in: read, held to the data, and put in their place."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from nlptl.data.audit import is_empty
from nlptl.data.files import read_frame
from nlptl.data.text_keys import text_key
from nlptl.errors import DataError, closest, shortened
from nlptl.quality.findings import CORRECTED, DROP
from nlptl.quality.rows import Rows
from nlptl.storage.paths import user_path

NEEDED = ("file", "row", "text", "label", CORRECTED)
SHOWN = 10
Place = tuple[str, int]
"""The file and the number of a row, as the column `file` and `row` have them."""


@dataclass(frozen=True)
class Corrections:
    """What is to be done to which rows."""

    labels: dict[Place, str]
    """The right label, of rows whose label changes."""
    dropped: set[Place]
    """Rows that are left out."""

    def applied(self, frame: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, int]]:
        """A split with its rows corrected, and how many were relabelled and dropped."""
        places = list(zip(frame["file"], frame["row"], strict=True))
        changed = [self.labels.get(place) for place in places]
        labels = [old if new is None else new for old, new in zip(frame["label"], changed, strict=True)]
        gone = pd.Series([place in self.dropped for place in places], index=frame.index, dtype=bool)
        counts = {"relabelled": sum(new is not None for new in changed), "dropped": int(gone.sum())}
        return frame.assign(label=pd.Series(labels, index=frame.index, dtype=object))[~gone], counts


def read_corrections(path: str | Path, rows: Rows) -> Corrections:
    """Read the table and hold each row that is filled in to the data.

    Args:
        path: of the table, whose column `corrected` holds the right label, `(drop)`, or nothing.
        rows: of the data that it is about.

    Raises:
        DataError: lists every fault: columns that are missing, rows that are not those of the data, unknown labels.
    """
    file = user_path(path)
    table = read_frame(file, section=None)
    missing = [name for name in NEEDED if name not in table]
    if missing:
        raise DataError(
            f"{file} has no column {', '.join(map(repr, missing))}. It needs {', '.join(NEEDED)}, as `nlptl inspect` "
            "writes them."
        )
    filled = table[table[CORRECTED].map(lambda cell: bool(_cell(cell)))]
    if filled.empty:
        raise DataError(
            f"No row of {file} has anything in the column {CORRECTED!r}. Write the right label there, or {DROP} to "
            "leave a row out."
        )
    known = {
        (file, int(row)): i for i, (file, row) in enumerate(zip(rows.frame["file"], rows.frame["row"], strict=True))
    }
    faults: list[str] = []
    labels: dict[Place, str] = {}
    dropped: set[Place] = set()
    for record in filled.to_dict("records"):
        place, wanted = _place(record), _wanted(_cell(record[CORRECTED]), rows.labels)
        fault = _fault(record, place, wanted, known, rows)
        if place in labels or place in dropped:
            fault = f"{_said(record)} is there twice"
        if fault:
            faults.append(fault)
        elif place is not None and wanted == DROP:
            dropped.add(place)
        elif place is not None and wanted != rows.frame["label"].iloc[known[place]]:
            labels[place] = wanted
    if faults:
        listed = "\n".join(f"  - {fault}" for fault in faults[:SHOWN])
        more = f"\n  and {len(faults) - SHOWN} more" if len(faults) > SHOWN else ""
        raise DataError(f"{file} cannot be applied ({len(faults)} fault{'s' * (len(faults) > 1)}):\n{listed}{more}")
    return Corrections(labels, dropped)


def _fault(
    record: dict[str, object], place: Place | None, wanted: str, known: dict[Place, int], rows: Rows
) -> str | None:
    if place is None or place not in known:
        files = ", ".join(sorted(set(map(str, rows.frame["file"]))))
        return f"{_said(record)} is no row of the data, which has {files}; inspect and correct the same data"
    row = rows.frame.iloc[known[place]]
    if text_key(_cell(record["text"]).removeprefix("'")) != text_key(str(row["text"]).strip().removeprefix("'")):
        return f"{_said(record)} has another text in the data: {shortened(str(row['text']), 60)!r}"
    if _cell(record["label"]).removeprefix("'") != str(row["label"]).strip().removeprefix("'"):
        return f"{_said(record)} has the label {row['label']!r} in the data, not {_cell(record['label'])!r}"
    if wanted != DROP and wanted not in rows.labels:
        nearest = closest(wanted, [*rows.labels, DROP])
        hint = f" (did you mean {nearest!r}?)" if nearest else ""
        return (
            f"{_said(record)}: {shortened(wanted)!r} is no label of {rows.task.name}{hint}; its labels are "
            f"{', '.join(rows.labels[:SHOWN])}{', ...' if len(rows.labels) > SHOWN else ''}"
        )
    return None


def _place(record: dict[str, object]) -> Place | None:
    try:
        return _cell(record["file"]).removeprefix("'"), int(float(_cell(record["row"])))
    except ValueError:
        return None


def _wanted(cell: str, labels: list[str]) -> str:
    """What is asked for; a suggestion that was copied may have the apostrophe that keeps it from being a formula."""
    return cell if cell in labels else cell.removeprefix("'")


def _said(record: dict[str, object]) -> str:
    return f"{_cell(record['file'])} row {_cell(record['row'])}"


def _cell(value: object) -> str:
    return "" if is_empty(value) else str(value).strip()
