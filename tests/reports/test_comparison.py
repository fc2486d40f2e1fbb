"""The report of a comparison: learning curves and numbers of what `comparison.json` holds, and no more asked of it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

import nlptl
from nlptl.errors import ArtifactError
from nlptl.reports.facts.comparison import is_comparison, read_comparison

VALUES = {
    ("tfidf", 8): [0.5, 0.52, 0.54],
    ("tfidf", 32): [0.6, 0.6, 0.6],
    ("lora", 8): [0.7],
    ("lora", "all"): [0.9, 0.8],
}


@pytest.fixture
def compared(tmp_path) -> Path:
    cells = [
        {"method": method, "size": size, "rows": {8: 80, 32: 320, "all": 4000}[size], "seed": seed, "digest": "x"}
        | {"test": {"macro_f1": value, "accuracy": 0.1}, "time": {"total_seconds": 2.0 + seed}}
        for (method, size), values in VALUES.items()
        for seed, value in enumerate(values)
    ]
    cells.append({"method": "full", "size": "all", "seed": 0, "state": "unfinished"})
    said = ["lora beats tfidf by 15 points.", {"sentence": "<script>alert(1)</script>", "p": 0.01}, {"p": 0.2}]
    content = {"task": "topics", "metric": "macro_f1", "cells": cells, "verdicts": said, "command": "nlptl compare x"}
    (tmp_path / "comparison.json").write_text(json.dumps(content), encoding="utf-8")
    return tmp_path


def test_cells_are_joined_over_seeds(compared):
    facts = read_comparison(compared)
    assert (facts.methods, facts.sizes) == (["tfidf", "lora"], ["8", "32", "all"])
    assert {key: cell.values for key, cell in facts.cells.items()} == {(m, str(s)): v for (m, s), v in VALUES.items()}
    first = facts.cells["tfidf", "8"]
    assert (first.rows, first.seconds) == (80, 3.0)
    expected = stats.t.interval(0.95, 2, loc=np.mean(first.values), scale=stats.sem(first.values))
    assert first.interval == pytest.approx(expected)
    assert facts.cells["tfidf", "32"].interval is None
    assert facts.cells["lora", "8"].interval is None
    assert len(facts.sentences) == 2


def test_the_page_shows_them(compared):
    path = nlptl.report(compared)
    assert path == compared / "report.html"
    page = path.read_text(encoding="utf-8")
    assert "lora beats tfidf by 15 points." in page
    assert "&lt;script&gt;alert(1)" in page
    assert re.search(r"0\.520 <span class=\"range\">\[0\.470, 0\.570\]", page)
    assert "0.700 (1 seed)" in page
    assert "0.850 (2 seeds)" in page
    assert page.count("<svg") == 1
    assert nlptl.report(compared / "comparison.json", compared / "other.html").read_text(encoding="utf-8") == page


def test_the_plainest_file_will_do(tmp_path):
    cells = [
        {"method": "a", "size": 4, "seed": 0, "value": 0.25},
        {"method": "b", "size": "all", "seed": 0, "accuracy": 1},
    ]
    (tmp_path / "comparison.json").write_text(json.dumps({"metric": "accuracy", "cells": cells}), encoding="utf-8")
    page = nlptl.report(tmp_path).read_text(encoding="utf-8")
    assert "0.250 (1 seed)" in page
    assert "The comparison holds no times." in page


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({}, "it needs a metric, and a list of cells"),
        ({"metric": "accuracy", "cells": [{"method": "a", "size": 1}, 3]}, "holds no finished cell"),
    ],
)
def test_what_is_no_comparison_is_refused(tmp_path, content, message):
    (tmp_path / "comparison.json").write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(ArtifactError, match=message):
        nlptl.report(tmp_path)
    assert not (tmp_path / "report.html").exists()


def test_a_run_is_no_comparison(fraud, tmp_path):
    assert not is_comparison(fraud)
    assert not is_comparison(tmp_path)
