"""Every kind of run has a report; mistakes of the caller are told, and nothing is half-written."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import nlptl
from nlptl import cli
from nlptl.errors import ArtifactError, ConfigError
from nlptl.storage.json_files import write_json
from tests.conftest import QUICK, sample

OLD = Path(__file__).parent.parent / "golden" / "old_runs"


def headings(path: Path) -> list[str]:
    return re.findall(r"<h[23][^>]*id=[^>]*>(.*?)</h[23]>", path.read_text(encoding="utf-8"))


def test_an_opened_run_has_its_report_in_its_folder(fraud, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(fraud, folder)
    before = {path.name for path in folder.iterdir()}
    path = nlptl.report(nlptl.load(folder))
    assert path == folder / "report.html"
    assert {path.name for path in folder.iterdir()} - before == {"report.html"}
    first = path.read_bytes()
    assert nlptl.report(folder).read_bytes() == first  # the same again, in place of the older one
    nlptl.load(folder).predict(["still a run"])


def test_several_labels_have_a_slider_each(topics, tmp_path):
    page = nlptl.report(topics, tmp_path / "r.html").read_text(encoding="utf-8")
    labels = nlptl.load(topics).labels
    assert sorted(re.findall(r"<option[^>]*>(.*?)</option>", page)) == sorted(labels)
    assert "there is no confusion matrix" in page


def test_several_tasks_have_their_own_parts(tiny, train, tmp_path):
    for task in ("sentiment", "fraud-text"):
        (tmp_path / task).mkdir()
        for split, rows in (("train", 40), ("validation", 24), ("test", 24)):
            sample(task, split, rows).to_csv(tmp_path / task / f"{split}.csv", index=False)
    sources = {task: tmp_path / task for task in ("sentiment", "fraud-text")}
    run = train(
        "sentiment+fraud-text", sources, tmp_path / "run", mode="feature_extraction", checkpoint=tiny["bert"]
    ).run
    path = nlptl.report(run, tmp_path / "r.html")
    found = headings(path)
    assert [name for name in found if name.startswith("Task ")] == ["Task sentiment", "Task fraud-text"]
    assert found.count("Metrics") == found.count("Worst mistakes") == 2
    page = path.read_text(encoding="utf-8")
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(ids) == len(set(ids))


def test_a_baseline_has_a_report(tmp_path, obvious):
    run = nlptl.train_baseline("sentiment", data=obvious, output=tmp_path / "run", settings={"runtime.progress": False})
    page = nlptl.report(run).read_text(encoding="utf-8")
    assert "baseline logistic_regression on TF-IDF" in page
    assert "Checkpoint" not in page


@pytest.mark.parametrize(
    "name", ["full_cls", "lora_mean", "features_mean", "baseline", "multi_task", "adapted", "merged"]
)
def test_runs_of_earlier_versions_say_what_they_lack(name, tmp_path):
    folder = tmp_path / name
    shutil.copytree(OLD / name, folder)
    page = nlptl.report(folder).read_text(encoding="utf-8")
    assert "kept no logits" in page
    assert "predictions.csv is not in the run folder" in page
    assert 'class="policy"' not in page
    assert "What this run is" in page


def test_policies_that_answer_with_sets_or_not_at_all(fraud, tmp_path):
    """A set is right where it holds the gold label; a row that is left unanswered is no mistake."""
    folder = tmp_path / "run"
    shutil.copytree(fraud, folder)
    nlptl.decide(folder, "conformal", coverage=0.9)
    assert "sets hold the right label" in nlptl.report(folder).read_text(encoding="utf-8")
    assert "Coverage, as decided (conformal)" in (folder / "report.html").read_text(encoding="utf-8")
    nlptl.decide(folder, "abstain", floor=0.8)
    page = nlptl.report(folder).read_text(encoding="utf-8")
    assert re.search(r"test rows are right; \d+ (is|are) wrong, \d+ are left unanswered", page)
    assert "answered <strong><bdi>unsure" not in page


def test_robustness_and_scope_are_shown_where_they_were_measured(fraud, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(fraud, folder)
    assert "Robustness" not in headings(nlptl.report(folder))
    rows = [
        {
            "attack": "spacing",
            "normaliser": "none",
            "recall": {"value": 0.2, "lost": 70.5, "margin": 6.0, "outcome": "worse"},
        },
        {
            "attack": "leet",
            "normaliser": "none",
            "recall": {"value": None, "lost": None, "margin": None, "outcome": None},
        },
        "no row",
    ]
    write_json(folder / "robustness.json", {"measure": "recall", "sentences": ["1 of 2 attacks hurts."], "rows": rows})
    metrics, share = nlptl.load(folder).metrics, {"value": 0.98, "interval": [0.97, 0.99]}
    metrics["test"]["out_of_scope"] = {"auroc": share, "scorer": "energy", "roads": {"both": {"in_scope_kept": share}}}
    write_json(folder / "metrics.json", metrics)
    found = headings(nlptl.report(folder))
    assert {"Robustness", "Out of scope"} <= {*found}
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert "70.5 ± 6.0" in page
    assert page.count('0.980 <span class="range">[0.970, 0.990]') == 2
    assert "Ways to send a text out of scope" in page
    write_json(folder / "robustness.json", {"something": "else"})
    assert "Robustness" not in headings(nlptl.report(folder))


def test_negative_gains_and_lineage_are_told(tmp_path, obvious, tiny):
    settings = {**QUICK, "baseline.compare": True}
    run = nlptl.train("sentiment", data=obvious, checkpoint=tiny["bert"], output=tmp_path / "run", settings=settings)
    page = nlptl.report(run).read_text(encoding="utf-8")
    assert "Best on words alone (TF-IDF + " in page
    assert "McNemar" in page
    assert "Loss. The state of epoch" in page


def test_empty_splits_have_a_report(fraud, with_rows):
    folder = with_rows(fraud, ["one", "two"], np.array([0, 1]), np.array([[3.0, 0.0], [0.0, 3.0]]))
    page = nlptl.report(folder).read_text(encoding="utf-8")
    assert "only 2 rows" in page
    assert "hardly measured" in page


@pytest.mark.parametrize(
    ("output", "message"),
    [("r.txt", "a report is an HTML file"), ("gone/r.html", "there is no folder"), ("d.html", "is a folder")],
)
def test_an_output_that_cannot_be_is_told_before_anything_is_read(fraud, tmp_path, output, message):
    (tmp_path / "d.html").mkdir()
    with pytest.raises(ConfigError, match=message):
        nlptl.report(fraud, tmp_path / output)


def test_what_is_neither_is_told(tmp_path):
    with pytest.raises(ArtifactError, match="There is no run folder"):
        nlptl.report(tmp_path / "gone")
    with pytest.raises(ArtifactError, match=r"holds no run \(manifest.json is missing\)"):
        nlptl.report(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_the_command_says_what_was_written(fraud, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(cli.app, ["report", str(fraud), "--output", "r.html", "--figures", "figures"])
    assert done.exit_code == 0, done.output
    assert re.match(r"Report: r\.html \(\d+ kB\)\nFigures: figures\nTexts of test rows stand in it", done.output)
    assert {path.suffix for path in (tmp_path / "figures").iterdir()} == {".svg"}
    done = CliRunner().invoke(cli.app, ["report", str(fraud), "--output", "r.html", "--no-texts"])
    assert "Texts" not in done.output
    assert "No text of a row is in this file." in (tmp_path / "r.html").read_text(encoding="utf-8")
