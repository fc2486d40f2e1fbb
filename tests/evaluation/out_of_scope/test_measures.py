"""Which side is which, by vectors made by hand; the numbers beside scikit-learn's; intervals that cover."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from nlptl.evaluation.out_of_scope.measures import auroc, auroc_difference, separation, share
from nlptl.evaluation.out_of_scope.report import scope_report

# Twenty in-scope rows score 1 to 20. Five out-of-scope rows score 0, three of them below any; two pass high.
IN_SCOPE = np.repeat([True, False], [20, 5])
SCORES = np.concatenate([np.arange(1, 21), [0.0, 0.1, 0.2, 1.5, 19.5]])


def test_a_hand_made_vector_fixes_sign_and_side():
    found = {name: measured.value for name, measured in separation(SCORES, IN_SCOPE).items()}
    # Pairs where the in-scope row is above: 20 for each of three, 19 for the fourth, 1 for the last.
    assert found["auroc"] == pytest.approx((60 + 19 + 1) / 100)
    # 95 % of 20 rows are 19: the cut is at 2, and of five out-of-scope rows one passes.
    assert found["fpr_at_95_in_scope"] == pytest.approx(1 / 5)
    # From the bottom: 3 of 3, then an in-scope row, 4 of 5, and the last after 23 of 24.
    assert found["aupr_out"] == pytest.approx((1 + 1 + 1 + 4 / 5 + 5 / 24) / 5)
    assert found["aupr_in"] == pytest.approx(average_precision_score(IN_SCOPE, SCORES))
    assert found["aupr_in"] > 0.85 > found["aupr_out"]


def test_scores_turned_round_are_as_bad_as_they_were_good():
    assert auroc(SCORES, IN_SCOPE) + auroc(-SCORES, IN_SCOPE) == pytest.approx(1)
    perfect = separation(np.where(IN_SCOPE, 1.0, 0.0), IN_SCOPE)
    assert [measured.value for measured in perfect.values()] == [1, 1, 1, 0]


@pytest.mark.parametrize("seed", range(3))
def test_measures_are_those_of_scikit_learn_with_ties(seed):
    rng = np.random.default_rng(seed)
    inside = rng.random(400) < 0.8
    scores = np.round(rng.normal(size=400) + inside, 1)
    found = separation(scores, inside, draws=5)
    assert found["auroc"].value == pytest.approx(roc_auc_score(inside, scores))
    assert found["aupr_in"].value == pytest.approx(average_precision_score(inside, scores))
    assert found["aupr_out"].value == pytest.approx(average_precision_score(~inside, -scores))


def test_intervals_hold_the_truth_about_as_often_as_they_say():
    rng, truth, held = np.random.default_rng(0), 0.7602, 0  # of two normals one apart: Phi(1 / sqrt(2))
    for draw in range(200):
        scores = np.concatenate([rng.normal(1, 1, 120), rng.normal(0, 1, 60)])
        interval = separation(scores, np.repeat([True, False], [120, 60]), seed=draw, draws=200)["auroc"]
        held += interval.low <= truth <= interval.high
    assert 0.88 <= held / 200 <= 0.99


def test_a_difference_of_two_scorers_has_the_error_that_other_rows_show():
    rng, inside = np.random.default_rng(0), np.repeat([True, False], [80, 40])

    def drawn():
        common = rng.normal(size=120) + 1.2 * inside
        first, second = (common + rng.normal(size=120) * noise for noise in (0.5, 1.0))
        return auroc_difference(first, second, inside), auroc(first, inside) - auroc(second, inside)

    found = [drawn() for _ in range(300)]
    assert all(each[0][0] == pytest.approx(each[1]) for each in found)
    assert np.mean([each[0][1] for each in found]) == pytest.approx(np.std([each[1] for each in found]), rel=0.15)
    assert auroc_difference(SCORES, SCORES, IN_SCOPE) == (0, 0)


def test_a_side_without_rows_has_no_measure():
    assert separation(SCORES[:20], IN_SCOPE[:20]) == {}
    assert np.isnan(auroc(SCORES[:20], IN_SCOPE[:20]))
    assert share(np.zeros(0, bool)) is None


def test_the_report_tells_both_roads_apart():
    labels = ["a", "b", "oos"]
    probabilities = np.array([[0.8, 0.1, 0.1], [0.1, 0.8, 0.1], [0.1, 0.2, 0.7], [0.6, 0.3, 0.1], [0.2, 0.2, 0.6]])
    targets, scope = np.array([0, 1, 2, 2, 1]), np.array([3.0, 0.5, 2.0, 0.2, 5.0])
    told = scope_report(labels, "oos", scope, probabilities, targets, threshold=1.0)
    roads = {
        name: [road[key]["value"] for key in ("in_scope_kept", "in_scope_accuracy", "out_of_scope_recall")]
        for name, road in told["roads"].items()
    }
    assert (told["in_scope_rows"], told["out_of_scope_rows"]) == (3, 2)
    assert told["in_scope_accuracy"]["value"] == pytest.approx(2 / 3)
    assert roads["scorer"] == pytest.approx([2 / 3, 1 / 3, 1 / 2])
    assert roads["class"] == pytest.approx([2 / 3, 2 / 3, 1 / 2])
    assert roads["both"] == pytest.approx([1 / 3, 1 / 3, 1])
    assert [*scope_report(labels[:2], "oos", scope, probabilities[:, :2], targets % 2, 1.0)["roads"]] == ["scorer"]
