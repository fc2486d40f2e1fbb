"""The table on the page of results is the one that the measured rows give."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "results.md"


@pytest.fixture
def accuracy(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    return importlib.import_module("accuracy")


def test_the_page_shows_the_table_of_the_measured_rows(accuracy):
    rows = accuracy.read(ROOT / "benchmarks" / "results" / "accuracy.json")
    shown = PAGE.read_text(encoding="utf-8").partition(accuracy.OPENING)[2].partition(accuracy.CLOSING)[0]
    assert shown == f"\n{accuracy.table(rows)}\n"


def test_a_table_takes_the_place_of_the_one_before(accuracy, tmp_path):
    page = tmp_path / "page.md"
    page.write_text(f"before\n{accuracy.OPENING}\nold\n{accuracy.CLOSING}\nafter\n", encoding="utf-8")
    accuracy.put_into(page, "| new |")
    assert page.read_text(encoding="utf-8") == (f"before\n{accuracy.OPENING}\n| new |\n{accuracy.CLOSING}\nafter\n")


def test_a_page_without_markers_stays_as_it_is(accuracy, tmp_path):
    page = tmp_path / "page.md"
    page.write_text(f"{accuracy.OPENING}\nno end\n", encoding="utf-8")
    with pytest.raises(SystemExit, match="no <!-- results -->"):
        accuracy.put_into(page, "| new |")
    assert page.read_text(encoding="utf-8") == f"{accuracy.OPENING}\nno end\n"
