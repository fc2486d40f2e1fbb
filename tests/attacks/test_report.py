"""`nlptl robustness`: points lost per attack with paired intervals, for encoders and baselines."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import f1_score
from typer.testing import CliRunner

import nlptl
from nlptl import cli
from nlptl.attacks.measures import Answers, f1_difference, macro_f1, measured
from nlptl.errors import ConfigError, DataError
from nlptl.evaluation.significance import WORSE
from nlptl.reports.robustness import plot_robustness
from tests.conftest import sample

QUIET = {"runtime.progress": False}


@pytest.fixture(scope="module")
def baseline(tmp_path_factory: pytest.TempPathFactory) -> nlptl.Run:
    """On 400 rows of the fraud sample; 25 of the 130 test rows are fraud."""
    root = tmp_path_factory.mktemp("fraud")
    for split, rows in (("train", 400), ("validation", 120), ("test", 130)):
        sample("fraud-text", split, rows).to_csv(root / f"{split}.csv", index=False)
    settings = {**QUIET, "baseline.features": ["words_characters"]}
    return nlptl.train_baseline("fraud-text", data=root, output=root / "run", settings=settings)


@pytest.fixture(scope="module")
def report(baseline) -> nlptl.RobustnessReport:
    return nlptl.robustness(baseline)


def test_attacks_hide_the_positive_rows_alone_and_the_normaliser_brings_them_back(baseline, report):
    test = pd.read_csv(baseline.folder / "predictions.csv")
    assert report.positive == "fraud"
    assert report.rows_attacked == (test["label"] == "fraud").sum()
    assert report.rows_measured == len(test)
    assert report.measure == "recall_at_1_percent"
    for attack in ("full_width", "mathematical", "spacing"):  # no term is left
        assert report.lost(attack) > 20
        assert report.lost(attack, "confusables") == pytest.approx(report.lost("as written", "confusables"), abs=0.1)
    assert report.lost("as written") == 0
    assert report.lost("casing") == 0  # terms are of lower case
    row = next(row for row in report.rows if row["attack"] == "full_width" and row["normaliser"] == "none")
    assert row["changed"] == 1.0
    assert row["recall"]["outcome"] == WORSE
    assert row["accuracy"]["lost"] == pytest.approx(
        100 * (baseline.metrics["test"]["accuracy"] - row["accuracy"]["value"])
    )
    assert "confusables in front, " in report.sentences[1]


def test_numbers_of_the_texts_as_written_are_those_of_the_run(baseline, report):
    clean = report.rows[0]
    assert clean["accuracy"]["value"] == baseline.metrics["test"]["accuracy"]
    assert clean["macro_f1"]["value"] == pytest.approx(baseline.metrics["test"]["macro_f1"])


def test_the_report_is_repeated_exactly_and_is_json(baseline, report):
    again = nlptl.robustness(baseline)
    assert json.loads(json.dumps(again.to_json())) == json.loads(json.dumps(report.to_json()))
    other = nlptl.robustness(baseline, seed=1, attacks=["homoglyphs"], normaliser="none")
    assert [row["attack"] for row in other.rows] == ["as written", "homoglyphs"]
    assert other.beside is None


def test_an_encoder_is_attacked_in_the_rows_of_its_positive_label(trained, reviews):
    run = trained("feature_extraction").run
    report = nlptl.robustness(run, data=reviews / "test.csv", attacks=["full_width", "zero_width"], rows=20)
    assert report.positive == "positive"
    assert 0 < report.rows_attacked < report.rows_measured == 20
    assert report.lost("full_width", measure="recall") != 0
    assert report.lost("zero_width") == 0  # BERT's tokenizer takes them out
    for measure in ("accuracy", "macro_f1", "recall"):
        clean = report.lost("as written", "confusables", measure)
        assert report.lost("full_width", "confusables", measure) == clean


def test_without_a_positive_label_all_rows_are_attacked(tmp_path):
    data = {split: sample("chatbot-intent", split, 60) for split in ("train", "validation", "test")}
    run = nlptl.train_baseline(
        "chatbot-intent", data=data, output=tmp_path / "run", settings={**QUIET, "data.bad_rows": "drop"}
    )
    report = nlptl.robustness(run, attacks=["full_width"])
    assert report.positive is None
    assert report.rows_attacked == report.rows_measured
    assert report.measure == "macro_f1"
    assert report.lost("full_width", measure="accuracy") > 10
    assert report.sentences[0].startswith("1 of 1 attacks clearly cost macro f1; most: full_width, ")


def test_a_run_with_a_normaliser_is_asked_as_it_is(baseline, tmp_path):
    settings = {**QUIET, "baseline.features": ["words"], "data.normaliser": "confusables"}
    data = {split: sample("fraud-text", split, 80) for split in ("train", "validation", "test")}
    run = nlptl.train_baseline("fraud-text", data=data, output=tmp_path / "run", settings=settings)
    report = nlptl.robustness(run, attacks="all_homoglyphs")
    assert (report.normaliser, report.beside) == ("confusables", None)
    assert report.lost("all_homoglyphs") == 0


def test_copies_under_attack_are_learned_from(baseline, tmp_path):
    """The second answer: nothing is undone, and less is lost."""
    data = {
        split: sample("fraud-text", split, rows) for split, rows in (("train", 400), ("validation", 120), ("test", 130))
    }
    settings = {**QUIET, "baseline.features": ["words_characters"], "data.attacked_copies": 1.0}
    run = nlptl.train_baseline("fraud-text", data=data, output=tmp_path / "run", settings=settings)
    assert run.metrics["data"]["train"] == 800
    assert run.metrics["data"]["test"] == 130
    report, before = (nlptl.robustness(each, attacks=["full_width"], normaliser="none") for each in (run, baseline))
    assert report.lost("full_width", measure="recall") < before.lost("full_width", measure="recall") - 20


@pytest.mark.parametrize(
    ("asked", "error", "message"),
    [
        ({"attacks": ["homoglyph"]}, ConfigError, "Did you mean 'homoglyphs'"),
        ({"attacks": []}, ConfigError, "No attack is named"),
        ({"normaliser": "confusable"}, ConfigError, "Unknown normaliser 'confusable'.*Did you mean 'confusables'"),
        ({"data": "no-such.csv"}, DataError, "does not exist"),
        ({"task": "sentiment"}, ConfigError, "Unknown task of this run"),
    ],
)
def test_what_cannot_be_done_is_said(baseline, asked, error, message):
    with pytest.raises(error, match=message):
        nlptl.robustness(baseline, **asked)


def test_rows_without_the_positive_label_cannot_be_attacked(baseline, tmp_path):
    frame = pd.read_csv(baseline.folder / "predictions.csv")
    frame[frame["label"] != "fraud"].to_csv(tmp_path / "honest.csv", index=False)
    with pytest.raises(DataError, match="None of the .* rows has the label 'fraud'"):
        nlptl.robustness(baseline, data=tmp_path / "honest.csv")


def test_the_command_prints_a_table_writes_json_and_draws(baseline, tmp_path):
    asked = ["robustness", str(baseline.folder), "--attack", "spacing", "--attack", "casing"]
    asked += ["--output", str(tmp_path / "report.json"), "--plot", str(tmp_path / "report.svg")]
    done = CliRunner(env={"COLUMNS": "200"}).invoke(cli.app, asked)
    assert done.exit_code == 0, done.output
    assert "confusables" in done.output
    assert "attacks clearly cost recall at 1 % of other rows than fraud flagged; most: spacing" in done.output
    written = json.loads((tmp_path / "report.json").read_text())
    assert [row["attack"] for row in written["rows"]] == ["as written", "spacing", "casing"] * 2
    assert (tmp_path / "report.svg").read_text().count("<svg") == 1


def test_the_figure_shows_each_attack_and_both_ways(report):
    (axes,) = plot_robustness(report).axes
    assert len(axes.get_yticklabels()) == len(report.rows) / 2 - 1
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["as trained", "confusables in front"]
    assert axes.get_yticklabels()[-1].get_text() in ("full width", "spacing", "mathematical")


def _answers(scores: list[float], positive: list[int]) -> Answers:
    there, values = np.array(positive, bool), np.array(scores)
    return Answers(there.astype(int), (values > 0.5).astype(int), values > 0.5, values, there)


def test_recall_where_one_percent_of_negatives_is_flagged():
    """200 negatives: the cut lies under the two highest of them."""
    negatives = np.linspace(0.0, 0.8, 200).tolist()
    clean = _answers([*negatives, 0.9, 0.795, 0.799, 0.1], [0] * 200 + [1] * 4)
    assert clean.cut == negatives[-3]
    assert clean.caught(clean.cut).tolist() == [1, 1, 1, 0]
    hidden = _answers([*negatives, 0.9, 0.6, 0.1, 0.1], [0] * 200 + [1] * 4)
    found = measured(hidden, clean)
    assert found["recall_at_1_percent"][0] == 0.25
    assert found["recall_at_1_percent"][1].mean == -0.5
    assert found["recall"][1].mean == -0.25
    assert found["accuracy"][1].mean == pytest.approx(-1 / 204)


def test_macro_f1_and_its_paired_margin():
    rng = np.random.default_rng(0)
    targets = rng.integers(0, 3, 300)
    good = np.where(rng.random(300) < 0.9, targets, (targets + 1) % 3)
    bad = np.where(rng.random(300) < 0.7, good, 0)
    clean, worse = Answers(targets, good), Answers(targets, bad)
    assert macro_f1(targets, good) == pytest.approx(f1_score(targets, good, average="macro"))
    found = f1_difference(worse, clean)
    assert found.mean == pytest.approx(
        f1_score(targets, bad, average="macro") - f1_score(targets, good, average="macro")
    )
    assert found.outcome == WORSE
    low, high = found.interval
    assert low < found.mean < high < 0
    assert f1_difference(clean, clean).margin is None
    several = np.eye(3)[targets]
    assert macro_f1(several, np.eye(3)[bad]) == pytest.approx(macro_f1(targets, bad))
