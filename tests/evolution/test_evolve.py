"""Runs whose labels change: what they answer, what they say of themselves, and what the old labels lose."""

from __future__ import annotations

import shutil

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

import nlptl
from nlptl import cli
from nlptl.errors import ArtifactError, ConfigError, DataError
from nlptl.evaluation.wording import evolution_sentences
from nlptl.evolution.regression import regression
from nlptl.evolution.rows import FEWEST
from nlptl.runs.reread import reread
from nlptl.storage.json_files import read_json
from tests.conftest import QUICK
from tests.strategies.test_continued import topics

LABELS = ("film", "meal", "trip")
TEXTS = ["the actor in round 90", "the soup in round 91", "the hotel in round 92"]


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A folder with the rows of three topics, and texts of a fourth."""
    folder = tmp_path_factory.mktemp("evolution")
    topics(*LABELS, rows=24).to_csv(folder / "rows.csv", index=False)
    topics("song", rows=20, start=70)[["text"]].to_csv(folder / "songs.csv", index=False)
    return folder


@pytest.fixture(scope="module")
def runs(home):
    """Runs that know three topics, by how they learn."""
    made = {}

    def of(mode):
        if mode not in made:
            shared = {"data": home / "rows.csv", "output": home / mode}
            if mode == "linear_svm":
                made[mode] = nlptl.train_baseline("chatbot-intent", model=mode, **shared)
            else:
                made[mode] = nlptl.train("chatbot-intent", mode=mode, settings=QUICK, **shared)
        return made[mode]

    return of


@pytest.mark.parametrize("mode", ["full", "lora", "linear_svm"])
def test_other_names_change_no_number(runs, mode, tmp_path):
    before = runs(mode)
    after = nlptl.evolve(before, tmp_path / "run", rename={"film": "movie", "trip": "film"})
    assert after.labels == ["movie", "meal", "film"]
    np.testing.assert_allclose(after.predict_proba(TEXTS), before.predict_proba(TEXTS), atol=1e-6)
    assert [found.label for found in after.predict(TEXTS)] == ["movie", "meal", "film"]
    old, new = (read_json(run.folder / "metrics.json")["test"] for run in (before, after))
    assert new["accuracy"] == old["accuracy"]
    assert list(new["per_class"]) == ["movie", "meal", "film"]
    assert list(new["per_class"].values()) == list(old["per_class"].values())
    names = {"film": "movie", "trip": "film", "meal": "meal"}
    tables = [pd.read_csv(run.folder / "predictions.csv") for run in (before, after)]
    for column in ("label", "predicted", "most_probable"):
        assert list(tables[1][column]) == [names[label] for label in tables[0][column]]
    assert list(tables[1]["text"]) == list(tables[0]["text"])
    assert tables[1]["score"].equals(tables[0]["score"])
    assert "Labels of the run" in (after.folder / "README.md").read_text()
    # What they were made from is still known, and read under today's names; so is a file under the old ones.
    assert set(reread(after.folder).train["label"]) == {"movie", "meal", "film"}
    assert after.evaluate(reread(before.folder).test[["text", "label"]])["accuracy"] == old["accuracy"]
    again = nlptl.evolve(after, tmp_path / "again", rename={"movie": "cinema"})
    assert set(reread(again.folder).train["label"]) == {"cinema", "meal", "film"}
    pd.testing.assert_series_equal(reread(again.folder).train["text"], reread(before.folder).train["text"])


def test_a_decision_policy_has_the_new_name(tiny, obvious, tmp_path):
    rows = pd.read_csv(obvious / "train.csv").replace({"label": {"positive": "fraud", "negative": "legitimate"}})
    run = nlptl.train(
        "fraud-text", data=rows, mode="feature_extraction", checkpoint=tiny["bert"], output=tmp_path / "run",
        settings={"runtime.progress": False},
    )  # fmt: skip
    after = nlptl.evolve(run, tmp_path / "after", rename={"fraud": "scam"})
    assert read_json(after.folder / "decision.json")["label"] == "scam"
    assert "fraud'" not in (after.folder / "decision.json").read_text()
    assert nlptl.load_task("fraud-text").positive_label == "fraud"
    assert after.head.task.positive_label == "scam"
    assert {found.label for found in after.predict(["a good film", "an awful shop"])} <= {"scam", "legitimate"}
    assert after.artifact.manifest["checkpoint"]["relative"]


@pytest.mark.parametrize("mode", ["full", "lora", "feature_extraction", "linear_svm"])
def test_a_label_is_added_and_the_old_ones_are_asked_again(runs, home, mode, tmp_path):
    before = runs(mode)
    after = nlptl.evolve(before, tmp_path / "run", add={"song": home / "songs.csv"}, keep=12)
    assert after.labels == [*LABELS, "song"]
    assert after.predict(["the drum in round 99"])[0].label == "song"
    assert [found.label for found in after.predict(TEXTS)] == list(LABELS)
    facts = after.metrics["evolution"]
    assert facts["added"] == ["song"]
    assert facts["kept_rows"] == dict.fromkeys(LABELS, 12)
    told, earlier = facts["regression"], pd.read_csv(before.folder / "predictions.csv")
    assert told["rows"] == len(earlier) == sum(each["rows"] for each in told["labels"].values())
    assert told["before"] == pytest.approx((earlier["most_probable"] == earlier["label"]).mean())
    said = [after.labels[i] for i in after.predict_proba(list(earlier["text"])).argmax(1)]
    assert told["after"] == pytest.approx(np.mean(np.array(said) == earlier["label"].to_numpy()))
    assert not told["fell"]
    assert evolution_sentences(facts) in (after.folder / "README.md").read_text()
    # No row that measures was learned from: earlier test rows stay test rows.
    splits = reread(after.folder)
    assert set(earlier["text"]) <= set(splits.test["text"])
    assert set(splits.test["label"]) == {*LABELS, "song"}
    if mode != "linear_svm":
        assert after.artifact.manifest["lineage"][-1]["run"] == before.folder.name
    if mode in ("lora", "feature_extraction"):  # the new run needs the checkpoint, not the earlier run
        assert after.artifact.manifest["checkpoint"]["name"] == "minilm"


@pytest.mark.parametrize("mode", ["full", "feature_extraction"])
def test_labels_are_merged_on_the_rows_of_the_run(runs, mode, tmp_path):
    before = runs(mode)
    after = nlptl.evolve(before, tmp_path / "run", merge={"outing": ["film", "trip"]})
    assert after.labels == ["outing", "meal"]
    assert [found.label for found in after.predict(TEXTS)] == ["outing", "meal", "outing"]
    told = after.metrics["evolution"]["regression"]
    assert {label: each["rows"] for label, each in told["labels"].items()} == {"meal": 5, "outing": 10}
    assert after.metrics["data"]["train"] == before.metrics["data"]["train"]
    assert after.evaluate(reread(before.folder).test[["text", "label"]])["accuracy"] == 1.0  # old names are understood


def test_without_the_rows_of_the_run_nothing_is_merged_and_adding_needs_old_labels(runs, home, tmp_path):
    lost = shutil.copytree(runs("full").folder, tmp_path / "lost")
    run_yaml = (lost / "run.yaml").read_text()
    (lost / "run.yaml").write_text(run_yaml.replace(str(home / "rows.csv"), str(tmp_path / "gone.csv")))
    with pytest.raises(DataError, match="cannot be had: .*gone.csv.* Say where they lie now: --training-data"):
        nlptl.evolve(lost, tmp_path / "run", merge={"outing": ["film", "trip"]})
    with pytest.raises(DataError, match="cannot be told from the old ones by their own rows alone"):
        nlptl.evolve(lost, tmp_path / "run", add={"song": home / "songs.csv"})
    assert not (tmp_path / "run").exists()
    found = nlptl.evolve(lost, tmp_path / "moved", merge={"outing": ["film", "trip"]}, training_data=home / "rows.csv")
    assert found.labels == ["outing", "meal"]
    mixed = topics("song", "meal", "film", "trip", rows=10, start=40)
    grown = nlptl.evolve(lost, tmp_path / "grown", add="song", data=mixed)
    assert grown.labels == [*LABELS, "song"]
    assert grown.metrics["evolution"]["kept_rows"] == {}


def test_rows_that_nobody_asked_for_are_refused(runs, tmp_path):
    run, shared = runs("feature_extraction"), {"output": tmp_path / "run"}
    rows = topics("song", rows=12, start=40)
    with pytest.raises(DataError, match=r"Unknown label of the new rows 'song'.* Add them: --add LABEL"):
        nlptl.evolve(run, merge={"outing": ["film", "trip"]}, data=rows, **shared)
    with pytest.raises(DataError, match=f"A new label needs {FEWEST} rows.*; song has 3"):
        nlptl.evolve(run, add={"song": list(rows["text"][:3])}, **shared)
    with pytest.raises(ConfigError, match="Give rows of song"):
        nlptl.evolve(run, add="song", **shared)
    with pytest.raises(ConfigError, match="data would have no effect"):
        nlptl.evolve(run, rename={"film": "movie"}, data=rows, **shared)
    with pytest.raises(DataError, match="2 rows have no label, the first of them row 2"):
        nlptl.evolve(run, add="song", data=rows.assign(label=["song", None, None, *["song"] * 9]), **shared)
    assert not (tmp_path / "run").exists()
    (tmp_path / "run").mkdir()
    with pytest.raises(ArtifactError, match="exists already"):
        nlptl.evolve(run, rename={"film": "movie"}, **shared)


def test_labels_that_fall_clearly_are_named_loudly(runs, home, tmp_path, monkeypatch, caplog):
    run = runs("feature_extraction")

    class Forgetful:
        """Answers film for every trip."""

        labels = list(LABELS)

        def predict_proba(self, texts):
            return np.array([[1.0, 0.0, 0.0] if "train" in t or "hotel" in t else [0.0, 1.0, 0.0] for t in texts])

    earlier = shutil.copytree(run.folder, tmp_path / "earlier")
    many = topics("trip", "meal", rows=20)
    many.assign(most_probable=many["label"], predicted=many["label"]).to_csv(earlier / "predictions.csv", index=False)
    facts = regression(Forgetful(), earlier, {}, topics("meal", rows=2))
    assert facts["left_out"] == 2
    assert facts["fallen"] == ["trip"]
    assert facts["fell"]
    assert facts["labels"]["meal"]["after"] == 1.0
    assert "Labels that fell clearly: trip 1.0000 to 0.0000 of 20." in evolution_sentences(
        {"run": "x", "regression": facts}
    )
    from nlptl.verbs import evolve as verb

    monkeypatch.setattr(verb, "regression", lambda *arguments: facts)
    done = CliRunner().invoke(
        cli.app, ["evolve", str(run.folder), "--add", f"song={home / 'songs.csv'}", "--output", str(tmp_path / "run")]
    )
    assert done.exit_code == 3, done.output
    assert any(record.levelname == "WARNING" and "fell clearly" in record.message for record in caplog.records)


def test_the_command_says_what_became_of_the_labels(runs, home, tmp_path, caplog):
    caplog.set_level("INFO", logger="nlptl")
    run = runs("feature_extraction")
    done = CliRunner().invoke(
        cli.app, ["evolve", str(run.folder), "--rename", "film=movie", "--output", str(tmp_path / "run")]
    )
    assert done.exit_code == 0, done.output
    assert "film is movie. Nothing was trained." in caplog.text
    done = CliRunner().invoke(
        cli.app, ["evolve", str(run.folder), "--merge", "film,trip=outing", "--output", str(tmp_path / "merged")]
    )
    assert done.exit_code == 0, done.output
    assert "No old label fell clearly" in caplog.text
    assert "Results" in done.output
    for arguments, message in [
        (["--rename", "film"], "--rename film: write OLD=NEW"),
        (["--add", "a", "--add", "a"], "--add names a label twice"),
        (["--add", "a=x.csv", "--add", "b"], "give a file for each label"),
    ]:
        refused = CliRunner().invoke(cli.app, ["evolve", str(run.folder), *arguments])
        assert isinstance(refused.exception, ConfigError)
        assert message in str(refused.exception)


def test_a_run_of_several_tasks_is_refused(tiny, obvious, tmp_path):
    rows = pd.read_csv(obvious / "train.csv")
    fraud = rows.replace({"label": {"positive": "legitimate", "negative": "fraud"}})
    run = nlptl.train(
        "sentiment+fraud-text", checkpoint=tiny["bert"], mode="feature_extraction", output=tmp_path / "run",
        data={"sentiment": rows, "fraud-text": fraud}, settings={"runtime.progress": False},
    )  # fmt: skip
    with pytest.raises(ConfigError, match="serves 2 tasks; labels change on runs of one task"):
        nlptl.evolve(run, rename={"positive": "good"})
