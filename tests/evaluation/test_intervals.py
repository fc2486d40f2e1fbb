"""Intervals cover as often as they say, and are those of the textbook where there is one."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np
import pytest
from sklearn import metrics as sk

from nlptl.evaluation.intervals import (
    Interval,
    matrix_intervals,
    metric_intervals,
    of_area,
    of_draws,
    of_mean,
    of_share,
    score_intervals,
)


@pytest.fixture
def random():
    return np.random.default_rng(5)


def answers(random, rows, labels=3, sure=1.5):
    """Gold labels, and probabilities of a model that is often right."""
    targets = random.integers(labels, size=rows)
    logits = random.normal(size=(rows, labels)) + sure * np.eye(labels)[targets]
    odds = np.exp(logits)
    return odds / odds.sum(1, keepdims=True), targets


@pytest.mark.parametrize(
    ("hits", "rows", "low", "high"), [(0, 10, 0.0, 0.2775), (5, 10, 0.2366, 0.7634), (81, 263, 0.2553, 0.3662)]
)
def test_shares_have_the_interval_of_wilson(hits, rows, low, high):
    """Newcombe (1998, table I) has 81 of 263; the others follow from the formula."""
    assert of_share(hits, rows) == pytest.approx((low, high), abs=1e-4)


def test_no_rows_no_interval():
    assert of_share(0, 0) is None
    assert of_mean(np.array([1.0])) is None
    assert of_draws(np.full(9, 0.5), 0.5) is None
    assert metric_intervals(np.zeros((0, 2)), np.zeros(0, int), None) == {}
    assert matrix_intervals(np.zeros((2, 2), int)) == ({"accuracy": None, "macro_f1": None, "micro_f1": None}, [])


def test_intervals_cover_the_value_of_many_rows(random):
    """95 % of intervals hold the value that two hundred thousand rows have; 150 draws of 300 rows."""
    probabilities, targets = answers(random, 200_000)
    predicted, scores = probabilities.argmax(1), probabilities[:, 1]
    truth = {
        "accuracy": np.mean(predicted == targets),
        "macro_f1": sk.f1_score(targets, predicted, average="macro"),
        "average_precision": sk.average_precision_score(targets == 1, scores),
        "roc_auc": sk.roc_auc_score(targets == 1, scores),
        "loss": sk.log_loss(targets, probabilities),
    }
    held = dict.fromkeys(truth, 0)
    for start in range(0, 150 * 300, 300):
        rows = slice(start, start + 300)
        found = metric_intervals(probabilities[rows], targets[rows], 1, seed=start)
        for name, value in truth.items():
            held[name] += found[name].low <= value <= found[name].high
    for name, count in held.items():
        most = 150 if name == "average_precision" else 149  # which is wider than need be
        assert 0.89 * 150 <= count <= most, (name, count)  # 95 % would be 142; the standard error is 2.7


def test_drawing_cells_is_drawing_rows(random):
    """The bootstrap over cells of the confusion matrix has the spread of one over rows."""
    probabilities, targets = answers(random, 400)
    predicted = probabilities.argmax(1)
    matrix = sk.confusion_matrix(targets, predicted)
    drawn = [random.integers(400, size=400) for _ in range(400)]
    values = [sk.f1_score(targets[rows], predicted[rows], average="macro") for rows in drawn]
    by_row = of_draws(np.array(values), sk.f1_score(targets, predicted, average="macro"))
    by_cell = matrix_intervals(matrix)[0]["macro_f1"]
    assert by_cell == pytest.approx(by_row, abs=0.012)


def test_macro_f1_of_many_labels_is_covered_or_has_no_interval(random):
    """Of forty labels and 400 rows, where plain percentiles hold it less than 90 times of 100; none for 100 rows."""

    def drawn(rows):
        probabilities, targets = answers(random, rows, labels=40, sure=3.0)
        return sk.confusion_matrix(targets, probabilities.argmax(1), labels=range(40))

    def macro(matrix):
        return float(np.mean(2 * np.diag(matrix) / (matrix.sum(0) + matrix.sum(1))))

    truth = macro(drawn(200_000))
    found = [matrix_intervals(drawn(400), seed=i)[0]["macro_f1"] for i in range(80)]
    assert sum(low <= truth <= high for low, high in found) >= 0.88 * 80
    assert matrix_intervals(drawn(100))[0]["macro_f1"] is None


def test_labels_have_intervals_of_their_own(random):
    _, each = matrix_intervals(np.array([[90, 10], [5, 15]]))
    assert each[1]["recall"] == of_share(15, 20)
    assert each[1]["precision"] == of_share(15, 25)
    f1 = each[1]["f1"]
    assert f1.low < 2 * 15 / (20 + 25) < f1.high


def test_scores_that_separate_without_a_mistake_are_not_believed_to(random):
    """Twelve positive rows above all others: the bootstrap would say that the area is 1, and no less."""
    wanted = np.arange(100) >= 88
    found = score_intervals(np.linspace(0, 1, 100), wanted)
    assert found["roc_auc"].high == 1
    assert 0.8 < found["roc_auc"].low < 0.99
    assert found["average_precision"] == of_share(12, 12)


def test_areas_near_one_are_covered(random):
    """Few positive rows and an area of .98, where percentiles of the bootstrap hold it 71 times of 100; 300 draws."""
    held = 0
    for _ in range(300):
        wanted = np.arange(100) < 12
        interval = score_intervals(random.normal(size=100) + 2.9 * wanted, wanted)["roc_auc"]
        held += interval.low <= NormalDist().cdf(2.9 / 2**0.5) <= interval.high
    assert held >= 0.91 * 300


def test_the_interval_of_an_area_is_newcombes():
    """Its ends are the areas that lie 1.96 of their own standard errors away (Hanley & McNeil 1982)."""
    low, high = of_area(0.9, 30, 70)
    for true in (low, high):
        pairs = true * (1 - true) * (1 + 49 * ((1 - true) / (2 - true) + true / (1 + true))) / (30 * 70)
        assert abs(0.9 - true) / pairs**0.5 == pytest.approx(1.96, abs=1e-3)
    assert low < 0.9 < high
    assert of_area(0.0, 5, 5).low == 0 < of_area(0.0, 5, 5).high
    assert of_area(0.5, 0, 5) is None


def test_means_of_which_few_values_are_large_are_covered(random):
    """Of exponentials of normal values; the normal interval holds the mean less often. 400 draws of 200 rows."""
    truth, held, plain = np.exp(1.2**2 / 2), 0, 0
    for _ in range(400):
        values = np.exp(random.normal(scale=1.2, size=200))
        low, high = of_mean(values)
        held += low <= truth <= high
        plain += abs(values.mean() - truth) <= 1.96 * values.std(ddof=1) / 200**0.5
    assert plain < held
    assert held >= 0.91 * 400


def test_several_labels_at_once(random):
    targets = (random.random((500, 4)) < 0.3).astype(np.float32)
    probabilities = np.clip(0.4 * targets + 0.6 * random.random((500, 4)), 0, 1)
    found = metric_intervals(probabilities, targets, None)
    predicted = probabilities >= 0.5
    macro = sk.f1_score(targets, predicted, average="macro")
    assert found["macro_f1"].low < macro < found["macro_f1"].high
    assert found["accuracy"] == of_share(int((predicted == targets).all(1).sum()), 500)
    assert "average_precision" not in found


def test_one_label_alone_has_no_area():
    assert score_intervals(np.array([0.1, 0.2]), np.array([True, True])) == {"average_precision": None, "roc_auc": None}


def test_an_interval_reads_as_text():
    assert str(Interval(0.12345, 0.5)) == "0.123 to 0.500"
