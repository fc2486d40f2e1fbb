"""Notebooks run from top to bottom, and are committed with the outputs a reader should see."""

from __future__ import annotations

import re
import runpy
from pathlib import Path
from typing import Any

import nbformat
import pytest

from tests.docs.files import lay_cut_samples

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
ROWS = {"train": 160, "validation": 60, "test": 60}
"""Of each sample, for a run of the tests."""
QUICK = """
from pathlib import Path
import nlptl.storage.paths
from nlptl.models.modes import Full, Lora
nlptl.storage.paths._PACKAGE = Path({root!r})
for mode in (Full, Lora):
    mode.defaults["training.epochs"] = 1
"""
each_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def executed(book: nbformat.NotebookNode, folder: Path) -> nbformat.NotebookNode:
    """As `notebooks/execute.py` executes it; a cell that fails raises CellExecutionError with its traceback."""
    run: Any = runpy.run_path(str(ROOT / "notebooks" / "execute.py"))["executed"]
    return run(book, folder)


def code_cells(path: Path) -> list[Any]:
    """The code cells of a valid notebook."""
    book = nbformat.read(path, as_version=4)
    nbformat.validate(book)
    return [cell for cell in book.cells if cell.cell_type == "code"]


def test_there_is_a_notebook() -> None:
    assert NOTEBOOKS


@each_notebook
def test_committed_notebook_was_run_in_order_without_error(path: Path) -> None:
    cells = code_cells(path)
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    outputs = [output for cell in cells for output in cell.outputs]
    assert outputs
    assert not [output for output in outputs if output.output_type == "error"]
    assert not [output for output in outputs if output.get("name") == "stderr"]


@each_notebook
def test_committed_notebook_tells_nothing_of_where_it_ran(path: Path) -> None:
    # An absolute path in an output is one of the writer's machine; times of execution change with every run.
    shown = str([cell.outputs for cell in code_cells(path)])
    assert not re.search(r"/(?:home|root|tmp|Users|work|private|mnt)/|[A-Z]:\\\\", shown)
    assert not [cell for cell in code_cells(path) if "execution" in cell.metadata]


@each_notebook
def test_committed_notebook_shows_a_plot(path: Path) -> None:
    assert [output for cell in code_cells(path) for output in cell.outputs if "image/png" in output.get("data", {})]


@each_notebook
def test_notebook_runs(path: Path, tmp_path: Path) -> None:
    """On cut samples and for one epoch, which takes seconds; `notebooks/execute.py` makes the outputs that are kept."""
    lay_cut_samples(tmp_path / "bundled", ROWS)
    book = nbformat.read(path, as_version=4)
    for cell in book.cells:  # one seed instead of three
        cell.source = cell.source.replace("for seed in range(3)", "for seed in range(1)")
    book.cells.insert(0, nbformat.v4.new_code_cell(QUICK.format(root=str(tmp_path / "bundled" / "nlptl"))))
    done = executed(book, tmp_path)
    assert all(cell.execution_count for cell in done.cells if cell.cell_type == "code")
    assert list((tmp_path / "runs").glob("*/manifest.json"))
