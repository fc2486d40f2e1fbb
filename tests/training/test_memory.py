"""Trying memory before the first step; `distributed/` has processes that agree on what fits."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from nlptl.config.training import ResolvedTraining
from nlptl.errors import NlptlError
from nlptl.objectives.classification import Classification
from nlptl.training.examples.labelled import RowLosses
from nlptl.training.memory import try_memory
from nlptl.training.optimizer import build_optimizer

SETTINGS = ResolvedTraining(epochs=3, learning_rate=1e-3, batch_size=16)


class Noting(Classification):
    """Notes how many rows it was asked for, and runs out of memory with more than fit."""

    def __init__(self, fit: int = 99) -> None:
        super().__init__()
        self.fit, self.asked = fit, []

    def __call__(self, logits, targets):
        self.asked.append(len(targets))
        if len(targets) > self.fit:
            raise torch.OutOfMemoryError("injected")
        return super().__call__(logits, targets)


@pytest.fixture
def trying(runtime, rows, fresh):
    """`try_memory` over the tiny classifier, and what it left."""

    def run(objective, micro_batch_size=16):
        classifier = fresh(dropout=0.1)
        learned = replace(rows, objective=objective)
        seen = []
        losses = RowLosses(learned, classifier, runtime.device)
        losses.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
        optimizer = build_optimizer(classifier, SETTINGS)
        before = torch.random.get_rng_state()
        trial = try_memory(runtime, losses, optimizer, SETTINGS, 5, micro_batch_size)
        assert torch.equal(torch.random.get_rng_state(), before)
        assert all(p.grad is None for p in classifier.parameters())
        assert not optimizer.state
        return trial, seen

    return run


def test_the_largest_batch_of_all_epochs_is_tried_and_nothing_is_left_of_it(trying, rows):
    trial, seen = trying(Noting())
    assert trial == (16, True)
    lengths = rows.encoded.lengths
    sizes = [len(step) * lengths[step].max() for epoch in range(3) for step in rows.plan(16, 5, epoch)]
    assert len(seen[0]) * lengths[seen[0]].max() == max(sizes)
    assert len(seen[1]) == 1


def test_rows_are_halved_until_they_fit(trying, caplog):
    noting = Noting(5)
    assert trying(noting)[0] == (4, True)
    assert [count for count in noting.asked if count > 1] == [16, 8, 4]
    assert "going on with 4, on every process" in caplog.text


def test_of_a_micro_batch_only_as_much_is_tried(trying):
    noting = Noting()
    assert trying(noting, micro_batch_size=6)[0].micro_batch_size == 6
    assert noting.asked[0] == 6


def test_one_row_that_does_not_fit_is_said(trying):
    with pytest.raises(NlptlError, match=r"one row per forward pass.*gradient_checkpointing"):
        trying(Noting(0))


def test_another_error_than_memory_s_is_left_as_it_is(trying):
    class Wrong(Classification):
        def __call__(self, logits, targets):
            raise RuntimeError("shapes differ")

    with pytest.raises(RuntimeError, match="shapes differ"):
        trying(Wrong())


def test_a_parameter_without_gradient_is_noticed(runtime, rows, fresh):
    classifier = fresh()
    classifier.spare = torch.nn.Parameter(torch.ones(()))
    losses = RowLosses(rows, classifier, runtime.device)
    assert not try_memory(runtime, losses, build_optimizer(classifier, SETTINGS), SETTINGS, 5, 16).complete


def test_lengths_of_rows_are_those_of_the_whole(rows):
    numbers = np.array([5, 0, 66])
    assert rows.lengths_of(numbers).tolist() == rows.encoded.lengths[numbers].tolist()
