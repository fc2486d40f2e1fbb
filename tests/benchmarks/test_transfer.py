"""The runner of transfer studies, and the contract that every study keeps."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def runner(monkeypatch) -> Any:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    return importlib.import_module("transfer")


def test_every_study_keeps_the_contract(runner):
    transfer, evidence = runner.studies.names(), runner.studies.names(runner.studies.EVIDENCE)
    assert not {*transfer} & {*evidence}
    for name in transfer + evidence:
        study = runner.studies.load(name)
        assert study.TITLE
        assert callable(study.measure)
        for quick in (True, False):
            cases = [json.dumps(case, sort_keys=True) for case in study.cases(quick)]
            assert cases
            assert len(set(cases)) == len(cases)
            assert all("seed" in json.loads(case) for case in cases)


def test_rows_are_kept_and_a_failed_case_is_tried_again(runner, monkeypatch, tmp_path):
    asked: list[int] = []
    broken = {1}

    def measure(root: Path, case: dict[str, Any]) -> dict[str, Any]:
        asked.append(case["seed"])
        if case["seed"] in broken:
            raise ValueError("the disk is full")
        return {"score": case["seed"] / 10}

    study = SimpleNamespace(
        TITLE="A study",
        cases=lambda quick: [{"sizes": (1, 2), "seed": seed} for seed in range(1 if quick else 3)],
        measure=measure,
        table=lambda rows: " ".join(f"{row['score']:.1f}" for row in rows),
    )
    monkeypatch.setattr(runner.studies, "load", lambda name: study)
    output = tmp_path / "rows.json"
    rows = runner.read(output)
    assert runner.measure_missing("x", tmp_path, False, rows, output) == 1
    assert runner.table("x", False, rows).startswith("0.0 0.2\n\n1 of 3 cases not measured yet; machine: ")
    broken.clear()
    again = runner.read(output)
    assert again == rows
    assert runner.measure_missing("x", tmp_path, False, again, output) == 0
    assert asked == [0, 1, 2, 1]
    assert runner.table("x", False, again).startswith("0.0 0.1 0.2\n\nmachine: ")
    assert runner.table("x", True, again).startswith("0.0\n")
    assert {"study", "sizes", "seed", "score", "case_seconds", "machine", "versions", "date"} == again[0].keys()


def test_sums_over_seeds(runner):
    studies = runner.studies
    assert studies.mean_and_spread([0.5, 0.7]) == "60.00 ± 14.14"
    assert studies.mean_and_spread([0.5]) == "50.00"
    assert studies.mean_and_spread([]) == "-"


def test_methods_are_judged_with_their_controls_side_by_side(runner):
    def against(control: list[float]) -> Any:
        return runner.studies.Comparison("full", [0.9, 0.92, 0.91], "control", control)

    far, near, two = against([0.8, 0.81, 0.82]), against([0.8, 0.93, 0.9]), ("full", [0.9, 0.93], "control", [0.5, 0.5])
    alone = runner.studies.compared([far])
    assert alone[0].startswith("full beats control by 10.00 ± 2.48 (p = 0.003, 3 seeds)")
    beside = runner.studies.compared([far, near, runner.studies.Comparison(*two)])
    assert "p = 0.007 after Holm's correction for 2 comparisons" in beside[0]
    assert beside[1].endswith("no clear difference.")
    assert beside[2] == "full against control: +41.50 (2 seeds): too few seeds to say."


def test_tables_of_the_controls_and_the_ranking(runner):
    controls, rank = (runner.studies.load(name) for name in ("controls", "rank"))
    score = {"full": 0.9, "from scratch": 0.5, "knn": 0.6, "linear_svm": 0.7}
    rows = [
        {**case, "test": score.get(case["method"], 0.65), "validation": score.get(case["method"], 0.65)}
        | {"validation_loss": 1.0}
        for case in controls.cases(False)
    ]
    text = controls.table(rows)
    assert "| TF-IDF, best on validation | 70.00 ± 0.00 |" in text
    assert "sst2, 100 labels: full against from scratch: +40.00" in text
    order = list(rank.CANDIDATES)
    rows = [
        {**case, "loss": order.index(case["candidate"]), "log_me": 0.0, "probe": 0.5, "test": 1 / (1 + place)}
        for case in rank.cases(False)
        for place in (order.index(case["candidate"]),)
    ]
    text = rank.table(rows)
    assert "The probe's loss against fine-tuning, over 5 candidates: the same order (Kendall's tau 1.00)" in text
    assert "LogME against fine-tuning, over 5 candidates: not the same order" in text
