"""Mixed batches: who is drawn how often, and whose loss sees what."""

import numpy as np
import pytest
import torch

from nlptl.config.strategies import MultiTaskConfig
from nlptl.data.tokens.encoding import Encoded
from nlptl.objectives.classification import Classification
from nlptl.training.examples.labelled import LabelledExamples
from nlptl.training.examples.mixed import MixedExamples, draw_rows, shares_of

SIZES = (40, 10)


def part(rows: int, first: int) -> LabelledExamples:
    """One token per text, which is its number."""
    tokens = np.arange(first, first + rows, dtype=np.int32)
    return LabelledExamples(Encoded(tokens, np.arange(rows + 1), None), np.arange(rows) % 2, 0, Classification())


def mixed(shares=SIZES, weights=(1.0, 1.0)) -> MixedExamples:
    parts = [part(SIZES[0], 1), part(SIZES[1], 101)]
    return MixedExamples(parts, [slice(0, 2), slice(2, 4)], list(weights), list(shares))


def test_proportional_sampling_sees_each_row_once_and_mixes_the_tasks():
    plan = mixed().plan(10, 3, 0)
    assert sorted(np.concatenate(plan)) == list(range(50))
    assert sum(bool((step >= 40).any() and (step < 40).any()) for step in plan) >= 2


def test_shares_of_an_epoch():
    assert shares_of([900, 100], MultiTaskConfig()) == [900, 100]
    assert shares_of([900, 100], MultiTaskConfig(sampling="uniform")) == [500, 500]
    assert shares_of([900, 100], MultiTaskConfig(sampling="temperature")) == [750, 250]
    assert shares_of([900, 100], MultiTaskConfig(sampling="temperature", temperature=1)) == [900, 100]


def test_a_small_task_is_repeated_evenly_and_anew_each_epoch():
    rows = mixed(shares=(25, 25))
    epochs = [rows.plan(10, 3, epoch) for epoch in (0, 1)]
    assert [len(plan) for plan in epochs] == [5, 5]
    counts = [np.bincount(np.concatenate(plan), minlength=50) for plan in epochs]
    for count in counts:
        assert (count[:40].sum(), count[40:].sum()) == (25, 25)
        assert set(count[:40]) == {0, 1} and set(count[40:]) == {2, 3}
    assert (counts[0] != counts[1]).any()
    assert (draw_rows(10, 25, 3, 1, 1) == draw_rows(10, 25, 3, 1, 1)).all()


def test_a_row_s_loss_is_its_own_task_s_and_weighs_what_was_asked():
    torch.manual_seed(0)
    logits = torch.randn(3, 4, requires_grad=True)
    seen = []

    def model(inputs):
        seen.append(inputs["input_ids"][:, 0].tolist())
        return logits

    model.packs = model.rounds_shapes = False
    rows = np.array([1, 41, 2])
    losses = mixed(weights=(1.0, 3.0)).losses(model, rows, torch.device("cpu"))
    assert seen == [[2, 102, 3]]
    expected = [
        -logits[0, :2].log_softmax(0)[1],
        -3.0 * logits[1, 2:].log_softmax(0)[1],
        -logits[2, :2].log_softmax(0)[0],
    ]
    assert losses.tolist() == pytest.approx([float(e) for e in expected], rel=1e-5)
    losses.sum().backward()
    assert (logits.grad[0, 2:] == 0).all() and (logits.grad[1, :2] == 0).all()
    assert (logits.grad != 0).sum() == 6
