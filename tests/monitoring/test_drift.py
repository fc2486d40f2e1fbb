"""`nlptl drift` from files to verdict, on the bundled checkpoint."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

import nlptl
from nlptl import cli
from nlptl.data.drafting import draft_task
from nlptl.errors import NlptlError
from nlptl.monitoring.drift import label_shares, least_confident
from tests.conftest import QUICK, sample
from tests.docs.files import answers, topic_columns

FEW = 99
"""Permutations: the fewest that are taken."""
HELD_OUT, NEW, OTHER = 120, 120, 60


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    """Opinions to learn from and to hold out, new ones like them, and messages about other things."""
    folder = tmp_path_factory.mktemp("opinions")
    (folder / "data").mkdir()
    for split, rows in (("train", 160), ("validation", 40)):
        sample("sentiment", split, rows).to_csv(folder / "data" / f"{split}.csv", index=False)
    test = sample("sentiment", "test", HELD_OUT + NEW)
    test[:HELD_OUT].to_csv(folder / "data" / "test.csv", index=False)
    test[HELD_OUT:].to_csv(folder / "new.csv", index=False)
    sample("fraud-text", "test", OTHER)[["text"]].to_csv(folder / "other.csv", index=False)
    return folder


@pytest.fixture(scope="module")
def run(data, tmp_path_factory) -> nlptl.Run:
    folder = tmp_path_factory.mktemp("runs") / "run"
    return nlptl.train("sentiment", data=data / "data", mode="feature_extraction", output=folder, settings=QUICK)


@pytest.fixture(scope="module")
def baseline(data, tmp_path_factory) -> nlptl.Run:
    folder = tmp_path_factory.mktemp("baselines") / "run"
    return nlptl.train_baseline("sentiment", data=data / "data", model="naive_bayes", output=folder)


@pytest.fixture(scope="module")
def alike(run, data):
    return nlptl.drift(run, data / "new.csv", permutations=FEW)


@pytest.fixture(scope="module")
def other(run, data):
    return nlptl.drift(run, data / "other.csv", permutations=FEW)


def asked(run: nlptl.Run, *arguments: str | Path) -> tuple[int, str]:
    """Exit code and output of the command."""
    call = ["drift", run.folder, *arguments, "--permutations", FEW]
    done = CliRunner().invoke(cli.app, [str(word) for word in call])
    assert done.exception is None or isinstance(done.exception, SystemExit | NlptlError), done.exception
    return done.exit_code, done.output


def test_the_room_does_not_hide_the_function():
    import nlptl.monitoring.drift

    assert callable(nlptl.drift)


def test_texts_alike_are_no_drift_and_the_rows_say_what_they_cannot_show(alike):
    assert not alike.drifted
    assert (alike.reference["rows"], alike.new["rows"]) == (HELD_OUT, NEW)
    assert [one.test.name for one in alike.tests] == ["classifier", "mmd", "scores", "labels"]
    assert alike.auc["interval"][0] < 0.5 < alike.auc["smallest_seen"] < 0.8
    assert any("There are too few rows to see a smaller shift than AUC 0." in said for said in alike.sentences)


def test_texts_about_other_things_are_drift_and_the_furthest_are_among_them(other):
    assert other.verdict.startswith("texts differ")
    assert other.auc["auc"] > 0.9
    assert all(0 < one.test.p <= one.p for one in other.tests)
    assert len(other.furthest) == 10
    distances = [each["distance"] for each in other.furthest]
    assert distances == sorted(distances, reverse=True)
    assert "AUC 0.9" in other.sentences[0]


def test_the_reference_is_held_out(run, data, monkeypatch):
    """Neither rows that were learned from nor those that chose the epoch."""
    read = []
    features = type(run).features
    monkeypatch.setattr(type(run), "features", lambda self, texts: read.append(list(texts)) or features(self, texts))
    nlptl.drift(run, data / "other.csv", permutations=FEW)
    learned = {
        text for split in ("train", "validation") for text in pd.read_csv(data / "data" / f"{split}.csv")["text"]
    }
    assert read[0] == pd.read_csv(data / "data" / "test.csv")["text"].tolist()
    assert not learned & set(read[0])
    for trained_on in (data / "data" / "train.csv", data / "data" / ".." / "data" / "train.csv"):
        with pytest.raises(NlptlError, match="is the file that the run was trained on"):
            nlptl.drift(run, data / "other.csv", reference=trained_on)


def test_another_reference_takes_the_place_of_the_test_rows(run, data):
    report = nlptl.drift(run, pd.read_csv(data / "other.csv")[:30], reference=data / "other.csv", permutations=FEW)
    assert report.verdict == "no sign of drift"
    assert report.reference == {"origin": str(data / "other.csv"), "rows": OTHER, "compared": OTHER}
    assert any(note.startswith("30 of 30 new texts stand in the reference") for note in report.notes)


def test_rows_are_drawn_with_the_seed_and_told(run, data):
    texts = pd.read_csv(data / "new.csv")["text"].tolist()
    first, again, third = (nlptl.drift(run, texts, rows=50, permutations=FEW, seed=seed) for seed in (0, 0, 1))
    assert first.new == {"origin": "the texts", "rows": NEW, "compared": 50}
    assert first.to_json() == again.to_json()
    assert first.furthest != third.furthest
    assert all(texts[each["row"] - 1] == each["text"] for each in first.furthest)
    told = "\n".join(first.notes)
    for sentence in ("Of 120 reference rows 50 are compared", "Of 120 new rows 50", "The reference has 50 rows only"):
        assert sentence in told


def test_labels_show_what_accuracy_became_and_new_ones_are_named(run, data):
    new = pd.read_csv(data / "new.csv")
    report = nlptl.drift(run, new, label_column="label", permutations=FEW)
    assert report.verdict == "no sign of drift"
    right = [said.label == label for said, label in zip(run.predict(new["text"]), new["label"], strict=True)]
    assert report.accuracy["new"] == pytest.approx(np.mean(right))
    assert report.accuracy["test"] == pytest.approx(run.metrics["test"]["accuracy"])
    turned = new.assign(label=new["label"].map({"positive": "negative", "negative": "positive"}))
    turned.loc[:4, "label"] = "mixed"
    turned.loc[5:7, "label"] = None
    fallen = nlptl.drift(run, turned, label_column="label", permutations=FEW)
    assert fallen.verdict == "accuracy fell"
    assert (fallen.accuracy["rows"], fallen.accuracy["rows_without_label"]) == (NEW - 3, 3)
    assert fallen.accuracy["labels_that_the_run_does_not_know"] == {"mixed": 5}
    assert any("cannot have right: mixed (5)" in said for said in fallen.sentences)
    mapped = nlptl.drift(
        run, new.assign(label=new["label"].map({"positive": 5, "negative": 1})), label_column="label",
        label_map={5: "positive", 1: "negative"}, permutations=FEW,
    )  # fmt: skip
    assert mapped.accuracy["new"] == report.accuracy["new"]


class Featureless:
    """Another package's predictor, of which no more is asked than to predict."""

    def __init__(self, predictor):
        self.prepare, self.logits = predictor.prepare, predictor.logits


def test_a_baseline_has_vectors_of_words_and_what_sees_no_features_has_scores(baseline, data, monkeypatch):
    report = nlptl.drift(baseline, data / "other.csv", permutations=FEW)
    assert report.features.startswith("TF-IDF vectors in 100 dimensions")
    assert report.verdict.startswith("texts differ")
    monkeypatch.setattr(baseline.artifact, "predictor", Featureless(baseline.artifact.predictor))
    alone = nlptl.drift(baseline, data / "other.csv", permutations=FEW)
    assert [one.test.name for one in alone.tests] == ["scores", "labels"]
    assert alone.features.startswith("none")
    assert (alone.auc, alone.furthest, alone.projection) == (None, [], None)
    from nlptl.reports.drift import plot_drift

    assert len(plot_drift(alone).axes) == 1


def test_several_labels_a_text_and_pairs_of_texts(tmp_path):
    topic_columns(tmp_path / "topics.csv")
    answers(tmp_path / "answers.csv")
    for name in ("topics", "answers"):
        columns = {"text_columns": ["question", "answer"]} if name == "answers" else {}
        draft_task(name, tmp_path / f"{name}.csv", tmp_path / "tasks", **columns)
        run = nlptl.train_baseline(name, model="naive_bayes", tasks_dir=tmp_path / "tasks", output=tmp_path / name)
        report = nlptl.drift(run, tmp_path / f"{name}.csv", permutations=FEW)
        assert 0 < report.tests[-1].p <= 1
        assert report.labels


def test_a_run_of_several_tasks_is_watched_task_by_task(tiny, obvious, data, tmp_path):
    texts = {"sentiment": obvious, "fraud-text": tmp_path / "messages.csv"}
    sample("fraud-text", "train", 90).to_csv(texts["fraud-text"], index=False)
    settings = {**QUICK, "model.pooling": "mean"}
    run = nlptl.train(
        "sentiment+fraud-text", data=texts, checkpoint=tiny["bert"], output=tmp_path / "run", settings=settings
    )
    with pytest.raises(NlptlError, match="Choose one with --task"):
        nlptl.drift(run, data / "other.csv")
    report = nlptl.drift(run, data / "other.csv", task="fraud-text", permutations=FEW)
    assert report.task == "fraud-text"
    assert report.reference["rows"] == len(pd.read_csv(tmp_path / "run" / "heads" / "fraud-text" / "predictions.csv"))
    assert {row["label"] for row in report.labels} <= {"legitimate", "fraud"}


def test_the_command_tells_writes_and_draws(run, data, other, tmp_path):
    code, said = asked(
        run, "--input", data / "other.csv", "--output", tmp_path / "d.json", "--plot", tmp_path / "d.svg"
    )
    assert code == 0
    assert f"Verdict: {other.verdict}" in said
    assert "New texts that look least like the reference" in said
    assert not re.search(r"\s0\.000\s", said)  # p is never 0
    assert max(map(len, said.partition("A classifier tells")[0].splitlines())) <= 80
    noted = json.loads((tmp_path / "d.json").read_text())
    assert noted == json.loads(json.dumps(other.to_json()))
    assert noted["drifted"] is True
    assert {"p", "p_corrected", "effect", "by_chance", "counts"} <= noted["tests"][0].keys()
    assert (tmp_path / "d.svg").read_text().count("<svg") == 1


def test_exit_codes_for_cron(run, data, alike, other, monkeypatch):
    for report, code in ((other, 1), (alike, 0)):
        monkeypatch.setattr("nlptl.verbs.drift.drift", lambda *_, found=report, **__: found)
        assert asked(run, "--input", data / "new.csv", "--fail-on-drift")[0] == code
        assert asked(run, "--input", data / "new.csv")[0] == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--input", "nowhere.csv"], "nowhere.csv does not exist"),
        (["--input", "new.csv", "--text-column", "txt"], "Did you mean 'text'"),
        (["--input", "new.csv", "--label-column", "lable"], "Did you mean 'label'"),
        (["--input", "new.csv", "--label-column", "text"], "Unknown label"),
        (["--input", "few.csv"], "few.csv: there are 9 rows; at least 10"),
        (["--input", "new.csv", "--plot", "a.jpg"], "unknown format '.jpg'"),
        (["--input", "new.csv", "--output", "new.csv"], "is the input itself"),
        (["--input", "new.csv", "--rows", "5"], "at least 10 rows"),
        (["--input", "new.csv", "--smallest-auc", "0.4"], "between 0.5"),
        (["--input", "new.csv", "--task", "fraud-text"], "Unknown task of this run"),
    ],
)
def test_mistakes(run, data, arguments, message, monkeypatch):
    monkeypatch.chdir(data)
    pd.read_csv("new.csv")[:9].to_csv("few.csv", index=False)
    before = sorted(Path().iterdir())
    done = CliRunner().invoke(cli.app, ["drift", str(run.folder), *arguments])
    assert isinstance(done.exception, NlptlError)
    assert message in str(done.exception)
    assert sorted(Path().iterdir()) == before


def test_a_run_without_its_test_rows_asks_for_others(run, data, tmp_path):
    bare = tmp_path / "bare"
    shutil.copytree(run.folder, bare)
    (bare / "predictions.csv").unlink()
    with pytest.raises(NlptlError, match=r"holds no predictions\.csv.*--reference FILE"):
        nlptl.drift(bare, data / "new.csv")
    assert nlptl.drift(bare, data / "new.csv", reference=data / "other.csv", permutations=FEW).drifted


def test_least_confident_rows_are_as_many_as_chance_gives():
    rng = np.random.default_rng(0)
    p = [least_confident(rng.random(60), rng.random(80))["p"] for _ in range(400)]
    assert np.mean(np.array(p) <= 0.05) <= 0.07
    found = least_confident(np.linspace(0, 1, 100), np.full(50, 0.01))
    assert (found["new"], found["reference"]) == (1.0, 0.04)
    assert 0 < found["p"] < 1e-6


def test_shares_of_labels_show_the_largest_change_first():
    shares = label_shares(["a"] * 8 + ["b"] * 2, ["a"] * 2 + ["c"] * 8)
    assert [row["label"] for row in shares] == ["c", "a", "b"]
    assert shares[0] == {"label": "c", "reference": 0.0, "new": 0.8}
    assert label_shares([["a", "b"], []], [["a"]])[0] == {"label": "a", "reference": 0.5, "new": 1.0}
