"""Several models teach one."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
import torch

import nlptl
from nlptl.errors import NlptlError
from nlptl.evaluation.probabilities import probabilities_of
from nlptl.objectives.classification import Classification
from nlptl.objectives.distillation import Distillation
from nlptl.strategies import distillation
from tests.conftest import LEARN_TINY, QUICK


def test_the_loss_is_that_of_the_label_of_the_teacher_or_of_both():
    logits = torch.tensor([[2.0, 0.5, -1.0], [0.0, 1.0, 0.5], [0.3, 0.2, 0.1]])
    said = torch.tensor([[0.5, 0.3, 0.2], [0.2, 0.7, 0.1], [0.1, 0.1, 0.8]])
    labels = torch.tensor([0, 2, -1])
    targets = torch.cat([said, labels[:, None].float()], 1)
    gold = Classification()(logits[:2], labels[:2])
    student = (logits / 3).log_softmax(1)
    taught = (said * (said.log() - student)).sum(1) * 9
    torch.testing.assert_close(Distillation(3.0, 0.0)(logits, targets), torch.cat([gold, taught[2:]]))
    torch.testing.assert_close(Distillation(3.0, 1.0)(logits, targets), taught)
    both = torch.cat([0.25 * taught[:2] + 0.75 * gold, taught[2:]])
    torch.testing.assert_close(Distillation(3.0, 0.25)(logits, targets), both)


def settings(**more):
    return {**QUICK, **LEARN_TINY, "model.pooling": "mean", **{key.replace("__", "."): v for key, v in more.items()}}


@pytest.fixture(scope="module")
def teachers(trained_tiny):
    return [trained_tiny("bert", mode, "mean").run for mode in ("full", "lora")]


def test_runs_teach_a_student_of_fewer_layers_on_texts_without_labels(teachers, tiny, obvious, tmp_path, monkeypatch):
    test = pd.read_csv(obvious / "test.csv")["text"]
    texts = [f"a {word} {thing} in round 7" for word in ("good", "bad") for thing in ("film", "meal", "song")]
    (tmp_path / "texts.txt").write_text("\n".join([*texts, *test[:3]]))
    seen = []
    build = distillation._examples
    monkeypatch.setattr(distillation, "_examples", lambda *given: seen.append(build(*given)) or seen[-1])
    run = nlptl.train(
        "sentiment", data=obvious, output=tmp_path / "student", strategy="distillation", checkpoint=tiny["bert"],
        settings=settings(
            distillation__teachers=[str(teacher.folder) for teacher in teachers],
            distillation__texts=str(tmp_path / "texts.txt"),
            distillation__layers=1,
            distillation__temperature=1.0,
        ),
    )  # fmt: skip
    told = run.metrics["distillation"]
    assert (told["texts"], told["layers"]) == (len(texts), 1)
    for teacher in teachers:
        assert told["teachers"][teacher.folder.name]["test"] == pytest.approx(teacher.metrics["test"]["accuracy"])
    # What is learned of the texts is the mean of what the teachers say of them, before calibration.
    expected = np.mean([probabilities_of(teacher.logits(texts), False) for teacher in teachers], 0)
    np.testing.assert_allclose(seen[0].targets[-len(texts) :, :-1], expected, atol=1e-4)
    assert (seen[0].targets[-len(texts) :, -1] == -1).all()
    # The student reopens with its one layer, and answers as it was measured.
    again = nlptl.load(run.folder)
    assert again.artifact.classifier.depth == 1
    said = again.predict_proba(list(test)).argmax(1)
    gold = pd.read_csv(obvious / "test.csv")["label"].map(again.labels.index)
    assert (said == gold).mean() == pytest.approx(run.metrics["test"]["accuracy"])


def test_seeds_of_one_run_teach_where_no_teachers_are_named(tiny, obvious, tmp_path):
    run = nlptl.train(
        "sentiment", data=obvious, output=tmp_path / "run", strategy="distillation",
        checkpoint=tiny["bert"], mode="lora", settings=settings(distillation__members=2),
    )  # fmt: skip
    told = run.metrics["distillation"]
    assert list(told["teachers"]) == ["seed 0", "seed 1"]
    assert set(told["ensemble"]) == {"validation", "test"}
    assert not (run.folder / "state").exists()


def test_the_mean_is_over_probabilities_at_the_temperature():
    logits = [np.array([[2.0, 0.0]], np.float32), np.array([[0.0, 4.0]], np.float32)]
    expected = (probabilities_of(logits[0] / 2, False) + probabilities_of(logits[1] / 2, False)) / 2
    np.testing.assert_allclose(distillation._mean(logits, 2.0), expected)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"mode": "feature_extraction"}, "The strategy 'distillation' trains the encoder"),
        (
            {"mode": "lora", "settings": {"distillation.layers": 1}},
            "distillation.layers would have no effect: mode",
        ),
        ({"settings": {"distillation.layers": 9}}, r"9 layers are to be kept .* but the encoder has 2 layers"),
        ({"settings": {"distillation.texts": "no-such.txt"}}, "no-such.txt does not exist"),
        ({"strategy": "soup", "settings": {"distillation.weight": 0.1}}, "it belongs to strategy distillation"),
    ],
)
def test_what_cannot_be_taught_is_refused(teachers, tiny, obvious, tmp_path, more, message):
    values = {"strategy": "distillation", "checkpoint": tiny["bert"], **more}
    named = {"distillation.teachers": [str(teachers[0].folder)]} if values["strategy"] == "distillation" else {}
    with pytest.raises(NlptlError, match=message):
        nlptl.train(
            "sentiment", data=obvious, output=tmp_path / "run", **{**values, "settings": {
                **QUICK, **named, **values.get("settings", {})}},
        )  # fmt: skip


def test_a_teacher_of_other_labels_is_refused(tiny, obvious, tmp_path):
    frame = pd.read_csv(obvious / "train.csv").assign(label=lambda rows: rows["label"].str.upper())
    other = nlptl.train(
        "chatbot-intent", data=frame, output=tmp_path / "other", checkpoint=tiny["bert"], settings=QUICK
    )
    with pytest.raises(NlptlError, match=r"has other labels than sentiment: it lacks \['negative', 'positive'\]"):
        nlptl.train(
            "sentiment", data=obvious, output=tmp_path / "run", strategy="distillation", checkpoint=tiny["bert"],
            settings={**QUICK, "distillation.teachers": [str(other.folder)]},
        )  # fmt: skip
    assert not json.loads((other.folder / "metrics.json").read_text()).get("distillation")


def test_a_teacher_that_is_not_there_is_refused_before_anything_is_written(obvious, tmp_path):
    values = {"distillation.teachers": [str(tmp_path / "nobody")]}
    with pytest.raises(NlptlError, match=r"The teacher .*nobody is no finished run \(distillation\.teachers\)"):
        nlptl.train("sentiment", data=obvious, output=tmp_path / "run", strategy="distillation", settings=values)
    assert not (tmp_path / "run").exists()
