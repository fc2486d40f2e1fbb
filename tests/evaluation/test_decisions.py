import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import f1_score

from nlptl.errors import ArtifactError
from nlptl.evaluation.decisions import Decision, fit_decision
from nlptl.evaluation.evaluator import probabilities_of
from nlptl.registry import POLICIES
from nlptl.tasks import DecisionSpec, TaskSpec

LABELS = ["no", "yes", "other"]


def task(policy: str, labels=LABELS, kind="single_label", label="other", **values) -> TaskSpec:
    return TaskSpec(
        name="x",
        description="d",
        kind=kind,
        labels=list(labels),
        positive_label="yes" if "yes" in labels else None,
        decision=DecisionSpec(policy=policy, label=label, **values),
    )


def scored(classes: int, rows: int = 300, seed: int = 0, several: bool = False):
    rng = np.random.default_rng(seed)
    targets = (rng.random((rows, classes)) < 0.3).astype(np.float32) if several else rng.integers(0, classes, rows)
    signal = targets if several else np.eye(classes)[targets]
    return probabilities_of(rng.normal(size=(rows, classes)) + 1.5 * signal - 1.0, several), targets


def test_argmax_is_the_most_probable():
    probabilities, targets = scored(3)
    names, scores = fit_decision(task("argmax"), probabilities, targets).apply(probabilities, LABELS)
    assert names == [LABELS[i] for i in probabilities.argmax(1)]
    assert scores.tolist() == probabilities.max(1).tolist()


# threshold


@pytest.mark.parametrize("seed", range(5))
def test_threshold_maximises_f1(seed):
    probabilities, targets = scored(2, seed=seed)
    decision = fit_decision(task("threshold", ["no", "yes"]), probabilities, targets)

    def f1(cut):
        return f1_score(targets == 1, probabilities[:, 1] >= cut)

    best = max(f1(cut) for cut in [*probabilities[:, 1], 0.5])
    assert f1(decision.threshold) == pytest.approx(best)
    assert decision.threshold not in probabilities[:, 1]


def test_threshold_is_what_predicts():
    decision = Decision("threshold", 0.3, "yes")
    probabilities = np.array([[0.6, 0.3, 0.1], [0.5, 0.2, 0.3], [0.1, 0.29, 0.61], [0.0, 1.0, 0.0]])
    names, scores = decision.apply(probabilities, LABELS)
    assert names == ["yes", "no", "other", "yes"]
    assert scores.tolist() == [0.3, 0.5, 0.61, 1.0]


@pytest.mark.parametrize("only", [0, 1])
def test_threshold_without_both_kinds_of_rows_stays_at_a_half(only):
    decision = fit_decision(task("threshold", ["no", "yes"]), np.array([[0.7, 0.3]] * 4), np.full(4, only))
    assert decision.threshold == 0.5


# out of scope


@pytest.mark.parametrize("keep", [0.5, 0.9, 0.95, 0.99])
@pytest.mark.parametrize("rows", [3, 20, 61, 300])
def test_out_of_scope_keeps_its_share_of_in_scope_rows(keep, rows):
    probabilities, targets = scored(3, rows)
    inside = probabilities[targets != 2][:, :2].max(1)
    decision = fit_decision(task("out_of_scope", keep=keep), probabilities, targets)
    kept = (inside >= decision.threshold).mean()
    assert kept >= keep - 1e-9
    assert kept - 1 / len(inside) < keep - 1e-9


def test_out_of_scope_without_such_a_label_in_the_data():
    probabilities, targets = scored(3)
    decision = fit_decision(task("out_of_scope", label="elsewhere"), probabilities, targets)
    names, _ = decision.apply(probabilities, LABELS)
    assert np.mean([name != "elsewhere" for name in names]) >= 0.95
    assert "elsewhere" in names


def test_out_of_scope_is_the_best_label_or_none_other_reaches_the_cut():
    probabilities = np.array([[0.5, 0.3, 0.2], [0.45, 0.35, 0.2], [0.2, 0.2, 0.6], [0.3, 0.3, 0.4]])
    names, scores = Decision("out_of_scope", 0.5, "other").apply(probabilities, LABELS)
    assert names == ["no", "other", "other", "other"]
    assert scores.tolist() == [0.5, 0.45, 0.6, 0.4]


def test_out_of_scope_with_no_in_scope_rows_rejects_nothing():
    decision = fit_decision(task("out_of_scope"), np.array([[0.1, 0.1, 0.8]]), np.array([2]))
    assert decision.apply(np.array([[0.4, 0.3, 0.3]]), LABELS)[0] == ["no"]


# several labels


def test_several_labels():
    probabilities = np.array([[0.6, 0.5, 0.1], [0.1, 0.2, 0.3]])
    names, scores = fit_decision(task("argmax", kind="multi_label"), probabilities, probabilities > 1).apply(
        probabilities, LABELS
    )
    assert names == [["no", "yes"], []]
    assert scores.tolist() == [0.6, 0.3]


def test_threshold_of_several_labels_maximises_micro_f1():
    probabilities, targets = scored(3, several=True)
    decision = fit_decision(task("threshold", kind="multi_label"), probabilities, targets)

    def f1(cut):
        return f1_score(targets.ravel(), probabilities.ravel() >= cut)

    assert f1(decision.threshold) == pytest.approx(max(f1(cut) for cut in probabilities.ravel()))


def test_a_threshold_of_zero_is_not_the_default():
    assert Decision("multi_label", 0.0).apply(np.array([[0.1, 0.0]]), ["a", "b"])[0] == [["a", "b"]]
    assert Decision("multi_label", None).apply(np.array([[0.1, 0.5]]), ["a", "b"])[0] == [["b"]]


# JSON


@pytest.mark.parametrize(
    "decision",
    [Decision(), Decision("threshold", 0.1, "yes"), Decision("out_of_scope", 1 / 3, "é"), Decision("multi_label", 0.5)],
)
def test_json_round_trip(decision):
    assert Decision.from_json(json.loads(json.dumps(decision.to_json()))) == decision


@pytest.mark.parametrize("name", POLICIES.names())
@pytest.mark.parametrize("kind", ["single_label", "multi_label"])
def test_every_fitted_policy_decides_the_same_after_json(name, kind):
    if (name, kind) == ("out_of_scope", "multi_label"):
        return
    probabilities, targets = scored(3, several=kind == "multi_label")
    decision = fit_decision(task(name, kind=kind), probabilities, targets)
    again = Decision.from_json(json.loads(json.dumps(decision.to_json())))
    assert again.apply(probabilities, LABELS)[0] == decision.apply(probabilities, LABELS)[0]


@pytest.mark.parametrize(
    "values",
    [
        {"policy": "guess"},
        {"policy": ["argmax"]},
        {"policy": "threshold", "threshold": "high"},
        {"policy": "threshold", "threshold": float("nan")},
        {"policy": "threshold", "threshold": None, "label": "yes", "extra": 1},
    ],
)
def test_a_damaged_decision_is_refused(values):
    with pytest.raises(ArtifactError, match=r"decision\.json"):
        Decision.from_json(values)


# anything


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_any_scores_can_be_fitted_and_decided(data):
    classes, rows = data.draw(st.integers(2, 5)), data.draw(st.integers(1, 12))
    several = data.draw(st.booleans())
    labels = ["no", "yes", "other", "d", "e"][:classes]
    finite = st.floats(-1e4, 1e4, width=32)
    probabilities = probabilities_of(data.draw(arrays(np.float32, (rows, classes), elements=finite)), several)
    if several:
        targets = data.draw(arrays(np.float32, (rows, classes), elements=st.sampled_from([0.0, 1.0])))
    else:
        targets = data.draw(arrays(np.int64, rows, elements=st.integers(0, classes - 1)))
    policy = data.draw(st.sampled_from([p for p in POLICIES.names() if not (several and p == "out_of_scope")]))
    spec = task(policy, labels, "multi_label" if several else "single_label")
    decision = Decision.from_json(json.loads(json.dumps(fit_decision(spec, probabilities, targets).to_json())))
    names, scores = decision.apply(probabilities, labels)
    assert len(names) == len(scores) == rows
    assert ((scores >= 0) & (scores <= 1)).all()
    allowed = {*labels, "other"}
    assert all(set(name) <= allowed if several else name in allowed for name in names)
    assert decision.apply(probabilities[:0], labels)[0] == []
