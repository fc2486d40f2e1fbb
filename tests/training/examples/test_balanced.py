"""Balanced sampling: as many rows of each label in an epoch, whoever asks."""

import numpy as np

from nlptl.data.tokens.encoding import Encoded
from nlptl.objectives.classification import Classification
from nlptl.training.examples.labelled import LabelledExamples, balanced_rows

TARGETS = np.array([0] * 90 + [1] * 7 + [2] * 4)


def examples(targets: np.ndarray, balanced: bool = True) -> LabelledExamples:
    tokens = np.arange(len(targets), dtype=np.int32)
    encoded = Encoded(tokens, np.arange(len(targets) + 1), None)
    return LabelledExamples(encoded, targets, 0, Classification(), balanced=balanced)


def test_an_epoch_has_as_many_rows_of_each_label_and_as_many_steps_as_any():
    drawn = balanced_rows(TARGETS, 3, 0)
    assert np.bincount(TARGETS[drawn]).tolist() == [34, 34, 33]
    plain, balanced = (examples(TARGETS, one).plan(10, 3, 0) for one in (False, True))
    assert len(plain) == len(balanced)
    assert np.bincount(TARGETS[np.concatenate(balanced)]).tolist() == [34, 34, 33]
    counts = np.bincount(drawn[TARGETS[drawn] == 1], minlength=97)[90:97]
    assert set(counts.tolist()) <= {4, 5}  # rare rows come equally often, to within one


def test_epochs_draw_other_rows_of_a_frequent_label_and_are_repeated_exactly():
    first, second = (set(balanced_rows(TARGETS, 3, epoch).tolist()) for epoch in (0, 1))
    assert first != second
    assert len(first | second) > len(first)
    for one, other in zip(examples(TARGETS).plan(8, 3, 4), examples(TARGETS).plan(8, 3, 4), strict=True):
        np.testing.assert_array_equal(one, other)
    assert not np.array_equal(balanced_rows(TARGETS, 4, 0), balanced_rows(TARGETS, 3, 0))


def test_of_several_labels_the_rarest_counts_and_none_is_one_of_its_own():
    targets = np.zeros((60, 2), np.float32)
    targets[:40, 0] = 1
    targets[38:42, 1] = 1
    rows = balanced_rows(targets, 0, 0)
    kinds = np.where(targets[:, 1] > 0, 1, np.where(targets[:, 0] > 0, 0, -1))[rows]
    assert {kind: int((kinds == kind).sum()) for kind in (-1, 0, 1)} == {-1: 20, 0: 20, 1: 20}
