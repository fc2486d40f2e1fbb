"""Captured training passes give what plain ones give. Without a GPU, a replay is emulated by repeating the work."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from nlptl.data.tokens.encoding import FILLERS, LONGEST, LONGEST_FILLER, Encoded, collate, filler_lengths
from nlptl.kernels import cuda_graphs
from nlptl.kernels.cuda_graphs import captured_passes
from nlptl.models.building import build_classifier
from nlptl.models.classifier import Classifier
from nlptl.objectives.classification import Classification
from nlptl.training.examples.labelled import LabelledExamples
from tests.gpu_stand_ins import CUDA, emulate_cuda_graphs

LENGTHS = np.array([9, 0, 30, 2, 1, 17, 40, 5])
BATCHES = [np.array(rows) for rows in ([0, 1, 2], [5, 3, 4], [2, 6, 7, 1], [1, 2, 0], [4, 3, 5])]


@pytest.fixture
def rows() -> LabelledExamples:
    rng = np.random.default_rng(0)
    offsets = np.concatenate([[0], np.cumsum(LENGTHS)])
    encoded = Encoded(rng.integers(5, 60, offsets[-1]).astype(np.int32), offsets, np.zeros(offsets[-1], np.uint8))
    return LabelledExamples(encoded, rng.integers(0, 3, len(LENGTHS)), 0, Classification())


@pytest.fixture(params=["cpu", CUDA])
def device(request, monkeypatch) -> torch.device:
    if request.param == "cpu":
        emulate_cuda_graphs(monkeypatch)
    return torch.device(request.param)


def classifier_on(checkpoint: str, pooling: str, device: torch.device) -> Classifier:
    torch.manual_seed(0)
    classifier = build_classifier(Path(checkpoint), pooling, ["a", "b", "c"], False, 0.0)
    # Without a part that learns nothing, one would not see whether it is left without a gradient.
    next(classifier.encoder.parameters()).requires_grad_(False)
    classifier.pack()
    return classifier.to(device).train()


def learned(classifier: Classifier, rows: LabelledExamples, device: torch.device) -> list[torch.Tensor]:
    """Losses and gradients of each batch, each of two micro-batches, as an optimizer finds them."""
    found = []
    for batch in BATCHES:
        classifier.zero_grad()
        for part in np.array_split(batch, 2):
            losses = rows.losses(classifier, part, device)
            losses.sum().backward()
            found.append(losses.detach().clone())
        found += [p.grad.clone() for p in classifier.parameters() if p.grad is not None]
    return found


@pytest.mark.parametrize("pooling", ["cls", "mean"])
@pytest.mark.parametrize("architecture", ["bert", "distilbert", "roberta"])
def test_losses_and_gradients_are_those_of_plain_passes(architecture, pooling, rows, device, tiny, monkeypatch):
    plain = classifier_on(tiny[architecture], pooling, device)
    expected = learned(plain, rows, device)
    model = classifier_on(tiny[architecture], pooling, device)
    replayed = []
    run = cuda_graphs._Replay.forward
    monkeypatch.setattr(cuda_graphs._Replay, "forward", staticmethod(lambda *a: replayed.append(1) or run(*a)))
    with captured_passes(model):
        found = learned(model, rows, device)
        model.eval()
        with torch.no_grad():
            asked = model(collate(rows.encoded, np.arange(3), 0, device, packed=True))
    assert replayed
    assert len(found) == len(expected)
    for new, old in zip(found, expected, strict=True):
        torch.testing.assert_close(new, old, atol=2e-5, rtol=1e-4)
    torch.testing.assert_close(asked, plain.eval()(collate(rows.encoded, np.arange(3), 0, device, packed=True)))


def test_afterwards_the_model_is_as_before(device, rows, tiny):
    model = classifier_on(tiny["bert"], "cls", device)
    with pytest.raises(ZeroDivisionError), captured_passes(model):
        assert model.rounds_shapes and isinstance(model.forward, cuda_graphs.GraphedForward)
        learned(model, rows, device)
        raise ZeroDivisionError
    assert not model.rounds_shapes and "forward" not in vars(model)
    learned(model, rows, device)


def test_only_so_many_shapes_are_captured(device, rows, tiny, monkeypatch):
    monkeypatch.setattr(cuda_graphs, "MOST_SHAPES", 1)
    model = classifier_on(tiny["bert"], "cls", device)
    with captured_passes(model):
        for size in (1, 1, 2, 2, 2):
            rows.losses(model, np.arange(2, 2 + size), device).sum().backward()
        assert len(model.forward._captured) == 1


def test_where_memory_does_not_suffice_passes_stay_plain(device, rows, tiny, monkeypatch):
    def full(work, pool):
        raise torch.OutOfMemoryError("no room")

    monkeypatch.setattr(cuda_graphs, "capture", full)
    expected = learned(classifier_on(tiny["bert"], "cls", device), rows, device)
    model = classifier_on(tiny["bert"], "cls", device)
    with captured_passes(model):
        found = learned(model, rows, device)
    for new, old in zip(found, expected, strict=True):
        torch.testing.assert_close(new, old, atol=2e-5, rtol=1e-4)


@pytest.mark.parametrize("tokens", [1, 40, 900, 5_000, 23_456, 70_001, 300_000])
def test_fillers_make_a_round_number(tokens):
    fillers = filler_lengths(tokens)
    assert len(fillers) == FILLERS and fillers.min() >= 1 and fillers.max() <= LONGEST_FILLER
    step = 2 ** min(max(tokens.bit_length() - 5, 5), 12)
    assert (tokens + fillers.sum()) % step == 0
    assert fillers.sum() < step + FILLERS


def test_rounded_inputs_hold_the_texts_and_fillers_after_them(rows):
    chosen = np.array([2, 1, 0])
    plain, rounded = (collate(rows.encoded, chosen, 0, packed=True, rounded=on) for on in (False, True))
    tokens = plain["input_ids"].shape[1]
    assert tokens == 30 + 1 + 9
    for name in ("input_ids", "token_type_ids"):
        assert torch.equal(rounded[name][:, :tokens], plain[name])
        assert not rounded[name][:, tokens:].any()
    assert torch.equal(rounded["offsets"][: len(chosen) + 1], plain["offsets"])
    assert len(rounded["offsets"]) == len(chosen) + FILLERS + 1
    assert rounded["offsets"][-1] == rounded["input_ids"].shape[1] == len(rounded["places"])
    assert rounded["attention_mask"].shape == (3, LONGEST[0])
    assert torch.equal(rounded["attention_mask"][:, :30], plain["attention_mask"])
    row, column = rounded["places"] // LONGEST[0], rounded["places"] % LONGEST[0]
    assert torch.equal(column, torch.arange(len(row)) - rounded["offsets"][row])
