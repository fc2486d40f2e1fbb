"""The benchmark of the bundled samples: what is measured already is kept, and the table says what was measured."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from nlptl.tasks import load_task

ROOT = Path(__file__).resolve().parents[2]
TEST = {"tfidf": 0.7, "feature_extraction": 0.8, "lora": 0.85, "full": 0.86}


@pytest.fixture
def script(monkeypatch) -> Any:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    return importlib.import_module("samples")


def measured(task: str, method: str, seed: int) -> dict[str, Any]:
    return {
        "metric": "accuracy",
        "validation": 0.8,
        "test": TEST[method] + seed / 100,
        "obvious_rows": 60,
        "obvious_right": 1.0,
        "obvious_confidence": 0.96,
        "seconds": 10.0,
        "baseline": "linear_svm" if method == "tfidf" else None,
        "best_epoch": 4,
        "rows": {"train": 30, "validation": 10, "test": 20},
        "device": "cpu",
        "precision": "bf16",
    }


def test_what_is_there_is_not_measured_again_and_the_table_sums_it_up(script, monkeypatch, tmp_path, capsys):
    asked = []

    def measure(**case: Any) -> dict[str, Any]:
        asked.append(case)
        return measured(**case)

    monkeypatch.setattr(script, "measure", measure)
    for seeds in ("1", "2"):
        arguments = ["samples.py", "--tasks", "sentiment", "--seeds", seeds, "--output", str(tmp_path / "rows.json")]
        monkeypatch.setattr(sys, "argv", arguments)
        script.main()
    assert [(case["method"], case["seed"]) for case in asked] == [(m, s) for s in (0, 1) for m in script.METHODS]
    said = capsys.readouterr().out
    best = "TF-IDF, best baseline on validation (linear_svm)"
    assert f"| sentiment (accuracy) | {best} | 70.50 ± 0.71 | 100.00 ± 0.00 | 0.96 ± 0.00 | 10 | 2 |" in said
    assert "| `full` | 86.50 ± 0.71 |" in said
    assert "rows of train/validation/test: sentiment 30/10/20" in said
    assert "sentiment: full against `feature_extraction`: +6.00 (2 seeds)" in said


def test_obvious_sentences_are_judged_by_the_labels_that_are_answered(script):
    task = load_task("sentiment")
    run = SimpleNamespace(predict=lambda texts: [SimpleNamespace(label="positive", score=0.75) for _ in texts])
    assert script.on_obvious(run, task) == {"obvious_rows": 60, "obvious_right": 0.5, "obvious_confidence": 0.75}
