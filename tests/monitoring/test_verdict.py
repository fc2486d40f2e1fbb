"""A difference counts where it is no chance and large enough; nothing else is called drift."""

import pytest

from nlptl.monitoring.two_sample import ShiftTest
from nlptl.monitoring.verdict import ACCURACY, BELOW, NO_SIGN, SCORES, TEXTS, Floors, auc_facts, judged, verdict_of

QUIET = [
    ShiftTest("classifier", 0.51, 0.4, 0.51, 0.5),
    ShiftTest("mmd", 0.0, 0.5, 0.5, 0.5),
    ShiftTest("scores", 0.04, 0.6, 0.04, 0.03),
    ShiftTest("labels", 3.0, 0.7, 0.05, 0.05),
]


def with_one(name: str, effect: float, p: float, by_chance: float = 0.05) -> list[ShiftTest]:
    """The quiet tests, one of them replaced or added."""
    others = [test for test in QUIET if test.name != name]
    return [*others, ShiftTest(name, effect, p, effect, by_chance)]


@pytest.mark.parametrize(
    ("tests", "verdict"),
    [
        (QUIET, NO_SIGN),
        (with_one("classifier", 0.75, 0.001), TEXTS),
        (with_one("mmd", 0.75, 0.001), TEXTS),
        (with_one("scores", 0.3, 0.001), SCORES),
        (with_one("labels", 0.3, 0.001), SCORES),
        (with_one("accuracy", -0.1, 0.001), ACCURACY),
        # Many rows make any difference significant.
        (with_one("classifier", 0.53, 1e-6), BELOW),
        (with_one("scores", 0.05, 1e-6), BELOW),
        (with_one("accuracy", -0.01, 1e-6), BELOW),
        # Few rows and many labels: a large share changes by chance alone.
        (with_one("labels", 0.3, 1e-6, by_chance=0.25), BELOW),
        # Large, but chance gives as much.
        (with_one("classifier", 0.75, 0.2), NO_SIGN),
        # Below 0.05 alone, but not among four tests.
        (with_one("classifier", 0.75, 0.02), NO_SIGN),
        # Better than before is no drift.
        (with_one("accuracy", 0.1, 0.001), NO_SIGN),
    ],
)
def test_verdicts(tests, verdict):
    assert verdict_of(judged(tests, Floors())) == verdict


def test_several_signs_stand_side_by_side_and_floors_can_be_moved():
    tests = [*with_one("classifier", 0.7, 0.001)[:-1], ShiftTest("classifier", 0.7, 0.001, 0.7, 0.5)]
    tests = [test for test in tests if test.name != "scores"] + [ShiftTest("scores", 0.2, 0.001, 0.2, 0.03)]
    assert verdict_of(judged(tests, Floors())) == f"{TEXTS}, {SCORES}"
    assert verdict_of(judged(tests, Floors(auc=0.8))) == SCORES
    assert verdict_of(judged(tests, Floors(auc=0.8, change=0.5))) == BELOW


def test_the_smallest_shift_knows_the_floor_as_well_as_chance():
    import numpy as np

    rng = np.random.default_rng(0)
    few = auc_facts(0.5, rng.normal(0.5, 0.06, 999), 100, 50, 4, Floors())
    many = auc_facts(0.5, rng.normal(0.5, 0.01, 999), 5000, 5000, 4, Floors())
    assert not few["rows_suffice"]
    assert many["rows_suffice"]
    assert few["smallest_seen"] > many["smallest_seen"] > 0.6
    assert few["smallest_shift_seen"] > many["smallest_shift_seen"] > 0.36
