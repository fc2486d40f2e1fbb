"""Run notebooks from top to bottom and keep their outputs: `python notebooks/execute.py [NAME.ipynb ...]`.

Each runs in an empty folder, so that what it writes is gone afterwards. Without names, all of them.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import nbformat
from nbclient import NotebookClient

HERE = Path(__file__).resolve().parent
SECONDS = 900


def executed(book: nbformat.NotebookNode, folder: Path) -> nbformat.NotebookNode:
    """A notebook as it is after a run in a folder; a cell that fails raises CellExecutionError with its traceback."""
    client = NotebookClient(
        book, timeout=SECONDS, kernel_name="python3", record_timing=False, resources={"metadata": {"path": str(folder)}}
    )
    return client.execute()


if __name__ == "__main__":
    for notebook in map(Path, sys.argv[1:] or sorted(map(str, HERE.glob("*.ipynb")))):
        with tempfile.TemporaryDirectory() as empty:
            nbformat.write(executed(nbformat.read(notebook, as_version=4), Path(empty)), notebook)
        print(notebook)
