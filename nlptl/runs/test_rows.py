"""What a finished run answered on its test rows, for paired comparisons of runs."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from nlptl.data.files import read_frame
from nlptl.storage.json_files import read_json


def rows_right(folder: Path) -> np.ndarray:
    """(rows,) 1 for each test row whose most probable label is right, or of which all labels are; else 0.

    Raises:
        DataError: the run folder holds no predictions that can be read.
    """
    table = read_frame(folder / "predictions.csv")
    several = read_json(folder / "metrics.json")["test"].get("confusion_matrix") is None
    said = table["predicted" if several else "most_probable"].fillna("")
    return np.asarray(said.map(str) == table["label"].fillna("").map(str), np.float64)
