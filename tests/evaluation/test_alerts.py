"""Average precision with an interval, and recall at alert budgets."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from nlptl.evaluation import alerts
from nlptl.evaluation.alerts import alert_report


def rows(count: int, seed: int = 0, share: float = 0.1) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    positive = rng.random(count) < share
    return rng.normal(size=count) + 2.0 * positive, positive


def test_average_precision_is_scikit_learns_ties_included():
    scores, positive = rows(400)
    for each in (scores, scores.round(0)):
        assert alert_report(each, positive)["average_precision"] == pytest.approx(
            average_precision_score(positive, each)
        )


def test_a_budget_flags_the_highest_scores_and_never_more():
    positive = np.zeros(1000, bool)
    positive[[0, 5, 15, 30]] = True
    found = alert_report(-np.arange(1000.0), positive)["recall_at"]
    assert [found[str(budget)]["recall"] for budget in (10, 20, 50)] == [0.5, 0.75, 1.0]
    assert [found[str(budget)]["precision"] for budget in (10, 20, 50)] == [0.2, 0.15, 0.08]
    tied = -np.arange(1000.0)
    tied[8:40] = -8.0  # 32 rows of one score: a budget of 20 takes none of them
    assert alert_report(tied, positive)["recall_at"]["20"]["recall"] == 0.5


def test_intervals_cover_what_other_rows_of_the_kind_give():
    """Of 40 draws of 400 rows, the 95 % interval holds the value on very many rows in nearly all."""
    truth = alert_report(*rows(60_000, seed=99))
    covered = {"average_precision": 0, "20": 0}
    for seed in range(40):
        found = alert_report(*rows(400, seed))
        low, high = found["interval"]
        covered["average_precision"] += low <= truth["average_precision"] <= high
        low, high = found["recall_at"]["20"]["interval"]
        covered["20"] += low <= truth["recall_at"]["20"]["recall"] <= high
    assert all(34 <= count <= 40 for count in covered.values()), covered


def test_blocks_of_draws_change_nothing(monkeypatch):
    scores, positive = rows(200)
    whole = alert_report(scores, positive)
    monkeypatch.setattr(alerts, "CELLS", 30_000)
    assert alert_report(scores, positive) == whole


def test_without_rows_of_both_kinds_there_is_nothing_to_say():
    assert alert_report(np.zeros(3), np.zeros(3, bool)) == {}
    assert alert_report(np.zeros(0), np.zeros(0, bool)) == {}


def test_runs_of_a_task_with_a_positive_label_report_it(trained_tiny):
    found = trained_tiny("bert", "feature_extraction").run.metrics["test"]["alerts"]
    assert set(found["recall_at"]) == {"10", "20", "50", "100"}
    assert found["interval"][0] <= found["average_precision"] <= found["interval"][1]
