"""The learning curve: which rows count, and which baseline stands for TF-IDF."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def benchmark(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    return importlib.import_module("learning_curve")


def row(mode: str, score: float, **more: Any) -> dict[str, Any]:
    return {"dataset": "banking77", "shots": 5, "mode": mode, "seed": 0, "score": score, **more}


def test_validation_chooses_the_baseline_and_an_incomplete_draw_has_none(benchmark):
    judged = [(0.5, 0.2, 1.0), (0.6, 0.3, 1.0), (0.6, 0.4, 0.9), (0.1, 0.9, 1.0), (0.2, 0.8, 1.0)]
    rows = [
        row(name, test, validation=validation, validation_loss=loss)
        for name, (validation, test, loss) in zip(benchmark.BASELINES, judged, strict=True)
    ]
    assert benchmark.curves(rows)["TF-IDF"] == {5: {0: 0.4}}
    assert benchmark.curves(rows[1:])["TF-IDF"] == {}


def test_rows_that_others_measured_count_once(benchmark, monkeypatch, tmp_path):
    results = tmp_path / "learning_curve.json"
    monkeypatch.setattr(benchmark, "RESULTS", results)
    results.write_text(json.dumps([row("full", 0.81)]))
    others = [row("full", 0.5), row("lora", 0.7), row("peer", 0.6), row("lora", 0.9, dataset="sst2")]
    results.with_name("accuracy.json").write_text(json.dumps(others))
    control = {**row("", 0.0), "study": "controls", "method": "feature_extraction", "test": 0.75}
    results.with_name("transfer.json").write_text(json.dumps([control, {**control, "study": "tapt"}]))
    found = {method: by_size for method, by_size in benchmark.curves(benchmark.measured(results)).items() if by_size}
    assert found == {"full": {5: {0: 0.81}}, "lora": {5: {0: 0.7}}, "feature_extraction": {5: {0: 0.75}}}
