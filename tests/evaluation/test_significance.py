"""Words must be carried by numbers: how often equal methods are told apart, and unequal ones are not."""

from itertools import combinations

import numpy as np
import pytest
from scipy.stats import binom, ttest_rel

from nlptl.evaluation.significance import (
    BETTER,
    NO_DIFFERENCE,
    TOO_FEW_SEEDS,
    WORSE,
    Difference,
    corrected,
    estimated,
    holm,
    over_different_rows,
    over_rows,
    over_seeds,
    over_seeds_and_rows,
    sentence,
    spread_over_seeds,
)
from nlptl.evaluation.wording import adaptation_sentence

DRAWS = 200
# In 999 of 1000 repetitions, no more of the draws come out wrong when each does with probability 0.05.
MOST = int(binom.ppf(0.999, DRAWS, 0.05))


def seeds(rng: np.random.Generator, gain: float, count: int = 5) -> tuple[list[float], list[float]]:
    """Accuracies of two methods: a part that the seed's data give both, a part of each method's own."""
    shared, own = rng.normal(0.8, 0.02, count), rng.normal(0, 0.005, (2, count))
    return (shared + own[0] + gain).tolist(), (shared + own[1]).tolist()


def rows(rng: np.random.Generator, gain: float, count: int = 300) -> tuple[np.ndarray, np.ndarray]:
    """Which rows two models have right: they agree on most."""
    easy = rng.random(count) < 0.7
    first, second = rng.random(count) < 0.5 + gain, rng.random(count) < 0.5 - gain
    return (easy | first).astype(float), (easy | second).astype(float)


def both(rng: np.random.Generator, gain: float) -> tuple[np.ndarray, np.ndarray]:
    """(5 seeds, 200 rows): scores that vary by seed, by row, and for themselves."""
    noise = [rng.normal(0, 0.3, (5, 1)) + rng.normal(0, 0.5, (1, 200)) + rng.normal(0, 1, (5, 200)) for _ in range(2)]
    return noise[0] + gain, noise[1]


@pytest.mark.parametrize(("test", "draw"), [(over_seeds, seeds), (over_rows, rows), (over_seeds_and_rows, both)])
def test_equal_methods_are_rarely_told_apart_and_unequal_ones_mostly(test, draw):
    outcomes = [test(*draw(np.random.default_rng(number), 0.0)).outcome for number in range(DRAWS)]
    assert outcomes.count(BETTER) + outcomes.count(WORSE) <= MOST
    large = {seeds: 0.04, rows: 0.2, both: 2.0}[draw]
    found = [test(*draw(np.random.default_rng(number), large)).outcome for number in range(DRAWS)]
    assert found.count(BETTER) >= 0.95 * DRAWS
    lost = [test(*reversed(draw(np.random.default_rng(number), large))).outcome for number in range(20)]
    assert lost.count(WORSE) >= 18


def test_several_comparisons_of_equal_methods_rarely_hold_a_false_one():
    """Ten controls beside each other: without the correction two of five such tables would claim something."""
    claimed = uncorrected = 0
    for number in range(DRAWS):
        rng = np.random.default_rng(number)
        found = [over_seeds(*seeds(rng, 0.0)) for _ in range(10)]
        uncorrected += any(one.outcome != NO_DIFFERENCE for one in found)
        claimed += any(one.outcome != NO_DIFFERENCE for one in corrected(found))
    assert claimed <= MOST < uncorrected


def test_holms_correction_is_the_published_one():
    found = [Difference(1.0, 1.0, 1.0, p, 5) for p in (0.01, 0.04, 0.03, 0.005)] + [Difference(1.0, 0.0, None, None, 5)]
    assert [one.p for one in corrected(found)] == [
        pytest.approx(0.03),
        pytest.approx(0.06),
        pytest.approx(0.06),
        0.02,
        None,
    ]
    assert [one.comparisons for one in corrected(found)] == [4, 4, 4, 4, 1]
    assert corrected([]) == []
    assert [one.p for one in corrected([Difference(1.0, 1.0, 1.0, p, 5) for p in (0.6, 0.9)])] == [1.0, 1.0]


def test_one_and_two_seeds_never_say_that_something_helps():
    for first, second in (([0.9], [0.1]), ([0.90, 0.92], [0.1, 0.12001])):
        found = over_seeds(first, second)
        assert (found.outcome, found.p) == (TOO_FEW_SEEDS, None)
        assert sentence("A", "B", found).endswith("too few seeds to say.")
    assert over_seeds_and_rows(np.ones((2, 50)), np.zeros((2, 50))).outcome == TOO_FEW_SEEDS


def test_the_test_over_seeds_is_the_paired_t_test():
    first, second = seeds(np.random.default_rng(0), 0.01)
    found, peer = over_seeds(first, second), ttest_rel(first, second)
    assert found.p == pytest.approx(peer.pvalue)
    low, high = peer.confidence_interval(0.95)
    assert (found.mean - found.margin, found.mean + found.margin) == (pytest.approx(low), pytest.approx(high))


def test_a_difference_must_hold_for_seeds_and_for_rows():
    rng = np.random.default_rng(0)
    # The same few rows are won by every seed: no sign that other rows would be.
    lucky = np.zeros((5, 40))
    lucky[:, :2] = 1.0
    lucky += rng.normal(0, 1e-3, lucky.shape)
    found = over_seeds_and_rows(lucky, np.zeros_like(lucky))
    assert over_seeds(lucky.mean(1), np.zeros(5)).outcome == BETTER
    assert (found.outcome, found.rows) == (NO_DIFFERENCE, 40)
    # All rows of one seed: no sign that other seeds would do as well.
    one_seed = rng.normal(0, 1e-3, (5, 40))
    one_seed[0] += 1.0
    assert over_rows(one_seed.mean(0), np.zeros(40)).outcome == BETTER
    assert over_seeds_and_rows(one_seed, np.zeros_like(one_seed)).outcome == NO_DIFFERENCE


def test_words():
    assert (
        sentence("A", "B", Difference(0.0031, 0.0008, 0.002, 0.01, 5))
        == "A beats B by 0.31 ± 0.20 (p = 0.010, 5 seeds)."
    )
    worse = Difference(-0.02, 0.001, 0.003, 0.0004, 3, comparisons=4)
    assert sentence("A", "B", worse) == (
        "A is worse than B by 2.00 ± 0.30 (p < 0.001 after Holm's correction for 4 comparisons, 3 seeds)."
    )
    unclear = Difference(0.0031, 0.003, 0.008, 0.1, 5, rows=300)
    assert (
        sentence("A", "B", unclear) == "A against B: +0.31 ± 0.80 (p = 0.100, 5 seeds, 300 rows): no clear difference."
    )
    same = over_seeds([0.9, 0.8, 0.7], [0.9, 0.8, 0.7])
    assert sentence("A", "B", same) == "A against B: +0.00 (3 seeds, the same in each): no test can be made."
    assert same.outcome == NO_DIFFERENCE
    assert over_seeds([0.9] * 4, [0.5] * 4).outcome == NO_DIFFERENCE


def test_rows_that_no_model_wins_say_nothing():
    found = over_rows([1.0, 0.0, 1.0], [1.0, 0.0, 1.0])
    assert (found.mean, found.p, found.outcome) == (0.0, 1.0, NO_DIFFERENCE)
    # Five rows to none: an exact test knows that a coin does as much once in sixteen.
    assert over_rows(np.ones(5), np.zeros(5)).p == pytest.approx(1 / 16)


@pytest.mark.parametrize(("first", "second"), [([], []), ([0.5], [0.5, 0.6]), ([[0.5]], [[0.6]])])
def test_unpaired_scores_are_refused(first, second):
    with pytest.raises(ValueError, match="as many scores"):
        over_seeds(first, second)


def test_a_verdict_of_one_standard_error_is_not_repeated():
    """Older runs noted `helped` from one standard error on, without p; newer ones note p."""
    facts = {
        "method": "coral",
        "doubts": [],
        "comparison": {"gain": 0.033, "standard_error": 0.029, "verdict": "helped"},
    }
    assert adaptation_sentence(facts) == (
        "Adapting made no clear difference: accuracy on the target's test rows +0.0330 (standard error 0.0290, "
        "p = 0.255; one run)."
    )
    facts["comparison"] |= {"standard_error": 0.01}
    assert adaptation_sentence(facts).startswith("Adapting helped: ")
    facts["comparison"] |= {"gain": -0.033, "p": 0.01, "verdict": "hurt"}
    assert adaptation_sentence(facts).startswith("Adapting HURT: ")
    facts["comparison"] |= {"p": 0.06}
    assert adaptation_sentence(facts).startswith("Adapting made no clear difference: ")
    assert estimated(0.0, 0.0).outcome == NO_DIFFERENCE


def test_holm_is_the_step_down_correction():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []


def test_accuracy_on_different_rows_is_compared_unpaired():
    rng = np.random.default_rng(5)
    alarms = sum(
        over_different_rows((rng.random(80) < 0.8).astype(float), (rng.random(300) < 0.8).astype(float)).p < 0.05
        for _ in range(DRAWS)
    )
    assert alarms <= MOST
    fallen = over_different_rows([1.0] * 60 + [0.0] * 40, [1.0] * 90 + [0.0] * 10)
    assert fallen.outcome == WORSE
    assert fallen.mean == pytest.approx(-0.3)
    assert fallen.interval == pytest.approx((-0.413, -0.187), abs=0.002)
    assert over_different_rows([1.0, 1.0], [1.0]).outcome == NO_DIFFERENCE
    for wrong in ([], [0.5]):
        with pytest.raises(ValueError, match="right"):
            over_different_rows(wrong, [1.0])


def test_answers_that_no_seed_changes_are_tested_on_rows():
    rng = np.random.default_rng(4)
    one, other = rows(rng, 0.2)
    found = over_seeds_and_rows(np.tile(one, (3, 1)), np.tile(other, (3, 1)))
    assert (found.p, found.margin) == (over_rows(one, other).p, over_rows(one, other).margin)
    assert (found.outcome, found.seeds, found.rows) == (BETTER, 3, 300)
    assert over_seeds_and_rows(np.tile(one, (2, 1)), np.tile(other, (2, 1))).outcome == TOO_FEW_SEEDS


def test_pairs_beside_a_pair_say_more_of_the_spread_over_seeds():
    rng = np.random.default_rng(6)
    scores = [(rng.random((3, 400)) < 0.6 + gain).astype(float) for gain in (0.25, 0.0, 0.0, 0.0, 0.0)]
    beside = spread_over_seeds(scores)
    means = [each.mean(1) for each in scores]
    assert beside.variance == pytest.approx(np.mean([np.var(a - b, ddof=1) for a, b in combinations(means, 2)]))
    alone, together = (over_seeds_and_rows(scores[0], scores[1], spread) for spread in (None, beside))
    assert together.mean == alone.mean
    assert together.standard_error >= alone.standard_error  # a pair's own spread is never made smaller
    assert together.margin < alone.margin  # but more is known of it
    assert spread_over_seeds(scores[:2]) is None
    assert spread_over_seeds([each[:2] for each in scores]) is None
