from dataclasses import replace

import numpy as np
import pytest
import torch

from nlptl.config.training import ResolvedTraining
from nlptl.models.aligned import AlignedClassifier, LinearMap
from nlptl.models.linear_probe import LinearHead
from nlptl.objectives.alignment import coral_distance, mmd_distance
from nlptl.objectives.classification import Classification
from nlptl.training.examples.paired import PairedExamples
from nlptl.training.loop import fit

SOURCE, TARGET = 37, 11
SETTINGS = ResolvedTraining(
    epochs=3, learning_rate=3e-2, batch_size=8, layer_decay=1.0, schedule="constant", warmup=0.0
)


@pytest.fixture
def matrix() -> torch.Tensor:
    return torch.randn(SOURCE + TARGET, 5, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def rows(matrix) -> PairedExamples:
    return PairedExamples(
        inputs=lambda numbers, device: matrix[torch.from_numpy(numbers)],
        lengths=np.ones(SOURCE + TARGET, np.int64),
        targets=np.arange(SOURCE) % 2,
        objective=Classification(),
        weight=0.0,
        distance=coral_distance,
    )


def model(matrix, discriminate=False) -> AlignedClassifier:
    torch.manual_seed(0)
    head = LinearHead(torch.randn(2, 5), torch.zeros(2), 1.0)
    return AlignedClassifier(LinearMap(head, matrix[:SOURCE].numpy()), discriminate, 5)


def test_each_step_has_as_many_rows_of_both_and_an_epoch_all_of_the_source(rows):
    plan = rows.plan(8, 0, 0)
    of_source = [step[step < SOURCE] for step in plan]
    assert sorted(np.concatenate(of_source)) == list(range(SOURCE))
    assert [len(step) for step in plan] == [2 * len(part) for part in of_source]
    assert set(np.concatenate(plan)) == set(range(SOURCE + TARGET))
    again, later = rows.plan(8, 0, 0), rows.plan(8, 0, 1)
    assert all(map(np.array_equal, plan, again))
    assert not all(map(np.array_equal, plan, later))
    # Any process's share holds both domains.
    assert all({bool(row < SOURCE) for row in step[r::2]} == {True, False} for step in plan[:1] for r in range(2))


def test_without_weight_a_step_is_the_mean_loss_of_its_source_rows(rows, matrix):
    step = rows.plan(8, 0, 0)[0]
    trained = model(matrix)
    loss = rows.losses(trained, step, torch.device("cpu")).sum() / len(step)
    source = step[step < SOURCE]
    expected = Classification()(trained(matrix[source]), torch.from_numpy(rows.targets[source])).mean()
    assert float(loss) == pytest.approx(float(expected), rel=1e-5)


@pytest.mark.parametrize("distance", [coral_distance, mmd_distance])
def test_the_distance_is_added_once_with_its_weight(rows, matrix, distance):
    step, trained = rows.plan(8, 0, 0)[0], model(matrix)
    plain, weighted, double = (
        float(replace(rows, distance=distance, weight=w).losses(trained, step, torch.device("cpu")).mean())
        for w in (0.0, 1.0, 2.0)
    )
    assert double - plain == pytest.approx(2 * (weighted - plain), rel=1e-4)
    assert weighted != plain


def test_target_rows_alone_give_a_loss_with_gradients(rows, matrix):
    trained = model(matrix)
    rows.losses(trained, np.array([SOURCE + 1, SOURCE + 2]), torch.device("cpu")).sum().backward()
    assert all(p.grad is not None for p in trained.parameters())


def test_the_loop_tells_the_share_of_steps_done(runtime, rows, matrix):
    told = []
    adversarial = replace(rows, distance=None, weight=1.0)

    def note(done):
        told.append(done)
        adversarial.note(done)

    fit(runtime, model(matrix, True), adversarial, SETTINGS, 0, on_step=note)
    assert told == pytest.approx([step / 15 for step in range(15)])


@pytest.mark.parametrize("distance", [coral_distance, mmd_distance])
def test_training_with_a_distance_brings_moved_domains_closer(runtime, rows, matrix, distance):
    matrix[SOURCE:] = 3.0 * matrix[SOURCE:] + 2.0
    ends = {}
    for weight in (0.0, 10.0):
        trained = model(matrix)
        fit(runtime, trained, replace(rows, distance=distance, weight=weight), SETTINGS, 0)
        features = trained(matrix, 0.0).features.detach()
        features = features / features.std()
        ends[weight] = float(distance(features[:SOURCE], features[SOURCE:]))
    assert ends[10.0] < ends[0.0]
