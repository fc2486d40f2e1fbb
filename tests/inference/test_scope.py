"""A run that decides by a scorer, from training to predictions: on the bundled checkpoint, frozen and tuned."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

import nlptl
from nlptl import cli
from nlptl.errors import ArtifactError, ConfigError
from nlptl.evaluation.out_of_scope.scorer import FILE
from nlptl.runs.answers import read_answers
from tests.conftest import QUICK, sample

TEXTS = ["cancel my flight to Rome please", "how tall is the tallest mountain on Mars"]
INTENTS = 5


@pytest.fixture(scope="module")
def intents():
    """Rows of five intents and of out of scope, which training has too."""
    frames = {split: sample("chatbot-intent", split, 10_000) for split in ("train", "validation", "test")}
    known = sorted(set(frames["train"]["label"]) - {"out_of_scope"})[:INTENTS]
    return {split: f[f["label"].isin([*known, "out_of_scope"])] for split, f in frames.items()}


def train(data, folder, scorer, mode="feature_extraction", **more):
    settings = {**QUICK, "decision.scorer": scorer, **more}
    return nlptl.train("chatbot-intent", data=data, mode=mode, output=folder, settings=settings)


@pytest.fixture(scope="module")
def runs(intents, tmp_path_factory):
    """One frozen run with a scorer of features, and one that is tuned, by mode."""
    root = tmp_path_factory.mktemp("scope")
    return {
        "feature_extraction": train(intents, root / "frozen", "auto", **{"training.refit": False}),
        "full": train(intents, root / "full", "relative_mahalanobis", "full"),
    }


@pytest.mark.parametrize("mode", ["feature_extraction", "full"])
def test_a_run_scores_as_it_was_measured_and_decides_by_that(runs, intents, mode):
    run = runs[mode]
    rows = pd.read_csv(run.folder / "predictions.csv")
    found = run.scope(list(rows["text"]))
    np.testing.assert_allclose(found, rows["scope"], rtol=1e-3, atol=1e-2)
    np.testing.assert_allclose(found, read_answers(run.folder)["test"].scope, rtol=1e-3, atol=1e-2)
    assert [p.label for p in run.predict(list(rows["text"]))] == list(rows["predicted"])
    decision = json.loads((run.folder / "decision.json").read_text())
    below = rows["scope"] < decision["threshold"]
    assert below.any()
    assert (rows["predicted"][below] == "out_of_scope").all()
    assert (rows["predicted"][~below] == rows["most_probable"][~below]).all()
    again = run.evaluate(intents["test"])
    stored = run.metrics["test"]["out_of_scope"]
    assert again["out_of_scope"]["auroc"]["value"] == pytest.approx(stored["auroc"]["value"], abs=1e-3)
    assert set(stored["roads"]) == {"scorer", "class", "both"}
    assert stored["auroc"]["value"] > 0.8


@pytest.mark.parametrize("mode", ["feature_extraction", "full"])
def test_validation_scores_are_those_of_predicting_and_keep_what_was_asked(runs, intents, mode):
    run, held = runs[mode], intents["validation"]
    stored = read_answers(run.folder)["validation"]
    np.testing.assert_allclose(run.scope(list(held["text"])), stored.scope, rtol=1e-3, atol=1e-2)
    cut = json.loads((run.folder / "decision.json").read_text())["threshold"]
    inside = (held["label"] != "out_of_scope").to_numpy()
    assert (stored.scope[inside] >= cut).mean() == pytest.approx(0.95, abs=0.05)


def test_answers_come_with_probabilities_and_scope_of_one_pass(runs):
    run = runs["full"]
    predictions, probabilities, scope = run.answer(TEXTS)
    np.testing.assert_allclose(probabilities, run.predict_proba(TEXTS), atol=1e-6)
    np.testing.assert_array_equal(scope, run.scope(TEXTS))
    assert predictions == run.decide(probabilities, scope=scope) == run.predict(TEXTS)
    with pytest.raises(ConfigError, match=r"scope=run\.scope"):
        run.decide(probabilities)
    assert [p.label for p in run.decide(probabilities, "argmax")] == [run.labels[i] for i in probabilities.argmax(1)]
    features, logits = run.artifact.encoder.outputs(run._prepare(pd.DataFrame({"text": TEXTS})).texts, run._runtime)
    np.testing.assert_allclose(features, run.features(TEXTS), atol=1e-6)
    np.testing.assert_allclose(logits, run.logits(TEXTS), atol=1e-6)


def test_files_tables_and_the_command_line_tell_the_scope(runs, tmp_path):
    run = runs["full"]
    pd.DataFrame({"text": TEXTS}).to_csv(tmp_path / "in.csv", index=False)
    run.predict_file(tmp_path / "in.csv", tmp_path / "out.csv")
    written = pd.read_csv(tmp_path / "out.csv")
    assert written["scope"].tolist() == pytest.approx(run.scope(TEXTS).tolist(), rel=1e-3, abs=1e-2)
    assert run.predict_frame(pd.DataFrame({"text": TEXTS}))["predicted"].tolist() == written["predicted"].tolist()
    said = CliRunner().invoke(cli.app, ["predict", str(run.folder), *TEXTS, "--format", "json"])
    lines = [json.loads(line) for line in said.stdout.splitlines()]
    assert [line["scope"] for line in lines] == pytest.approx(run.scope(TEXTS).tolist(), rel=1e-3, abs=1e-2)
    assert [line["label"] for line in lines] == [p.label for p in run.predict(TEXTS)]


def test_what_asks_a_run_for_decisions_asks_for_scope_as_well(runs, intents):
    run = runs["feature_extraction"]
    assert run.explain(TEXTS[1]).decided == run.predict(TEXTS)[1].label
    found = nlptl.drift(run, intents["validation"], permutations=99)
    assert found.new["rows"] == len(intents["validation"])


def test_another_calibration_leaves_scope_and_answers_as_they_were(runs, tmp_path):
    folder = shutil.copytree(runs["feature_extraction"].folder, tmp_path / "run")
    before = nlptl.load(folder, progress=False)
    after = nlptl.decide(folder, calibration="none")
    methods = [run.artifact.head().calibration.method for run in (before, after)]
    assert methods == ["temperature", "none"]
    assert np.abs(after.predict_proba(TEXTS) - before.predict_proba(TEXTS)).max() > 0
    np.testing.assert_array_equal(after.scope(TEXTS), before.scope(TEXTS))
    assert after.artifact.decision.threshold == pytest.approx(before.artifact.decision.threshold)


def test_a_finished_run_is_cut_anew_without_training(runs, tmp_path):
    folder = shutil.copytree(runs["full"].folder, tmp_path / "run")
    kept = nlptl.load(folder, progress=False).metrics["test"]["decided"]["in_scope_kept"]
    stricter = nlptl.decide(folder, keep=0.6)
    assert stricter.artifact.decision.scorer == "relative_mahalanobis"
    assert stricter.metrics["test"]["decided"]["in_scope_kept"] < kept
    plain = nlptl.decide(folder, "argmax")
    assert "out_of_scope" not in plain.metrics["test"]
    assert "scope" not in pd.read_csv(folder / "predictions.csv")
    energy = nlptl.decide(folder, "out_of_scope", label="out_of_scope", scorer="energy")
    assert energy.artifact.decision.scorer == "energy"
    assert energy.scope(TEXTS)[0] > energy.scope(TEXTS)[1]
    with pytest.raises(ConfigError, match="decision.scorer=knn needs features"):
        nlptl.decide(folder, scorer="knn")
    assert nlptl.load(folder, progress=False).artifact.decision.scorer == "energy"
    assert nlptl.decide(folder, scorer="probability").artifact.head().scorer is None


def test_a_run_without_its_scorer_does_not_open(runs, tmp_path):
    folder = shutil.copytree(runs["full"].folder, tmp_path / "run")
    (folder / FILE).unlink()
    with pytest.raises(ArtifactError, match=f"holds no {FILE}"):
        nlptl.load(folder)


def test_a_run_without_a_scorer_has_no_scope(intents, tmp_path):
    run = train(intents, tmp_path / "run", "probability")
    assert not (run.folder / FILE).exists()
    assert "scorer" not in json.loads((run.folder / "decision.json").read_text())
    assert run.answer(TEXTS).scope is None
    with pytest.raises(ConfigError, match=r"decision\.scorer=auto"):
        run.scope(TEXTS)


def test_out_of_scope_rows_that_only_held_out_splits_have_measure_and_do_not_choose_the_head(intents, tmp_path):
    train_rows = intents["train"][intents["train"]["label"] != "out_of_scope"]
    run = train({**intents, "train": train_rows}, tmp_path / "run", "auto", **{"training.refit": False})
    told = run.metrics["test"]["out_of_scope"]
    assert "out_of_scope" in run.labels
    assert told["roads"]["class"]["out_of_scope_recall"]["value"] < 0.2  # nothing taught it
    assert told["auroc"]["value"] > 0.8
    inside = {s: f[f["label"] != "out_of_scope"] for s, f in intents.items()}
    bare = train(inside, tmp_path / "bare", "auto", **{"training.refit": False, "decision.reject": "always"})
    key = "probe_regularisation"
    assert run.metrics["training"][key] == bare.metrics["training"][key]
    assert "not chosen on this data" in json.loads((bare.folder / "decision.json").read_text())["note"]


def test_after_a_refit_of_the_encoder_no_scorer_of_features_is_fitted(intents, tmp_path):
    small = {split: frame.groupby("label").head(12 if split == "train" else 20) for split, frame in intents.items()}
    with pytest.raises(ConfigError, match="after training.refit those of validation rows are learned from too"):
        train(small, tmp_path / "knn", "knn", "full", **{"training.refit": True})
    run = train(small, tmp_path / "auto", "auto", "full", **{"training.refit": True})
    assert run.artifact.head().scorer is not None
    assert not run.artifact.head().scorer.needs_features


def test_a_setting_that_is_no_scorer_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="Did you mean 'energy'"):
        nlptl.train("chatbot-intent", output=tmp_path / "run", settings={"decision.scorer": "enrgy"})
    with pytest.raises(ConfigError, match=r"decision\.scorer would have no effect"):
        nlptl.train("sentiment", output=tmp_path / "run", settings={"decision.scorer": "energy"})
