"""The rows that are worth a look, with the reasons: the table that people correct."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import numpy as np
import pandas as pd

from nlptl.data.audit import is_empty
from nlptl.quality.folds import Folds
from nlptl.quality.near_duplicates import NEARLY, Duplicates
from nlptl.quality.rows import Rows
from nlptl.quality.wrong_labels import Verdicts

CORRECTED = "corrected"
"""The column that people fill in."""
DROP = "(drop)"
"""What they write there to leave a row out."""


def findings_of(
    rows: Rows, folds: Folds, verdicts: Verdicts, duplicates: Duplicates, outliers: np.ndarray, distances: np.ndarray
) -> pd.DataFrame:
    """A row for each row of the data that is worth a look.

    Returns:
        Columns file, row, split, text, text_pair (of pairs), label, suggested_label (of likely wrong labels), score
        (the probability of the row's own label out of fold; empty where it was not checked), reason and corrected.
        Likely wrong labels come first, the likeliest at the top.
    """
    reasons: dict[int, list[str]] = defaultdict(list)
    scores, suggested = np.full(len(rows.frame), np.nan), np.full(len(rows.frame), "", dtype=object)
    scores[folds.checked] = verdicts.scores(folds.targets)
    for place in np.flatnonzero(verdicts.flagged):
        row, label = int(folds.checked[place]), rows.labels[folds.labels[verdicts.suggested[place]]]
        suggested[row] = label
        probability = float(verdicts.probabilities[place].max())
        reasons[row].append(f"likely wrong label: {label} has probability {probability:.2f}, its own {scores[row]:.2f}")
    _duplicate_reasons(rows, duplicates, reasons)
    for row in outliers.tolist():
        reasons[row].append(f"outlier: mean distance {distances[row]:.2f} to the nearest texts")
    found = np.array(sorted(reasons, key=lambda row: (suggested[row] == "", np.nan_to_num(scores[row], nan=2.0), row)))
    found = found.astype(np.int64)
    columns = [name for name in ("file", "row", "split", "text", "text_pair", "label") if name in rows.frame]
    table = rows.frame.iloc[found][columns].reset_index(drop=True)
    return table.assign(
        suggested_label=suggested[found],
        score=scores[found].round(4),
        reason=["; ".join(reasons[row]) for row in found.tolist()],
        corrected="",
    )


def table_of(findings: pd.DataFrame) -> list[dict[str, Any]]:
    """The findings as JSON values, without the column that people fill in."""
    table = findings.drop(columns=CORRECTED).astype(object)
    return [
        {str(name): None if is_empty(value) and value != "" else value for name, value in record.items()}
        for record in table.to_dict("records")
    ]


def _duplicate_reasons(rows: Rows, duplicates: Duplicates, reasons: dict[int, list[str]]) -> None:
    """Pairs across splits, for the row of the earlier one; and pairs of two labels, for both rows."""
    splits = rows.frame["split"].to_numpy()
    order = {"train": 0, "validation": 1, "test": 2}
    for pair in duplicates.pairs:
        ends = sorted((pair.first, pair.second), key=lambda row: order[splits[row]])
        if splits[ends[0]] != splits[ends[1]]:
            (place,) = rows.places(np.array([ends[1]]))
            where = f"{splits[ends[1]]} ({place})"
            reasons[ends[0]].append(f"leak: {_as(pair.kind)} {where}")
        if rows.targets[ends[0]] != rows.targets[ends[1]]:
            for row, other in (ends, ends[::-1]):
                (place,) = rows.places(np.array([other]))
                label = rows.labels[rows.targets[other]]
                reasons[row].append(f"two labels: {_as(pair.kind)} {place}, which is {label}")


def _as(kind: str) -> str:
    return f"{kind} as" if kind == NEARLY else f"the {kind} as"
