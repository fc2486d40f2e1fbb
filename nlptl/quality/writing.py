"""What an inspection leaves on disk: a table to correct, and everything as JSON."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from nlptl.data.files import TableWriter
from nlptl.errors import DataError
from nlptl.storage.json_files import write_json
from nlptl.storage.paths import user_path

TO_CORRECT, FACTS = "to-correct.csv", "inspection.json"


def write_inspection(findings: pd.DataFrame, facts: dict[str, Any], folder: str | Path) -> Path:
    """Write both files; cells that a spreadsheet would run as formulas begin with an apostrophe.

    Raises:
        DataError: the folder cannot be made, or holds a table that may have been filled in.
    """
    home = check_folder(folder)
    try:
        home.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"Cannot make the folder {home}: {error.strerror or error}.") from error
    with TableWriter(home / TO_CORRECT, safe_csv=True) as writer:
        writer.write(findings)
    write_json(home / FACTS, facts)
    return home / TO_CORRECT


def check_folder(folder: str | Path) -> Path:
    """Raise before anything is computed where the results would have no place.

    Raises:
        DataError: as `write_inspection`.
    """
    home = user_path(folder)
    if (home / TO_CORRECT).exists():
        raise DataError(f"{home / TO_CORRECT} exists already; it may hold corrections. Choose another --output.")
    if home.exists() and not home.is_dir():
        raise DataError(f"{home} is a file. Choose another --output.")
    return home
