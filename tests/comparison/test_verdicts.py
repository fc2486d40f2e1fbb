"""Verdicts: noise is not called a difference, real differences are, and words follow."""

import numpy as np
import pytest

from nlptl.comparison.methods import Method, methods_of
from nlptl.comparison.verdicts import (
    BEST_CLASSICAL,
    Answered,
    best_classical,
    crossovers,
    negative_transfer,
    pairs_of,
    reference_of,
)
from nlptl.evaluation.significance import BETTER, NO_DIFFERENCE, TOO_FEW_SEEDS, WORSE, over_rows

SIZES = ("8", "32", "all")
SIMULATIONS = 200


def answers(rng, methods, seeds=3, rows=250, sizes=SIZES, better=(), gain=0.2, uneven=False):
    """Equal methods, but for those in `better`: rows differ in difficulty, and seeds in luck, more with few labels."""
    hard = np.clip(rng.beta(4, 2, rows), 0, 1)
    found = []
    for place, size in enumerate(sizes):
        luck = 0.08 / (place + 1)
        shared = rng.normal(0, luck, seeds)
        for number, method in enumerate(methods):
            own = rng.normal(0, luck * (3 if uneven and number else 1), seeds)
            level = hard[None] + (shared + own)[:, None] + (gain if method.name in better else 0)
            right = (rng.random((seeds, rows)) < np.clip(level, 0, 1)).astype(float)
            by_seed = dict(enumerate(right))
            found.append(Answered(method, size, 10.0 * 4**place, by_seed, dict.fromkeys(by_seed, (0.5, 0.0))))
    return found


def test_equal_methods_are_called_different_in_at_most_5_percent():
    """Four methods at three sizes, half of the times one of them steadier than the others; any verdict of better or
    worse among the 18 is one too many."""
    methods = methods_of(["scratch", "feature_extraction", "lora", "full"])
    wrong = naive = 0
    for draw in range(SIMULATIONS):
        drawn = answers(np.random.default_rng([11, draw]), methods, uneven=draw % 2 == 1)
        wrong += any(pair.found.outcome in (BETTER, WORSE) for pair in pairs_of(drawn))
        first, second = drawn[0].right[0], drawn[1].right[0]
        naive += over_rows(first, second).outcome in (BETTER, WORSE)
    assert wrong / SIMULATIONS <= 0.05
    # One seed's rows alone, tested once, would be fooled by luck: the simulation is one that can tell.
    assert naive / SIMULATIONS > 0.1


def test_two_equal_methods_are_called_different_in_at_most_5_percent():
    methods = methods_of(["lora", "full"])
    wrong = 0
    for draw in range(SIMULATIONS):
        drawn = answers(np.random.default_rng([12, draw]), methods, sizes=("8",))
        wrong += any(pair.found.outcome in (BETTER, WORSE) for pair in pairs_of(drawn))
    assert wrong / SIMULATIONS <= 0.05


def test_a_real_difference_is_found_and_said():
    methods = methods_of(["scratch", "feature_extraction", "lora", "full"])
    drawn = answers(np.random.default_rng(0), methods, seeds=5, rows=800, better=("lora",))
    pairs = [pair for pair in pairs_of(drawn) if pair.size == "all" and "lora" in (pair.first, pair.second)]
    assert {pair.found.outcome for pair in pairs} <= {BETTER, WORSE}
    assert {pair.found.comparisons for pair in pairs} == {18}
    for pair in pairs:
        assert pair.sentence.startswith("all rows: lora beats ")
        assert "after Holm's correction for 18 comparisons, 5 seeds, 800 rows" in pair.sentence


def test_two_seeds_are_too_few_to_say():
    drawn = answers(np.random.default_rng(0), methods_of(["scratch", "lora"]), seeds=2, better=("lora",), gain=0.4)
    assert {pair.found.outcome for pair in pairs_of(drawn)} == {TOO_FEW_SEEDS}
    methods = methods_of(["knn", "lora"])
    drawn = answers(np.random.default_rng(0), methods, seeds=1, better=("lora",), gain=0.4)
    (found,) = crossovers(pairs_of(drawn), methods)
    assert found.sentence.startswith("lora against knn: too few seeds to say; its mean is higher at every size")


def test_methods_that_draw_nothing_are_tested_on_rows_alone():
    """The same rows, the same answers with each seed: no spread over seeds, and still a difference."""
    methods = methods_of(["naive_bayes", "feature_extraction"])
    rng = np.random.default_rng(0)
    low, high = (rng.random(500) < share for share in (0.6, 0.8))
    drawn = [
        Answered(
            method, "all", 100.0, {seed: right.astype(float) for seed in range(3)}, dict.fromkeys(range(3), (1, 0))
        )
        for method, right in zip(methods, (low, high), strict=True)
    ]
    (pair,) = pairs_of(drawn)
    assert (pair.found.outcome, pair.found.seeds) == (WORSE, 3)
    assert pair.found.p == pytest.approx(over_rows(low.astype(float), high.astype(float)).p)


def test_seeds_that_one_method_lacks_are_left_aside():
    methods = methods_of(["scratch", "lora", "full"])
    drawn = answers(np.random.default_rng(0), methods, seeds=4, sizes=("8",))
    del drawn[1].right[2]
    seeds = {(pair.first, pair.second): pair.found.seeds for pair in pairs_of(drawn)}
    assert seeds == {("scratch", "lora"): 3, ("scratch", "full"): 4, ("lora", "full"): 3}


def fixed(method, size, rows, shares, validation=0.5, count=1000):
    """Answers with a given share of right rows for each seed, the same rows first."""
    right = {seed: (np.arange(count) < share * count).astype(float) for seed, share in enumerate(shares)}
    return Answered(method, size, rows, right, dict.fromkeys(right, (validation, 0.0)))


def test_negative_transfer_is_named_where_a_control_wins():
    tfidf, scratch, lora = methods = methods_of(["tfidf", "scratch", "lora"])
    drawn = [
        fixed(tfidf, "32", 64, (0.90, 0.91, 0.89)),
        fixed(scratch, "32", 64, (0.60, 0.61, 0.59)),
        fixed(lora, "32", 64, (0.801, 0.80, 0.799)),
    ]
    (said,) = negative_transfer(pairs_of(drawn), methods)
    assert said.startswith("Negative transfer at 32 per label: tfidf beats lora by 10.00 ")


def test_the_crossover_is_placed_between_sizes():
    tfidf, lora = methods = methods_of(["tfidf", "lora"])
    drawn = []
    for size, rows, gap in (("8", 100, -0.1), ("32", 400, 0.1), ("128", 1600, 0.3)):
        drawn += [fixed(tfidf, size, rows, (0.5, 0.505, 0.495)), fixed(lora, size, rows, (0.5 + gap,) * 3)]
    (found,) = crossovers(pairs_of(drawn), methods)
    assert found.against == "tfidf"
    assert found.crossing_rows == pytest.approx(200)
    assert (found.clear_from, found.clear_at) == ("32", ("32", "128"))
    assert found.sentence == (
        "lora against tfidf: clearly better at 32 per label, 128 per label; the means cross near 200 labelled rows."
    )


@pytest.mark.parametrize(
    ("gaps", "said"),
    [
        ((0.1, 0.2), "the crossover lies below the smallest"),
        ((-0.1, -0.2), "no crossover in this range"),
        ((0.1, -0.1, 0.1), "the means cross more than once (higher at 0 per label, 2 per label)"),
    ],
)
def test_curves_that_do_not_cross_once_are_said_to(gaps, said):
    tfidf, lora = methods = methods_of(["tfidf", "lora"])
    drawn = []
    for place, gap in enumerate(gaps):
        drawn += [
            fixed(each, str(place), 10.0 ** (place + 1), (0.5 + share,) * 3)
            for each, share in ((tfidf, 0), (lora, gap))
        ]
    (found,) = crossovers(pairs_of(drawn), methods)
    assert said in found.sentence
    assert found.crossing_rows is None


def test_of_several_classical_methods_the_best_on_validation_is_beaten_or_not():
    knn, tree, lora = methods = methods_of(["knn", "tree", "lora"])
    assert reference_of(methods) == BEST_CLASSICAL
    drawn = [
        # Better on test, worse on validation: it is not the reference.
        fixed(knn, "8", 16, (0.9, 0.9, 0.9), validation=0.5),
        fixed(tree, "8", 16, (0.6, 0.61, 0.6), validation=0.7),
        fixed(lora, "8", 16, (0.75, 0.76, 0.74)),
    ]
    best = best_classical(drawn)
    assert best.right[0].mean() == 0.6
    (found,) = crossovers(pairs_of(drawn), methods)
    assert (found.against, found.ahead_at) == (BEST_CLASSICAL, ("8",))
    assert best_classical([fixed(knn, "8", 16, (0.9,))]) is None
    assert reference_of([Method("lora", "transfer", "", {})]) is None


def test_noise_is_called_noise():
    methods = methods_of(["lora", "full"])
    (pair,) = pairs_of(answers(np.random.default_rng(5), methods, sizes=("8",)))
    assert pair.found.outcome == NO_DIFFERENCE
    assert pair.sentence.endswith("no clear difference.")
