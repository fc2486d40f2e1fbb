"""Policies that promise something on new rows: the promise is kept as often as was stated."""

import numpy as np
import pytest
from mapie.classification import SplitConformalClassifier
from scipy.stats import beta
from sklearn.base import BaseEstimator, ClassifierMixin

from nlptl.evaluation.decisions import fit_decision
from nlptl.evaluation.decisions.floors import lowest_cut, proportion
from nlptl.evaluation.decisions.policy import NEVER
from nlptl.tasks import DecisionSpec, TaskSpec

LABELS = ["honest", "fraud"]
DRAWS = 200


def task(policy, labels=LABELS, **values):
    return TaskSpec(
        name="x",
        description="d",
        labels=labels,
        positive_label=labels[1],
        decision=DecisionSpec(policy=policy, **values),
    )


def drawn(rng, rows, share=0.2):
    """Rows whose probabilities mean what they say: targets (N,), probabilities (N, 2)."""
    scores = np.where(rng.random(rows) < share, rng.beta(12, 0.8, rows), rng.beta(0.6, 8, rows))
    return (rng.random(rows) < scores).astype(np.int64), np.stack([1 - scores, scores], 1).astype(np.float32)


@pytest.mark.parametrize("floor", [0.85, 0.9])
def test_a_precision_floor_is_missed_on_new_rows_as_seldom_as_was_stated_and_the_first_cut_far_more_often(floor):
    rng, truth = np.random.default_rng(0), drawn(np.random.default_rng(1), 400_000)
    order = np.argsort(-truth[1][:, 1])
    ordered, precision = truth[1][order, 1][::-1], (np.cumsum(truth[0][order]) / np.arange(1, len(order) + 1))[::-1]
    missed, naive, found = 0, 0, 0
    for _ in range(DRAWS):
        targets, probabilities = drawn(rng, 1000)
        decision = fit_decision(task("precision", floor=floor), probabilities, targets)
        if decision.threshold != NEVER:
            found += 1
            missed += precision[np.searchsorted(ordered, decision.threshold)] < floor
        rank = np.argsort(-probabilities[:, 1])
        share = np.cumsum(targets[rank]) / np.arange(1, 1001)
        first = probabilities[rank[np.flatnonzero(share >= floor)[-1]], 1]
        naive += precision[np.searchsorted(ordered, first)] < floor
    assert found > 0.9 * DRAWS
    assert missed <= 0.1 * DRAWS + 3 * np.sqrt(0.09 * DRAWS) / 2
    assert naive > 0.3 * DRAWS


def test_a_recall_floor_and_an_alert_budget_are_kept():
    rng = np.random.default_rng(3)
    big_targets, big = drawn(np.random.default_rng(4), 400_000)
    missed = {"recall": 0, "alerts": 0}
    for _ in range(DRAWS):
        targets, probabilities = drawn(rng, 600)
        recall = fit_decision(task("recall", floor=0.8), probabilities, targets)
        alerts = fit_decision(task("alerts", alerts_per_thousand=50), probabilities, targets)
        missed["recall"] += (big[big_targets == 1, 1] >= recall.threshold).mean() < 0.8
        missed["alerts"] += (big[:, 1] >= alerts.threshold).mean() > 0.05
    assert max(missed.values()) <= 0.1 * DRAWS + 13
    assert min(missed.values()) > 0, "a promise that is never broken asks for more than was stated"


def test_what_no_threshold_reaches_is_said_with_the_rows_that_it_takes():
    rng = np.random.default_rng(0)
    probabilities = np.tile(np.float32([0.5, 0.5]), (300, 1))
    decision = fit_decision(task("precision", floor=0.98), probabilities, rng.integers(0, 2, 300))
    assert decision.threshold == NEVER
    assert "No threshold reaches a precision of 0.98 for 'fraud' with 90% confidence" in decision.note
    assert "at least 114 rows above a threshold without a mistake" in decision.note
    assert set(decision.apply(probabilities, LABELS)[0]) == {"honest"}
    budget = fit_decision(task("alerts", alerts_per_thousand=1), *drawn(rng, 100)[::-1])
    assert budget.threshold == NEVER
    assert "It takes" in budget.note
    recall = fit_decision(task("recall", floor=0.99), *drawn(rng, 100)[::-1])
    assert recall.threshold == 0.5
    assert "validation needs 230 rows with the label" in recall.note


def test_the_bound_is_the_exact_one():
    right = np.array([True] * 60 + [False] * 2 + [True] * 100)
    scores = np.linspace(1, 0, len(right))
    cut = lowest_cut(scores, right, 0.9, 0.9)
    flagged = scores >= cut
    hits, rows = right[flagged].sum(), flagged.sum()
    assert beta.ppf(0.05, hits, rows - hits + 1) >= 0.9
    assert proportion(3, 10)["interval"] == pytest.approx([beta.ppf(0.025, 3, 8), beta.ppf(0.975, 4, 7)])
    assert proportion(0, 0) == {"value": None, "interval": None}


def test_labels_that_tell_nothing_get_no_threshold_that_gains_on_new_rows():
    rng, reached = np.random.default_rng(5), 0
    for _ in range(DRAWS):
        _, probabilities = drawn(rng, 400)
        shuffled = (rng.random(400) < 0.3).astype(np.int64)
        reached += fit_decision(task("precision", floor=0.5), probabilities, shuffled).threshold != NEVER
    assert reached <= 0.1 * DRAWS + 13


def test_costs_weigh_answers():
    probabilities = np.array([[0.97, 0.03], [0.9, 0.1], [0.2, 0.8]], np.float32)
    decision = fit_decision(task("cost", costs={"fraud>honest": 20.0}), probabilities, np.array([0, 1, 1]))
    assert decision.apply(probabilities, LABELS)[0] == ["honest", "fraud", "fraud"]  # 0.03 * 20 < 0.97; 0.1 * 20 > 0.9
    assert decision.measures(["fraud", "honest", "honest"], ["honest", "fraud", "honest"]) == {"mean_cost": 7.0}
    with pytest.raises(ValueError, match="names a label that is not among"):
        task("cost", costs={"fruad>honest": 20.0})
    with pytest.raises(ValueError, match="is not GOLD>ANSWER"):
        task("cost", costs={"fraud": 20.0})


def test_answers_that_are_given_are_right_as_often_as_was_asked():
    rng = np.random.default_rng(6)
    targets, probabilities = drawn(rng, 3000)
    decision = fit_decision(task("abstain", floor=0.97, label="ask"), probabilities, targets)
    targets, probabilities = drawn(rng, 50_000)
    wanted = [LABELS[i] for i in targets]
    found = decision.measures(wanted, decision.apply(probabilities, LABELS)[0])
    assert found["answered_right"] >= 0.97
    assert found["answered"] > 0.5
    nothing = fit_decision(task("abstain", floor=0.999), probabilities[:50], targets[:50])
    assert set(nothing.apply(probabilities[:5], LABELS)[0]) == {"unsure"}
    assert "every text is answered 'unsure'" in nothing.note


class Given(ClassifierMixin, BaseEstimator):
    """What MAPIE asks of a classifier that is fitted already."""

    classes_ = np.arange(4)

    def fit(self, x, y):
        return self

    def __sklearn_is_fitted__(self):
        return True

    def predict_proba(self, x):
        return np.asarray(x)

    def predict(self, x):
        return np.asarray(x).argmax(1)


def many(rng, rows):
    probabilities = rng.dirichlet([0.5] * 4, rows)
    return (probabilities.cumsum(1) > rng.random((rows, 1))).argmax(1), probabilities


@pytest.mark.parametrize("sets", ["lac", "aps", "raps"])
def test_sets_hold_the_true_label_as_often_as_was_asked(sets):
    rng, labels = np.random.default_rng(7), ["a", "b", "c", "d"]
    shares, sizes = [], []
    for _ in range(60):
        targets, probabilities = many(rng, 300)
        decision = fit_decision(task("conformal", labels, coverage=0.9, sets=sets), probabilities, targets)
        targets, probabilities = many(rng, 1000)
        names, _ = decision.apply(probabilities, labels)
        found = decision.measures([labels[i] for i in targets], names)
        shares.append(found["coverage"])
        sizes.append(found["mean_size"])
        assert sets == "lac" or found["empty"] == 0
    assert 0.89 < np.mean(shares) < 0.93
    assert np.mean(sizes) < 3


def test_the_smallest_sets_are_those_of_mapie():
    rng, labels = np.random.default_rng(8), ["a", "b", "c", "d"]
    targets, probabilities = many(rng, 400)
    decision = fit_decision(task("conformal", labels, coverage=0.9), probabilities, targets)
    theirs = SplitConformalClassifier(Given(), confidence_level=0.9, conformity_score="lac", prefit=True)
    theirs.conformalize(probabilities, targets)
    _, new = many(rng, 500)
    held = theirs.predict_set(new)[1][:, :, 0]
    assert [set(names) for names in decision.apply(new, labels)[0]] == [
        {labels[i] for i in np.flatnonzero(row)} for row in held
    ]


def test_with_too_few_rows_every_set_holds_all_labels():
    targets, probabilities = drawn(np.random.default_rng(9), 8)
    decision = fit_decision(task("conformal", coverage=0.9), probabilities, targets)
    assert all(len(names) == 2 for names in decision.apply(probabilities, LABELS)[0])
    assert "validation needs 9 rows; it has 8" in decision.note


def test_coverage_fails_where_new_rows_are_drawn_otherwise():
    rng, labels = np.random.default_rng(10), ["a", "b", "c", "d"]
    targets, probabilities = many(rng, 2000)
    decision = fit_decision(task("conformal", labels, coverage=0.9), probabilities, targets)
    targets, probabilities = many(rng, 2000)
    rare = targets == 3
    shifted = np.roll(probabilities[rare], 1, axis=1)
    found = decision.measures(["d"] * rare.sum(), decision.apply(shifted, labels)[0])
    assert found["coverage"] < 0.8


def test_what_fits_many_numbers_to_validation_is_refused_beside_sets():
    with pytest.raises(ValueError, match=r"conformal needs decision\.calibration auto, temperature or none"):
        task("conformal", calibration="isotonic")
