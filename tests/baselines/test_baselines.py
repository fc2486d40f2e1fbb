"""Each baseline against scikit-learn's own answers, and as a run like any other."""

from __future__ import annotations

import json
import shutil
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import ComplementNB, MultinomialNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.svm import LinearSVC
from sklearn.tree import DecisionTreeClassifier

import nlptl
from nlptl.baselines.bag_of_words import FEATURES, BagOfWords, TextVectors
from nlptl.errors import ArtifactError, ConfigError, DataError, LaunchError
from nlptl.evaluation.probabilities import probabilities_of
from nlptl.registry import BASELINES
from nlptl.runs.artifact import load_artifact
from nlptl.runs.saving import merge_artifact
from nlptl.storage.json_files import read_json

QUIET = {"runtime.progress": False}
each_baseline = pytest.mark.parametrize("name", BASELINES.names())


def matrix_of(rows: int, classes: int, seed: int = 0) -> tuple[Any, np.ndarray]:
    """Sparse rows of length one whose first columns tell their class, more or less."""
    rng = np.random.default_rng(seed)
    targets = np.arange(rows) % classes
    dense = rng.random((rows, 30)) * (rng.random((rows, 30)) < 0.3)
    dense[np.arange(rows), targets] += 0.6
    return sparse.csr_matrix((dense / np.linalg.norm(dense, axis=1, keepdims=True)).astype(np.float32)), targets


def fitted(name: str, setting: dict[str, Any], matrix: Any, targets: np.ndarray, classes: int) -> Any:
    return BASELINES.get(name).fit(matrix, targets, classes, setting, False, 0)


def test_the_names_known_without_scikit_learn_are_those_of_the_baselines():
    assert sorted(BASELINES.names()) == BASELINES.names()


@pytest.mark.parametrize("classes", [2, 4])
@pytest.mark.parametrize(
    ("name", "setting", "peer"),
    [
        ("logistic_regression", {"C": 3.0}, LogisticRegression(C=3.0, max_iter=500, tol=1e-3)),
        ("naive_bayes", {"complement": False, "alpha": 0.1}, MultinomialNB(alpha=0.1)),
    ],
)
def test_probabilities_are_those_of_scikit_learn(name, setting, peer, classes):
    (matrix, targets), (other, _) = matrix_of(80, classes), matrix_of(40, classes, seed=1)
    found = probabilities_of(fitted(name, setting, matrix, targets, classes).logits(other), False)
    np.testing.assert_allclose(found, peer.fit(matrix, targets).predict_proba(other), atol=1e-5)


@pytest.mark.parametrize("classes", [2, 4])
@pytest.mark.parametrize(
    ("name", "setting", "peer"),
    [
        ("linear_svm", {"C": 0.3}, LinearSVC(C=0.3, random_state=0, max_iter=3000)),
        ("naive_bayes", {"complement": True, "alpha": 0.3}, ComplementNB(alpha=0.3)),
        ("knn", {"k": 5}, KNeighborsClassifier(5, metric="cosine", weights=lambda distance: 1 - distance)),
        ("decision_tree", {"depth": None, "leaf": 1}, DecisionTreeClassifier(random_state=0)),
    ],
)
def test_predictions_are_those_of_scikit_learn(name, setting, peer, classes):
    (matrix, targets), (other, _) = matrix_of(80, classes), matrix_of(40, classes, seed=1)
    found = fitted(name, setting, matrix, targets, classes).logits(other).argmax(1)
    np.testing.assert_array_equal(found, peer.fit(matrix, targets).predict(other))
    assert (fitted(name, setting, matrix, targets, classes).logits(matrix).argmax(1) == targets).mean() > 0.8


@each_baseline
def test_a_label_without_a_training_text_is_never_predicted(name):
    matrix, targets = matrix_of(60, 3)
    logits = fitted(name, BASELINES.get(name).grid[0], matrix, targets * 2, 6).logits(matrix)
    assert logits.shape == (60, 6)
    assert np.isfinite(logits).all()
    assert set(logits.argmax(1)) <= {0, 2, 4}


@each_baseline
def test_several_labels_at_once(name):
    matrix, targets = matrix_of(60, 3)
    wanted = np.eye(3, dtype=np.float32)[targets]
    wanted[targets == 0, 1] = 1.0
    wanted = np.hstack([wanted, np.zeros((60, 1), np.float32), np.ones((60, 1), np.float32)])
    setting = BASELINES.get(name).grid[-1] if name != "knn" else {"k": 3}
    share = probabilities_of(fitted(name, setting, matrix, wanted, 5).logits(matrix), True)
    assert ((share >= 0.5) == wanted).mean() > 0.9
    assert (share[:, 3] < 0.5).all()
    assert (share[:, 4] > 0.5).all()


@each_baseline
@pytest.mark.parametrize("features", FEATURES)
def test_what_is_saved_predicts_the_same(name, features, tmp_path):
    frame = pd.DataFrame({"text": ["good film", "bad film", "good", "bad, and long"], "text_pair": list("abcd")})
    frame["text_pair"] += " word"
    vectors = TextVectors.fit(frame, features)
    matrix = vectors.transform(frame)
    assert matrix.shape[1] == vectors.width
    setting = BASELINES.get(name).grid[0]
    model = BagOfWords(vectors, fitted(name, setting, matrix, np.array([0, 1, 0, 1]), 2), name, 0.5)
    model.save(tmp_path)
    other = pd.DataFrame({"text": ["a good bad film", "unseen", ""], "text_pair": ["a word", "word", ""]})
    again = BagOfWords.load(tmp_path)
    np.testing.assert_array_equal(again.logits(other), model.logits(other))
    assert (again.name, again.temperature) == (name, 0.5)
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [".json", ".safetensors"]
    (tmp_path / "baseline.json").write_text(json.dumps({"name": name}))
    with pytest.raises(ArtifactError, match="cannot be opened"):
        BagOfWords.load(tmp_path)


def test_the_second_text_of_a_pair_counts():
    frame = pd.DataFrame({"text": ["same", "same"], "text_pair": ["yes", "no"]})
    first, second = TextVectors.fit(frame, "words").transform(frame).toarray()
    assert not np.allclose(first, second)


def test_texts_without_terms_are_refused():
    with pytest.raises(DataError, match="'text' of the training split holds no word terms"):
        TextVectors.fit(pd.DataFrame({"text": ["!", "?"]}), "words")


@pytest.fixture(scope="module")
def runs(obvious, tmp_path_factory):
    """One run of each baseline."""
    root = tmp_path_factory.mktemp("baselines")
    return {
        name: nlptl.train_baseline("sentiment", model=name, data=obvious, output=root / name, settings=QUIET)
        for name in BASELINES
    }


@each_baseline
def test_a_baseline_is_a_run_like_any_other(runs, obvious, name, tmp_path):
    run = nlptl.load(runs[name].folder)
    assert {path.name for path in run.folder.iterdir()} == {
        *(
            "run.yaml",
            "task.yaml",
            "model",
            "answers.safetensors",
            "calibration.json",
            "decision.json",
            "metrics.json",
            "predictions.csv",
        ),
        *("inputs.json", "README.md", "log.txt", "manifest.json"),
    }
    assert run.metrics["test"]["accuracy"] > 0.9
    table = pd.read_csv(run.folder / "predictions.csv")
    assert [p.label for p in run.predict(table["text"].tolist())] == table["predicted"].tolist()
    np.testing.assert_allclose(run.predict_proba(["a good film", "bad", ""]).sum(1), 1.0, atol=1e-5)
    assert run.evaluate(obvious / "test.csv")["accuracy"] == run.metrics["test"]["accuracy"]
    assert run.predict_file(obvious / "test.csv", tmp_path / "out.csv", all_scores=True) == len(table)
    assert run.predict([]) == []
    assert f"{name} on TF-IDF" in (run.folder / "README.md").read_text()
    assert name in run._repr_html_()
    assert run.artifact.config.mode == "baseline"


def test_a_baselines_run_yaml_repeats_it(runs, obvious, tmp_path):
    first = runs["linear_svm"]
    for call in (nlptl.train, nlptl.train_baseline):
        again = call(config=first.folder / "run.yaml", output=tmp_path / call.__name__)
        assert again.metrics["test"] == first.metrics["test"]
        assert again.artifact.manifest["files"] == first.artifact.manifest["files"]


def test_validation_chooses_and_the_last_fit_has_all_labelled_rows(runs, obvious, tmp_path):
    metrics = runs["knn"].metrics
    tried = metrics["training"]["tried"]
    assert len(tried) == len(BASELINES.get("knn").grid) * 2
    best = max(tried, key=lambda one: (one["accuracy"], -one["loss"]))
    assert {"features": metrics["training"]["features"], **metrics["training"]["setting"]} == {
        key: value for key, value in best.items() if key not in ("accuracy", "loss")
    }
    assert metrics["validation"]["accuracy"] == best["accuracy"]

    def neighbours(run: Any) -> int:
        return len(run.artifact.predictor.model.scorer.targets)

    rows = metrics["data"]
    assert neighbours(runs["knn"]) == rows["train"] + rows["validation"]
    settings = {**QUIET, "training.refit": False, "baseline.features": ["words"]}
    alone = nlptl.train_baseline("sentiment", model="knn", data=obvious, output=tmp_path / "run", settings=settings)
    assert neighbours(alone) == rows["train"]


def test_what_a_baseline_has_not_is_refused_in_words(runs, obvious, tmp_path, monkeypatch):
    def train(**given: Any) -> Any:
        return nlptl.train_baseline("sentiment", data=obvious, output=tmp_path / "run", **given)

    with pytest.raises(ConfigError, match="Did you mean 'linear_svm'"):
        train(model="linear_svn")
    with pytest.raises(ConfigError, match=r"means nothing to knn.*decision_tree, linear_svm, logistic_regression"):
        train(model="knn", settings={"training.class_weights": "balanced"})
    with pytest.raises(ArtifactError, match=r"is a baseline \(knn on TF-IDF\); it has no encoder"):
        merge_artifact(runs["knn"].folder, tmp_path / "merged")
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(LaunchError, match="one process"):
        train()
    assert list(tmp_path.iterdir()) == []


def test_damage_is_found(runs, tmp_path):
    folder = shutil.copytree(runs["naive_bayes"].folder, tmp_path / "run")
    weights = folder / "model" / "baseline.safetensors"
    content = bytearray(weights.read_bytes())
    content[-10] ^= 1
    weights.write_bytes(content)
    with pytest.raises(ArtifactError, match=r"baseline\.safetensors changed or missing"):
        load_artifact(folder)


def test_nothing_is_signed_when_what_was_saved_differs(obvious, tmp_path, monkeypatch):
    load = BagOfWords.load

    def warmer(folder: Any) -> BagOfWords:
        model = load(folder)
        return BagOfWords(model.vectors, model.scorer, model.name, model.temperature * 1.1)

    monkeypatch.setattr(BagOfWords, "load", staticmethod(warmer))
    with pytest.raises(ArtifactError, match="differs from the trained one"):
        nlptl.train_baseline("sentiment", data=obvious, output=tmp_path / "run", settings=QUIET)
    assert not (tmp_path / "run" / "manifest.json").exists()


@pytest.mark.parametrize("name", [name for name in BASELINES if BASELINES.get(name).weighs_labels])
def test_balanced_weights_reach_the_model(name):
    rng = np.random.default_rng(0)
    matrix = sparse.csr_matrix(rng.random((200, 3)).astype(np.float32))
    targets = (rng.random(200) < 0.9).astype(np.int64)  # nothing in the texts says so
    baseline, setting = BASELINES.get(name), {"C": 0.1, "depth": 1, "leaf": 10}
    plain, balanced = (
        probabilities_of(baseline.fit(matrix, targets, 2, setting, weigh, 0).logits(matrix), False)[:, 1].mean()
        for weigh in (False, True)
    )
    assert balanced < plain - 0.05


def test_the_command_compares_all(obvious, tmp_path, monkeypatch):
    from typer.testing import CliRunner

    from nlptl import cli

    monkeypatch.chdir(tmp_path)
    arguments = ["baseline", "sentiment", "--model", "all", "--data", str(obvious), "--output", "here"]
    done = CliRunner().invoke(cli.app, [*arguments, "--set", "runtime.progress=false"])
    assert done.exit_code == 0, done.output
    assert sorted(path.parent.name for path in tmp_path.glob("here/*/manifest.json")) == BASELINES.names()
    for name in BASELINES:
        assert name in done.stdout
    one = CliRunner().invoke(cli.app, ["baseline", "sentiment", "--data", str(obvious), "--shots", "8"])
    assert one.exit_code == 0, one.output
    assert "Three predictions on test rows" in one.stdout
    (folder,) = tmp_path.glob("runs/sentiment-logistic_regression-*")
    noted = read_json(folder / "metrics.json")["data"]
    assert noted["train"] + noted["validation"] <= 2 * 8 + 21
