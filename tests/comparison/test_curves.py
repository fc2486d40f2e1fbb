"""Bands hold for other seeds and other rows; each metric is resampled as it is."""

import numpy as np
import pytest
from sklearn.metrics import f1_score

from nlptl.comparison.curves import point
from nlptl.runs.answers import SplitAnswers


def right_of(rng, seeds, rows, spread=0.0, level=0.8):
    """Rows differ in how hard they are, the same for each seed; seeds differ in how good they are."""
    hard = np.clip(rng.beta(4, 1, rows), 0, 1) * level / 0.8
    return np.stack(
        [(rng.random(rows) < np.clip(hard + rng.normal(0, spread), 0, 1)).astype(float) for _ in range(seeds)]
    )


def test_bands_hold_the_mean_over_all_seeds_and_rows():
    """Counted over draws of rows and seeds; a band over rows alone, or seeds alone, misses it more often."""
    held = {"both": 0, "one seed's rows": 0}
    draws = 150
    for draw in range(draws):
        rng = np.random.default_rng([3, draw])
        # The truth: rows of Beta(4, 1), so 0.8 on average, whatever the seed.
        right = right_of(rng, 3, 150, spread=0.05)
        low, high = point("8", 40, "accuracy", right, []).band
        held["both"] += low <= 0.785 <= high  # clipping at 1 takes a little off 0.8
        low, high = point("8", 40, "accuracy", right[:1], []).band
        held["one seed's rows"] += low <= 0.785 <= high
    assert held["both"] / draws >= 0.93
    assert held["one seed's rows"] / draws < 0.93


def test_rows_that_all_seeds_share_are_drawn_once_for_all():
    """Three seeds with the same answers say no more of the rows than one does."""
    right = np.tile(right_of(np.random.default_rng(0), 1, 300), (3, 1))
    three, one = point("8", 40, "accuracy", right, []), point("8", 40, "accuracy", right[:1], [])
    assert three.standard_error == pytest.approx(one.standard_error)
    assert three.band == pytest.approx(one.band)


def test_other_metrics_are_resampled_as_they_are():
    rng = np.random.default_rng(1)
    targets = rng.integers(0, 3, 120)
    answers = [
        SplitAnswers((np.eye(3)[targets] + rng.normal(0, 0.8, (120, 3))).astype(np.float32), targets) for _ in range(3)
    ]
    right = np.stack([(each.logits.argmax(1) == targets).astype(float) for each in answers])
    found = point("8", 40, "macro_f1", right, answers)
    expected = [f1_score(targets, each.logits.argmax(1), average="macro") for each in answers]
    assert found.values == pytest.approx(expected)
    low, high = found.band
    assert low < found.mean < high
    assert found.noted()["rows"] == 40
