"""A run compared with words alone: the same rows, the best by validation, an exact test, and nothing twice."""

import json

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binomtest

import nlptl
from nlptl.errors import ConfigError
from nlptl.evaluation.wording import comparison_sentences
from nlptl.registry import BASELINES
from nlptl.runs.claims import read_inputs
from tests.conftest import QUICK


@pytest.fixture(scope="module")
def compared(tiny, reviews, tmp_path_factory):
    folder = tmp_path_factory.mktemp("compared") / "run"
    settings = {**QUICK, "model.pooling": "mean"}
    return nlptl.train(
        "sentiment",
        data=reviews,
        checkpoint=tiny["bert"],
        mode="feature_extraction",
        shots=20,
        output=folder,
        compare=True,
        settings=settings,
    )


def test_baselines_learn_from_the_very_same_rows(compared):
    own = {name: digest for name, digest in read_inputs(compared.folder).items() if name != "checkpoint"}
    assert {name.partition(" rows of ")[0] for name in own} == {"task sentiment", "train", "validation", "test"}
    for name in BASELINES:
        home = compared.folder / "baselines" / name
        assert read_inputs(home) == own
        assert nlptl.load(home).predict(["a good film"])


def test_the_best_is_chosen_on_validation_and_tested_on_test(compared):
    facts = compared.metrics["comparison"]
    assert facts["baselines"].keys() == set(BASELINES)
    highest = max(values["validation"] for values in facts["baselines"].values())
    assert facts["baselines"][facts["best"]]["validation"] == highest
    tables = [
        pd.read_csv(folder / "predictions.csv")
        for folder in (compared.folder, compared.folder / "baselines" / facts["best"])
    ]
    right = [(table["most_probable"] == table["label"]).to_numpy() for table in tables]
    won, lost = (right[0] & ~right[1]).sum(), (right[1] & ~right[0]).sum()
    assert facts["right"]["p"] == pytest.approx(binomtest(int(won), int(won + lost)).pvalue)
    assert facts["right"]["run"] == pytest.approx(compared.metrics["test"]["accuracy"])
    assert facts["right"]["baseline"] == pytest.approx(right[1].mean())
    assert facts["right"]["rows"] == len(tables[0])
    np.testing.assert_array_equal(tables[0]["text"], tables[1]["text"])


def test_run_and_card_say_it_in_words(compared):
    said = comparison_sentences(compared.metrics["comparison"])
    assert said in (compared.folder / "README.md").read_text()
    assert f"TF-IDF + {compared.metrics['comparison']['best']}, the best of {len(BASELINES)} on validation" in said
    assert "31 test rows, one seed" in said


@pytest.mark.parametrize(
    ("mean", "p", "outcome"),
    [(0.12, 0.001, "better"), (-0.12, 0.001, "worse"), (0.12, 0.2, "no clear difference")],
)
def test_words_follow_the_test(mean, p, outcome):
    right = {"run": 0.7, "baseline": 0.7 - mean, "difference": mean, "standard_error": 0.04, "margin": 0.08}
    facts = {
        "best": "knn",
        "metric": "macro_f1",
        "baselines": {"knn": {"validation": 0.5, "test": 0.25}},
        "run": {"validation": 0.6, "test": 0.75},
        "right": {**right, "p": p, "rows": 200},
    }
    said = comparison_sentences(facts)
    assert f"): {outcome}." in said
    assert f"{100 * mean:+.1f} points (95 % interval {100 * mean - 8:+.1f} to {100 * mean + 8:+.1f}, p" in said
    assert "macro_f1, not tested: 0.2500 and 0.7500." in said


def test_a_finished_run_is_compared_later_without_training_it_again(compared, tiny, reviews, tmp_path):
    asked = {
        "data": reviews,
        "checkpoint": tiny["bert"],
        "mode": "full",
        "output": tmp_path / "run",
        "settings": QUICK,
    }
    alone = nlptl.train("sentiment", **asked)
    assert "comparison" not in alone.metrics
    weights = {path: path.stat().st_mtime_ns for path in (alone.folder / "model").rglob("*") if path.is_file()}
    later = nlptl.train(config=alone.folder / "run.yaml", output=alone.folder, compare=True)
    assert later.metrics["comparison"]["best"] in BASELINES
    assert {path: path.stat().st_mtime_ns for path in weights} == weights
    fitted = (alone.folder / "baselines" / "knn" / "metrics.json").stat().st_mtime_ns
    again = nlptl.train("sentiment", **asked, compare=True, resume=True)
    assert again.metrics["comparison"] == later.metrics["comparison"]
    assert (alone.folder / "baselines" / "knn" / "metrics.json").stat().st_mtime_ns == fitted


def test_other_data_are_still_refused_in_that_folder(compared, obvious, tiny):
    with pytest.raises(nlptl.NlptlError, match="holds a finished run"):
        nlptl.train("sentiment", data=obvious, checkpoint=tiny["bert"], output=compared.folder, compare=True)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"settings": {"baseline.model": "knn"}}, "nlptl baseline --model all"),
        ({"strategy": "domain_adaptation"}, "compared with the source alone"),
        ({"settings": {"baseline.features": ["word"]}}, "baseline.features"),
    ],
)
def test_what_cannot_be_compared_is_refused_before_training(asked, message, tmp_path):
    with pytest.raises(ConfigError, match=message):
        nlptl.train("sentiment", output=tmp_path / "run", compare=True, **asked)
    assert not list(tmp_path.iterdir())


def test_a_baseline_that_cannot_be_loaded_is_told_before_training(monkeypatch, tiny, tmp_path):
    monkeypatch.setattr(BASELINES, "_entries", dict(BASELINES.entries()))
    BASELINES.add("broken", "nowhere:at_all")
    with pytest.raises(ConfigError, match=r"'broken' \(nowhere:at_all\) fails to load"):
        nlptl.train("sentiment", checkpoint=tiny["bert"], output=tmp_path / "run", compare=True)
    assert not list(tmp_path.iterdir())


def test_class_weights_reach_those_that_weigh_labels(compared, tiny, reviews, tmp_path):
    run = nlptl.train(
        "sentiment",
        data=reviews,
        checkpoint=tiny["bert"],
        mode="feature_extraction",
        output=tmp_path / "run",
        compare=True,
        settings={**QUICK, "training.class_weights": "balanced"},
    )
    stated = {
        name: nlptl.load(run.folder / "baselines" / name).artifact.config.training.class_weights for name in BASELINES
    }
    assert stated == {name: "balanced" if BASELINES.get(name).weighs_labels else "none" for name in BASELINES}


def test_several_labels_at_once_are_compared_too(tiny, tmp_path):
    rows = [
        {"text": f"a {word} {thing} in round {i}", "label": "|".join(labels)}
        for i in range(12)
        for word, thing, labels in (
            ("good", "film", ["art"]),
            ("bad", "meal", ["food"]),
            ("good", "meal", ["art", "food"]),
        )
    ]
    task = tmp_path / "tasks" / "topics"
    task.mkdir(parents=True)
    (task / "task.yaml").write_text(
        json.dumps({"name": "topics", "description": "d", "kind": "multi_label", "labels": ["art", "food"]})
    )
    run = nlptl.train(
        "topics",
        data=pd.DataFrame(rows),
        tasks_dir=tmp_path / "tasks",
        checkpoint=tiny["bert"],
        mode="feature_extraction",
        output=tmp_path / "run",
        compare=True,
        settings=QUICK,
    )
    assert run.metrics["comparison"]["right"]["run"] == pytest.approx(run.metrics["test"]["accuracy"])
