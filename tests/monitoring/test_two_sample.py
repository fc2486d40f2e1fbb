"""Two-sample tests: valid p whatever the rows, and effects that say how large a difference is."""

import numpy as np
import pytest
from scipy.stats import binom

from nlptl.monitoring.auc import Precision, critical_value, shift_of
from nlptl.monitoring.two_sample import (
    classifier_test,
    labels_test,
    membership,
    mmd_test,
    permutation_p,
    scores_test,
)

DRAWS, PERMUTATIONS, ALPHA = 200, 99, 0.05
# In 999 of 1000 repetitions, so many of the draws are significant when each is with probability 0.05.
FEWEST, MOST = (int(binom.ppf(share, DRAWS, ALPHA)) for share in (0.001, 0.999))


def texts(rng: np.random.Generator, rows: int, shift: float = 0.0) -> np.ndarray:
    """Features of which some depend on others, as an encoder's do."""
    own = rng.normal(size=(rows, 8))
    own[:, 0] += shift
    return np.cumsum(own, axis=1).astype(np.float32)


def decided(rng: np.random.Generator, rows: int, labels: int = 30) -> np.ndarray:
    """One label a row, few of them frequent."""
    weights = 1 / np.arange(1, labels + 1)
    return np.eye(labels)[rng.choice(labels, rows, p=weights / weights.sum())]


@pytest.mark.parametrize(("reference", "new"), [(200, 50), (250, 500)])
def test_false_alarms_are_as_rare_as_stated_and_intervals_hold_no_difference(reference, new):
    alarms, covered = dict.fromkeys(("classifier", "mmd", "scores", "labels"), 0), 0
    for draw in range(DRAWS):
        rng = np.random.default_rng(draw)
        one, other = texts(rng, reference), texts(rng, new)
        told = classifier_test(one, other, PERMUTATIONS, draw)
        found = [
            told.test,
            mmd_test(one, other, PERMUTATIONS, draw),
            scores_test(rng.beta(5, 1, reference), rng.beta(5, 1, new)),
            labels_test(decided(rng, reference), decided(rng, new), PERMUTATIONS, draw),
        ]
        for test in found:
            alarms[test.name] += test.p <= ALPHA
            assert test.p > 0
        low, high = Precision.under(told.null, reference, new).interval(told.test.effect)
        covered += low <= 0.5 <= high
    assert {name: count for name, count in alarms.items() if not FEWEST <= count <= MOST} == {}
    # Cross-validated AUCs spread more than those of one given classifier; without that 80 to 87 % would hold it.
    assert covered >= 0.91 * DRAWS


def test_p_is_never_zero_and_counts_the_observed_order():
    null = np.linspace(0, 1, 99)
    assert permutation_p(2.0, null) == 1 / 100
    assert permutation_p(-1.0, null) == 1.0
    assert permutation_p(1.0, null) == 2 / 100
    far = scores_test(np.zeros(3000) + np.linspace(0, 0.1, 3000), np.ones(3000) - np.linspace(0, 0.1, 3000))
    assert 0 < far.p < 1e-100
    assert far.effect == 1.0
    rng = np.random.default_rng(0)
    told = classifier_test(texts(rng, 100), texts(rng, 100, 50.0), 99, 0)
    assert (told.test.p, told.test.effect) == (0.01, 1.0)


def test_differences_are_found_and_effects_tell_small_from_large():
    rng = np.random.default_rng(1)
    same, near, far = texts(rng, 300), texts(rng, 300, 0.5), texts(rng, 300, 3.0)
    for test in (lambda other: classifier_test(same, other, 99, 0).test, lambda other: mmd_test(same, other, 99, 0)):
        assert test(near).p <= 0.05
        assert 0.5 < test(near).effect < test(far).effect
        assert test(near).by_chance == pytest.approx(0.5, abs=0.03)  # leaving a row out pushes it away from its side
    assert classifier_test(same, far, 99, 0).test.effect > 0.95


def test_the_row_that_is_unlike_the_others_is_the_furthest():
    rng = np.random.default_rng(2)
    new = texts(rng, 60, 1.0)
    new[17] += 40.0
    told = classifier_test(texts(rng, 200), new, 99, 0)
    assert int(told.scores[200:].argmax()) == 17


def test_mmd_is_that_of_its_definition():
    rng = np.random.default_rng(3)
    one, other = texts(rng, 12), texts(rng, 7, 1.0)
    both = np.concatenate([one, other]).astype(np.float64)
    squared = ((both[:, None] - both[None]) ** 2).sum(-1)
    kernel = np.exp(-squared / (2 * np.median(squared[np.triu_indices(19, 1)])))
    np.fill_diagonal(kernel, 0)
    expected = (
        kernel[:12, :12].sum() / (12 * 11) + kernel[12:, 12:].sum() / (7 * 6) - 2 * kernel[:12, 12:].sum() / (12 * 7)
    )
    assert mmd_test(one, other, 99, 0).statistic == pytest.approx(expected, rel=1e-4)


def test_labels_are_tested_by_chi_square_and_several_a_row_are_fine():
    from scipy.stats import chi2_contingency

    rng = np.random.default_rng(4)
    one, other = decided(rng, 80, 4), decided(rng, 50, 4)
    found = labels_test(one, other, 499, 0)
    table = np.stack([one.sum(0), other.sum(0)])
    expected = chi2_contingency(table)
    assert found.statistic == pytest.approx(expected.statistic, rel=1e-5)
    assert found.p == pytest.approx(expected.pvalue, abs=0.06)
    several = np.array([[1, 1, 0]] * 30 + [[0, 0, 1]] * 30)
    assert labels_test(several, several[:30], 99, 0).p == 0.01
    assert labels_test(several, several, 99, 0).effect == 0.0


def test_texts_that_are_all_the_same_show_nothing():
    same = np.ones((40, 5), np.float32)
    told = classifier_test(same, same[:20], 99, 0)
    assert (told.test.effect, told.test.p) == (0.5, 1.0)
    assert mmd_test(same, same[:20], 99, 0).p == 1.0


def test_permutations_keep_the_sizes_and_are_not_all_alike():
    columns = membership(30, 10, 50, np.random.default_rng(0))
    assert columns.sum(0).tolist() == [10] * 51
    assert columns[:, 0].tolist() == [0] * 30 + [1] * 10
    assert len({tuple(column) for column in columns.T}) > 40


def test_the_smallest_shift_that_is_seen_is_seen_in_four_of_five_draws():
    reference, new, draws = 300, 50, 120
    hits, aucs, seen = 0, [], []
    for draw in range(draws):
        rng = np.random.default_rng(draw)
        told = classifier_test(texts(rng, reference), texts(rng, new, 0.68), 199, draw)
        precision = Precision.under(told.null, reference, new)
        hits += told.test.p <= ALPHA
        aucs.append(told.test.effect)
        seen.append(precision.smallest_seen(critical_value(told.null, ALPHA)))
    # The shift is chosen so that the classifier reaches, on average, about the AUC that is said to be the smallest.
    assert np.mean(aucs) == pytest.approx(np.mean(seen), abs=0.02)
    assert 0.7 <= hits / draws <= 0.9
    assert np.std(seen) < 0.02


def test_more_rows_see_less_and_too_few_say_so():
    small, large = Precision(100, 20), Precision(2000, 2000)
    assert large.smallest_seen(0.52) < small.smallest_seen(0.6)
    assert Precision(10, 10).smallest_seen(1.0) == 1.0
    assert critical_value(np.linspace(0.4, 0.6, 9), 0.05) == 1.0  # nine permutations: p is 0.1 at least
    null = np.linspace(0.4, 0.6, 99)
    critical = critical_value(null, 0.05)
    assert permutation_p(critical + 1e-6, null) <= 0.05 < permutation_p(critical, null)
    assert shift_of(0.5) == 0.0
    assert shift_of(0.76) == pytest.approx(1.0, abs=0.01)


def test_an_interval_has_width_at_the_ends_and_contains_what_was_measured():
    for auc in (0.0, 0.3, 0.5, 0.9, 1.0):
        low, high = Precision(40, 30).interval(auc)
        assert 0 <= low <= auc <= high <= 1
        assert high - low > 0.05
