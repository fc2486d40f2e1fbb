"""Labels needed: the power law is found again, doubts are told, and no number is given where none can be."""

import numpy as np
import pytest

from nlptl.comparison.curves import Point
from nlptl.comparison.extrapolation import FARTHEST, labels_needed, predict_largest

ROWS = (40, 160, 640, 2560, 10240)


def law(rows, a=2.0, b=0.4, c=0.05):
    return 1 - (a * rows**-b + c)


def points(means, rows=ROWS, noise=0.004, seed=0):
    rng = np.random.default_rng(seed)
    return [
        Point(str(n), n, (mean,) * 3, mean + rng.normal(0, noise, 300)) for n, mean in zip(rows, means, strict=False)
    ]


def test_a_power_law_is_found_again():
    found = labels_needed(points([law(n) for n in ROWS]), "accuracy", law(20_000), labels=10)
    assert found.refusal is None
    assert found.rows == pytest.approx(20_000, rel=0.05)
    assert found.low < 20_000
    assert found.per_label == pytest.approx(found.rows / 10)
    assert (found.law.b, found.law.c) == (pytest.approx(0.4, abs=0.02), pytest.approx(0.05, abs=0.01))
    assert "labelled rows (95 % interval" in found.sentence("lora")


def test_a_target_inside_the_curve_is_interpolated():
    found = labels_needed(points([law(n) for n in ROWS]), "accuracy", law(1000))
    assert found.rows == pytest.approx(1000, rel=0.1)
    assert found.low <= found.rows <= found.high < 1500


def test_intervals_of_noisy_curves_hold_the_truth():
    held = 0
    for seed in range(6):
        rng = np.random.default_rng([7, seed])
        noisy = [law(n) + rng.normal(0, 0.004) for n in ROWS]
        found = labels_needed(points(noisy, seed=seed), "accuracy", law(15_000))
        held += found.rows is not None and found.low <= 15_000 and (found.high is None or found.high >= 15_000)
    assert held >= 5


def test_the_largest_size_is_hidden_and_predicted():
    check = predict_largest(points([law(n) for n in ROWS]))
    assert check["size"] == str(ROWS[-1])
    assert check["times"] == 4
    assert check["error"] == pytest.approx(0, abs=0.005)
    bent = [*(law(n) for n in ROWS[:-1]), law(ROWS[-2])]  # what came before promised more
    found = labels_needed(points(bent), "accuracy", 0.9)
    assert found.check["error"] > 0.01
    assert "OUTSIDE" in found.sentence("full")


def test_three_sizes_are_too_few():
    found = labels_needed(points([law(n) for n in ROWS[:3]]), "accuracy", 0.9)
    assert found.rows is None
    assert "4 sizes or more; there are 3" in found.refusal
    assert "cannot be told" in found.sentence("lora")


def test_a_curve_that_falls_has_no_number_and_noise_is_no_fall():
    falling = [0.7, 0.8, 0.86, 0.78, 0.85]
    found = labels_needed(points(falling), "accuracy", 0.87)
    assert found.rows is None
    assert "falls from 0.860" in found.refusal
    wavy = [law(n) for n in ROWS]
    wavy[3] = wavy[2] - 0.002
    assert labels_needed(points(wavy), "accuracy", 0.85).refusal is None


def test_nothing_is_told_beyond_four_times_the_largest_size():
    curve = points([law(n) for n in ROWS])
    assert labels_needed(curve, "accuracy", law(3.9 * ROWS[-1])).rows is not None
    beyond = labels_needed(curve, "accuracy", law(4.5 * ROWS[-1]))
    assert beyond.rows is None
    assert f"beyond {FARTHEST * ROWS[-1]:,} labelled rows" in beyond.refusal
    never = labels_needed(curve, "accuracy", 0.99)
    assert "levels off at 0.95" in never.refusal


def test_an_upper_end_beyond_that_is_not_told_either():
    found = labels_needed(points([law(n) for n in ROWS], noise=0.02), "accuracy", law(3.5 * ROWS[-1]))
    assert found.rows is not None
    assert found.high is None
    assert "to more than can be told" in found.sentence("lora")


def test_a_flat_curve_promises_nothing():
    assert labels_needed(points([0.8] * 5), "accuracy", 0.9).rows is None
