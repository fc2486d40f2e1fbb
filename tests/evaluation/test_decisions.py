import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from pydantic import ValidationError
from sklearn.metrics import f1_score

from nlptl.errors import ArtifactError, ConfigError
from nlptl.evaluation.decisions import fit_decision, most_probable, open_decision
from nlptl.evaluation.decisions.argmax import Argmax, EveryLabel
from nlptl.evaluation.decisions.out_of_scope import OutOfScope
from nlptl.evaluation.decisions.policy import FEWEST_ROWS
from nlptl.evaluation.decisions.threshold import Threshold
from nlptl.evaluation.probabilities import probabilities_of
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


ASKED = {
    "precision": {"floor": 0.6},
    "recall": {"floor": 0.6},
    "alerts": {"alerts_per_thousand": 100},
    "cost": {"costs": {"yes>no": 20.0}},
    "abstain": {"floor": 0.5},
}
"""What each policy cannot do without."""
ONE_LABEL = ("out_of_scope", "cost", "conformal", "abstain")


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
    decision = Threshold(threshold=0.3, label="yes")
    probabilities = np.array([[0.6, 0.3, 0.1], [0.5, 0.2, 0.3], [0.1, 0.29, 0.61], [0.0, 1.0, 0.0]])
    names, scores = decision.apply(probabilities, LABELS)
    assert names == ["yes", "no", "other", "yes"]
    assert scores.tolist() == [0.3, 0.5, 0.61, 1.0]


def rows_with(positives: int, others: int, seed: int = 0):
    """Probabilities that would be fitted far from a half: positives score 0.2, others 0.1, give or take."""
    rng = np.random.default_rng(seed)
    targets = np.repeat([1, 0], [positives, others])
    score = np.where(targets == 1, 0.2, 0.1) + rng.uniform(-0.05, 0.05, len(targets))
    return np.stack([1 - score, score], 1), targets


@pytest.mark.parametrize(
    ("positives", "others", "few"),
    [
        (0, 50, "0 of the 10 rows with 'yes'"),
        (1, 50, "1 of the 10 rows with 'yes'"),
        (FEWEST_ROWS - 1, 500, "9 of the 10 rows with 'yes'"),
        (50, 0, "0 of the 10 rows without 'yes'"),
        (50, FEWEST_ROWS - 1, "9 of the 10 rows without 'yes'"),
    ],
)
def test_the_threshold_stays_at_a_half_where_validation_has_too_few_rows_and_says_so(positives, others, few):
    decision = fit_decision(task("threshold", ["no", "yes"]), *rows_with(positives, others))
    assert (decision.threshold, decision.label) == (0.5, "yes")
    assert "stays at 0.5" in decision.note
    assert few in decision.note
    assert json.loads(json.dumps(decision.to_json()))["note"] == decision.note


def test_the_threshold_is_fitted_from_enough_rows_on():
    decision = fit_decision(task("threshold", ["no", "yes"]), *rows_with(FEWEST_ROWS, FEWEST_ROWS))
    assert 0.1 < decision.threshold < 0.2
    assert decision.note is None
    assert "note" not in decision.to_json()


# out of scope


@pytest.mark.parametrize("keep", [0.5, 0.9, 0.95, 0.99])
@pytest.mark.parametrize("rows", [200, 331, 1000])
def test_out_of_scope_keeps_its_share_of_in_scope_rows(keep, rows):
    probabilities, targets = scored(3, rows)
    inside = probabilities[targets != 2][:, :2].max(1)
    decision = fit_decision(task("out_of_scope", keep=keep), probabilities, targets)
    kept = (inside >= decision.threshold).mean()
    assert kept >= keep - 1e-9
    assert kept - 1 / len(inside) < keep - 1e-9


def test_without_such_a_row_the_most_probable_label_is_the_answer_and_the_note_says_what_rejecting_costs():
    probabilities, targets = scored(3)
    decision = fit_decision(task("out_of_scope", label="elsewhere"), probabilities, targets)
    assert decision.policy == "argmax"
    names, scores = decision.apply(probabilities, LABELS)
    assert names == [LABELS[i] for i in probabilities.argmax(1)]
    rejecting = fit_decision(task("out_of_scope", label="elsewhere", reject="always"), probabilities, targets)
    refused, right = scores < rejecting.threshold, probabilities.argmax(1) == targets
    told = f"would lose {refused[right].mean():.1%} of the rows answered right"
    if not right.all():
        told += f" and {refused[~right].mean():.1%} of those answered wrong"
    assert told in decision.note
    assert "--set decision.reject=always (keep 95%)" in decision.note
    assert open_decision(json.loads(json.dumps(decision.to_json()))) == decision


def test_rejection_is_off_where_it_is_asked_to_be():
    probabilities, targets = scored(3)
    decision = fit_decision(task("out_of_scope", reject="never"), probabilities, targets)
    assert (decision.policy, decision.note) == ("argmax", None)


def test_out_of_scope_without_such_a_label_in_the_data_where_rejection_is_asked_for():
    probabilities, targets = scored(3)
    decision = fit_decision(task("out_of_scope", label="elsewhere", reject="always"), probabilities, targets)
    names, _ = decision.apply(probabilities, LABELS)
    assert np.mean([name != "elsewhere" for name in names]) >= 0.95
    assert "elsewhere" in names


def test_out_of_scope_is_the_best_label_or_none_other_reaches_the_cut():
    probabilities = np.array([[0.5, 0.3, 0.2], [0.45, 0.35, 0.2], [0.2, 0.2, 0.6], [0.3, 0.3, 0.4]])
    names, scores = OutOfScope(threshold=0.5, label="other").apply(probabilities, LABELS)
    assert names == ["no", "other", "other", "other"]
    assert scores.tolist() == [0.5, 0.45, 0.6, 0.4]


@pytest.mark.parametrize(("keep", "rows"), [(0.95, 0), (0.95, 1), (0.95, 19), (0.99, 99), (0.5, FEWEST_ROWS - 1)])
def test_out_of_scope_with_too_few_in_scope_rows_rejects_nothing_and_says_so(keep, rows):
    probabilities = np.concatenate([np.tile([0.9, 0.05, 0.05], (rows, 1)), np.tile([0.1, 0.1, 0.8], (4, 1))])
    decision = fit_decision(task("out_of_scope", keep=keep), probabilities, np.repeat([0, 2], [rows, 4]))
    assert decision.apply(np.array([[0.4, 0.3, 0.3], [0.3, 0.3, 0.4]]), LABELS)[0] == ["no", "other"]
    assert f"has {rows} of the" in decision.note
    one_more = np.concatenate([probabilities, np.tile([0.9, 0.05, 0.05], (200, 1))])
    fitted = fit_decision(task("out_of_scope", keep=keep), one_more, np.repeat([0, 2, 0], [rows, 4, 200]))
    assert (fitted.threshold, fitted.note) == (0.9, None)


def test_rejection_that_is_asked_for_says_where_validation_has_no_out_of_scope_row():
    probabilities, targets = scored(3)
    decision = fit_decision(task("out_of_scope", reject="always"), probabilities[targets != 2], targets[targets != 2])
    assert "no row labelled 'other'" in decision.note
    assert 0 < decision.threshold < 1


# several labels


def test_several_labels():
    probabilities = np.array([[0.6, 0.5, 0.1], [0.1, 0.2, 0.3]])
    names, scores = fit_decision(task("argmax", kind="multi_label"), probabilities, probabilities > 1).apply(
        probabilities, LABELS
    )
    assert names == [["no", "yes"], []]
    assert scores.tolist() == [0.6, 0.3]


def test_each_of_several_labels_has_the_threshold_of_its_best_f1():
    probabilities, targets = scored(3, several=True)
    decision = fit_decision(task("threshold", kind="multi_label"), probabilities, targets)

    def f1(label, cut):
        return f1_score(targets[:, label], probabilities[:, label] >= cut)

    for i, label in enumerate(LABELS):
        best = max(f1(i, cut) for cut in probabilities[:, i])
        assert f1(i, decision.thresholds[label]) == pytest.approx(best)
    assert decision.note is None


def test_thresholds_of_labels_are_what_predicts():
    decision = EveryLabel(threshold=0.5, thresholds={"b": 0.2})
    assert decision.apply(np.array([[0.4, 0.3], [0.6, 0.1]]), ["a", "b"])[0] == [["b"], ["a"]]


def test_a_label_with_few_rows_has_the_common_threshold_which_maximises_micro_f1():
    probabilities, targets = scored(3, several=True)
    targets[np.flatnonzero(targets[:, 2])[FEWEST_ROWS - 1 :], 2] = 0.0
    decision = fit_decision(task("threshold", kind="multi_label"), probabilities, targets)

    def f1(cut):
        return f1_score(targets.ravel(), probabilities.ravel() >= cut)

    candidates = np.quantile(probabilities, np.linspace(0, 1, 99))
    assert f1(decision.threshold) >= max(f1(cut) for cut in candidates)
    assert set(decision.thresholds) == {"no", "yes"}
    assert decision.note.startswith("'other': decided by the common threshold")


def test_several_labels_without_enough_positives_stay_at_a_half():
    probabilities, targets = scored(3, several=True)
    few = np.zeros_like(targets)
    few[: FEWEST_ROWS - 1, 0] = 1.0
    decision = fit_decision(task("threshold", kind="multi_label"), probabilities, few)
    assert decision.threshold == 0.5
    assert "9 of the 10 labels given to rows" in decision.note
    assert fit_decision(task("threshold", kind="multi_label"), probabilities, 0 * few).threshold == 0.5


def test_labels_that_validation_lacks_have_no_say_in_the_common_threshold():
    probabilities, targets = scored(3, several=True)
    probabilities[:, 2], targets[:, 2] = 0.99, 0.0  # the untaught label is always sure of itself
    decision = fit_decision(task("threshold", kind="multi_label"), probabilities, targets)
    two = fit_decision(task("threshold", LABELS[:2], kind="multi_label"), probabilities[:, :2], targets[:, :2])
    assert decision.threshold == two.threshold < 0.9
    assert "'other': decided by the common threshold" in decision.note
    assert two.note is None


def test_a_threshold_of_zero_is_not_the_default():
    assert EveryLabel(threshold=0.0).apply(np.array([[0.1, 0.0]]), ["a", "b"])[0] == [["a", "b"]]
    assert EveryLabel().apply(np.array([[0.1, 0.5]]), ["a", "b"])[0] == [["b"]]


# JSON


@pytest.mark.parametrize(
    "decision",
    [
        Argmax(),
        Threshold(threshold=0.1, label="yes"),
        Threshold(threshold=0.5, label="yes", note="too few rows"),
        OutOfScope(threshold=1 / 3, label="é"),
        EveryLabel(threshold=0.5),
        EveryLabel(threshold=0.5, thresholds={"é": 0.25}),
    ],
)
def test_json_round_trip(decision):
    assert open_decision(json.loads(json.dumps(decision.to_json()))) == decision


@pytest.mark.parametrize(
    ("written", "opened"),
    [
        ({"policy": "argmax", "threshold": None, "label": None}, Argmax()),
        ({"policy": "threshold", "threshold": 0.25, "label": "yes"}, Threshold(threshold=0.25, label="yes")),
        ({"policy": "out_of_scope", "threshold": 0.4, "label": "oos"}, OutOfScope(threshold=0.4, label="oos")),
        ({"policy": "multi_label", "threshold": 0.5, "label": None}, EveryLabel(threshold=0.5)),
    ],
)
def test_decisions_of_older_runs_open(written, opened):
    assert open_decision(written) == opened


def test_a_policy_that_calls_itself_otherwise_is_refused_before_it_is_saved(monkeypatch):
    monkeypatch.setattr(Threshold, "policy", "treshold")
    with pytest.raises(ConfigError, match=r"'threshold' \(nlptl.*Threshold\) calls itself 'treshold'"):
        fit_decision(task("threshold", ["no", "yes"]), *rows_with(20, 20))


def test_the_decision_without_a_policy():
    assert most_probable(several_labels=False) == Argmax()
    assert most_probable(several_labels=True) == EveryLabel(threshold=0.5)


@pytest.mark.parametrize("name", POLICIES.names())
@pytest.mark.parametrize("kind", ["single_label", "multi_label"])
def test_every_fitted_policy_decides_the_same_after_json(name, kind):
    if kind == "multi_label" and name in ONE_LABEL:
        with pytest.raises(ValidationError, match=f"decision.policy {name} needs kind single_label"):
            task(name, kind=kind, **ASKED.get(name, {}))
        return
    probabilities, targets = scored(3, several=kind == "multi_label")
    decision = fit_decision(task(name, kind=kind, **ASKED.get(name, {})), probabilities, targets)
    again = open_decision(json.loads(json.dumps(decision.to_json())))
    assert again.apply(probabilities, LABELS)[0] == decision.apply(probabilities, LABELS)[0]


@pytest.mark.parametrize(
    "values",
    [
        {"policy": "guess"},
        {"policy": ["argmax"]},
        {"policy": None},
        {},
        {"policy": "threshold", "threshold": "high"},
        {"policy": "threshold", "threshold": True},
        {"policy": "threshold", "threshold": 0.5, "label": 3},
        {"policy": "argmax", "note": ["a", "b"]},
        {"policy": "threshold", "threshold": float("nan")},
        {"policy": "threshold", "threshold": None, "label": "yes", "extra": 1},
        {"policy": "multi_label", "threshold": 0.5, "thresholds": [0.5]},
        {"policy": "multi_label", "threshold": 0.5, "thresholds": {"yes": "high"}},
    ],
)
def test_a_damaged_decision_is_refused(values):
    with pytest.raises(ArtifactError, match=r"decision\.json"):
        open_decision(values)


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
    policy = data.draw(st.sampled_from([p for p in POLICIES.names() if not (several and p in ONE_LABEL)]))
    spec = task(policy, labels, "multi_label" if several else "single_label", **ASKED.get(policy, {}))
    decision = open_decision(json.loads(json.dumps(fit_decision(spec, probabilities, targets).to_json())))
    names, scores = decision.apply(probabilities, labels)
    assert len(names) == len(scores) == rows
    assert ((scores >= 0) & (scores <= 1)).all()
    allowed = {*labels, "other"}
    sets = several or decision.gives_sets
    assert all(set(name) <= allowed if sets else name in allowed for name in names)
    assert decision.apply(probabilities[:0], labels)[0] == []
