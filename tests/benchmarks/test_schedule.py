"""The development study of schedules: its parts share no text, and its table pairs what was measured on one draw."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def script(monkeypatch) -> Any:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    return importlib.import_module("schedule")


def test_a_draw_shares_no_text_and_too_few_rows_give_none(script, tmp_path):
    file = tmp_path / "all.csv"
    pd.DataFrame({"text": [f"text {i}" for i in range(1000)], "label": ["a", "b"] * 500}).to_csv(file, index=False)
    assert script.draw(file, 350, 1000, tmp_path)
    parts = {name: set(pd.read_csv(tmp_path / f"{name}.csv")["text"]) for name in ("train", "validation", "test")}
    assert {name: len(part) for name, part in parts.items()} == {"train": 350, "validation": 70, "test": 200}
    assert len(set.union(*parts.values())) == 350 + 70 + 200
    assert not script.draw(file, 900, 1000, tmp_path)


def test_a_candidate_is_compared_on_the_draws_that_the_reference_has(script):
    def row(corpus: str, candidate: str, score: float, seed: int = 1000) -> dict[str, Any]:
        place = {"corpus": corpus, "size": 350, "candidate": candidate, "seed": seed}
        around = {
            "machine": "M",
            "device": "cpu",
            "precision": "bf16",
            "versions": {"torch": "1"},
            "date": "2026-01-01",
        }
        return {**place, "score": score, **around}

    rows = [row("sst2", "before", 0.80), row("sst2", "dropout", 0.82), row("sst2", "dropout", 0.10, 1001)]
    rows += [row("books", "before", 0.70), row("books", "dropout", 0.71), row("kitchen", "dropout", 0.10)]
    shown = script.table(rows)
    assert "| sst2, 350 | 80.00 | 46.00 ± 50.91 |" in shown
    assert "dropout against before: +1.50 over 2 corpora (too few to test)" in shown
    assert f"6 of the {script.WHOLE} cases" in shown
