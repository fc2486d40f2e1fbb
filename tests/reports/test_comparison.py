"""The report of a comparison: learning curves and numbers of what `comparison.json` holds, and no more asked of it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

import nlptl
from nlptl.errors import ArtifactError
from nlptl.reports.facts.comparison import VERDICTS, is_comparison, read_comparison

MEANS = {("tfidf", "8"): 0.52, ("tfidf", "32"): 0.6, ("lora", "8"): 0.7, ("lora", "all"): 0.85}
ROWS = {"8": 80, "32": 320, "all": 400}


@pytest.fixture
def compared(tmp_path) -> Path:
    curves = [
        {"method": method, "size": size, "rows": ROWS[size], "mean": mean, "low": mean - 0.05, "high": mean + 0.04}
        | {"values": [mean] * (1 if method == "lora" else 3), "standard_error": 0.02}
        for (method, size), mean in MEANS.items()
    ]
    content = {
        "task": "topics",
        "metric": "macro_f1",
        "methods": [{"name": name, "kind": "x"} for name in ("lora", "full", "tfidf")],
        "curves": curves,
        "costs": [{"method": "lora", "size": "8", "learning_seconds": 12.34, "bytes_with_checkpoint": 9.1e7}],
        "cells": [{"method": "full", "size": "8", "status": "failed"}, {"status": "finished"}],
        "negative_transfer": ["lora lies below tfidf at 32."],
        "crossovers": [{"method": "lora", "sentence": "<script>alert(1)</script>"}],
        "pairs": [{"sentence": "8 per label: lora beats tfidf by 18."}, {"p": 0.2}, 3],
    }
    (tmp_path / "comparison.json").write_text(json.dumps(content), encoding="utf-8")
    return tmp_path


def test_the_facts_are_those_of_the_file(compared):
    facts = read_comparison(compared)
    assert (facts.methods, facts.sizes) == (["lora", "tfidf"], ["8", "32", "all"])
    assert {key: point.mean for key, point in facts.points.items()} == MEANS
    assert facts.points["tfidf", "8"].band == pytest.approx((0.47, 0.56))
    assert facts.failed == 1
    assert [len(facts.sentences[name]) for name in VERDICTS] == [1, 1, 0, 1]


def test_the_page_shows_them(compared):
    path = nlptl.report(compared)
    assert path == compared / "report.html"
    page = path.read_text(encoding="utf-8")
    for said in ("lora lies below tfidf at 32.", "8 per label: lora beats tfidf by 18.", "1 trainings failed"):
        assert said in page
    assert "&lt;script&gt;alert(1)" in page
    assert re.search(r"0\.520 <span class=\"range\">\[0\.470, 0\.560\]", page)
    assert "(1 seed)" in page
    assert ">12.3<" in page
    assert ">91.0<" in page
    assert page.count("<svg") == 1
    assert "nlptl compare topics --methods lora,tfidf --sizes 8,32,all" in page
    assert nlptl.report(compared / "comparison.json", compared / "other.html").read_text(encoding="utf-8") == page


def test_the_plainest_file_will_do(tmp_path):
    curves = [{"method": "a", "size": 4, "rows": 8, "mean": 0.25}, {"method": "b", "size": "all", "rows": 9, "mean": 1}]
    (tmp_path / "comparison.json").write_text(json.dumps({"metric": "accuracy", "curves": curves}), encoding="utf-8")
    page = nlptl.report(tmp_path).read_text(encoding="utf-8")
    assert ">0.250<" in page
    assert "The comparison holds no costs." in page
    assert "The comparison holds no paired tests" in page


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({}, "it needs a metric, and curves"),
        ({"metric": "accuracy", "curves": [{"method": "a", "size": 1}, 3]}, "holds no finished method"),
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
