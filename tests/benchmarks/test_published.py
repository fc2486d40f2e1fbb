"""The tables on the page of results are those that the measured rows give."""

from __future__ import annotations

import importlib
import re
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Any]:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    return importlib.import_module


@pytest.mark.parametrize(
    ("page", "name"),
    [
        *(("results", name) for name in ("accuracy", "samples", "schedule")),
        *(("speed", name) for name in ("busy", "millions", "short_calls")),
    ],
)
def test_the_page_shows_the_table_of_the_measured_rows(script, page, name):
    benchmark = script(name)
    rows = script("records").read(ROOT / "benchmarks" / "results" / f"{name}.json")
    shown = (ROOT / "docs" / f"{page}.md").read_text(encoding="utf-8").partition(f"<!-- {benchmark.MARKER} -->")[2]
    assert shown.partition(f"<!-- /{benchmark.MARKER} -->")[0] == f"\n{benchmark.table(rows)}\n"


@pytest.mark.parametrize("name", ["promises", "coverage", "calibration"])
def test_the_page_shows_what_studies_of_evidence_measured(script, name):
    script("studies")
    rows = script("records").read(ROOT / "benchmarks" / "results" / "evidence.json")
    shown = (ROOT / "docs" / "results.md").read_text(encoding="utf-8").partition(f"<!-- {name} -->")[2]
    assert shown.partition(f"<!-- /{name} -->")[0] == f"\n{script('transfer').table(name, False, rows)}\n"


def test_the_readme_shows_measured_numbers_of_the_samples(script):
    samples = script("samples")
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    rows = samples.read(ROOT / "benchmarks" / "results" / "samples.json")
    for task, named in (
        ("sentiment", "sentiment"),
        ("chatbot-intent", "chatbot intents"),
        ("fraud-text", "fraud texts"),
    ):
        (line,) = re.findall(rf"^\| bundled sample of {named} \| (.*) \|$", readme, re.MULTILINE)
        for cell, method in zip(line.split(" | "), samples.METHODS, strict=True):
            measured = [row["test"] for row in rows if (row["task"], row["method"]) == (task, method)]
            assert cell.partition(" ")[0] == f"{100 * statistics.mean(measured):.2f}"


def test_a_table_takes_the_place_of_the_one_before(script, tmp_path):
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- some -->\nold\n<!-- /some -->\nafter\n", encoding="utf-8")
    script("records").put_into(page, "some", "| new |")
    assert page.read_text(encoding="utf-8") == "before\n<!-- some -->\n| new |\n<!-- /some -->\nafter\n"


def test_a_page_without_markers_stays_as_it_is(script, tmp_path):
    page = tmp_path / "page.md"
    page.write_text("<!-- some -->\nno end\n", encoding="utf-8")
    with pytest.raises(SystemExit, match="no <!-- some -->"):
        script("records").put_into(page, "some", "| new |")
    assert page.read_text(encoding="utf-8") == "<!-- some -->\nno end\n"
