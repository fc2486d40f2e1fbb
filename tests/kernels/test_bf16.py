"""Under autocast, activations are bf16 from the embeddings on, and weights that do not learn are rounded once."""

from __future__ import annotations

from pathlib import Path
from threading import Event, Thread

import pytest
import torch

from nlptl.config.model import LoraSettings
from nlptl.kernels import bf16
from nlptl.kernels.bf16 import linear_weights_in
from nlptl.models.building import build_classifier
from nlptl.registry import MODES

INPUTS = {
    "input_ids": torch.tensor([[3, 4, 7, 9], [9, 3, 0, 0]]),
    "attention_mask": torch.tensor([[1, 1, 1, 1], [1, 1, 0, 0]]),
}


@pytest.mark.parametrize("architecture", ["bert", "roberta", "distilbert"])
def test_every_layer_passes_on_what_it_computes_in(tiny, architecture):
    classifier = build_classifier(Path(tiny[architecture]), "mean", ["a", "b"], False, 0.0).eval()
    bf16.use_for(classifier.encoder)
    seen: list[torch.dtype] = []

    def note(module, inputs, output):
        seen.append((output[0] if isinstance(output, tuple) else output).dtype)

    for name, module in classifier.named_modules():
        if name.endswith(("layer.0", "layer.1")):
            module.register_forward_hook(note)
    exact = classifier.features(INPUTS)
    assert seen == [torch.float32] * 2
    with torch.autocast("cpu", torch.bfloat16):
        narrow = classifier.features(INPUTS)
    assert seen[2:] == [torch.bfloat16] * 2
    assert narrow.dtype == torch.float32  # the mean is summed in float32
    torch.testing.assert_close(narrow, exact, atol=0.05, rtol=0.05)


@pytest.fixture
def classifier(tiny):
    torch.manual_seed(0)
    return build_classifier(Path(tiny["bert"]), "mean", ["a", "b"], False, 0.0)


def test_a_forward_pass_gives_the_same_with_all_weights_rounded_beforehand(classifier):
    inputs, exact = INPUTS, classifier.head.weight.data
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        expected = classifier.eval()(inputs)
        with linear_weights_in(torch.bfloat16, classifier):
            assert classifier.head.weight.dtype == torch.bfloat16
            assert classifier.encoder.get_input_embeddings().weight.dtype == torch.float32
            torch.testing.assert_close(classifier(inputs), expected, atol=0, rtol=0)
    assert classifier.head.weight.data is exact or torch.equal(classifier.head.weight.data, exact)


@pytest.mark.parametrize("dora", [False, True])
def test_frozen_weights_are_narrow_for_a_while(classifier, dora):
    MODES.get("lora")().apply(classifier, LoraSettings(rank=2, dora=dora))
    before = {name: p.detach().clone() for name, p in classifier.named_parameters()}
    frozen = {name for name, p in classifier.named_parameters() if not p.requires_grad and "base_layer" in name}
    inputs = INPUTS
    with torch.autocast("cpu", torch.bfloat16):
        expected = classifier.eval()(inputs)
        with linear_weights_in(torch.bfloat16, classifier, frozen_alone=True):
            types = {name: p.dtype for name, p in classifier.named_parameters()}
            found = classifier(inputs)
    assert len(frozen) == 24
    narrow = {name for name, dtype in types.items() if dtype == torch.bfloat16}
    assert narrow == (set() if dora else frozen)
    torch.testing.assert_close(found, expected, atol=0, rtol=0)
    for name, parameter in classifier.named_parameters():
        assert torch.equal(parameter, before[name]), name


def test_threads_that_predict_with_one_model_at_the_same_time_leave_it_exact(classifier):
    """The second thread comes while the weights are rounded, and stays longer than the first."""
    exact = {name: p.detach().clone() for name, p in classifier.named_parameters()}
    inside, first_is_out = Event(), Event()
    found: list[torch.Tensor] = []

    def second() -> None:
        with linear_weights_in(torch.bfloat16, classifier):
            inside.set()
            assert first_is_out.wait(10)
            with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
                found.append(classifier(INPUTS))

    thread = Thread(target=second)
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        expected = classifier.eval()(INPUTS)
    with linear_weights_in(torch.bfloat16, classifier):
        thread.start()
        assert inside.wait(10)
    first_is_out.set()
    thread.join()
    assert torch.equal(found[0], expected)
    for name, parameter in classifier.named_parameters():
        assert parameter.dtype == torch.float32 and torch.equal(parameter, exact[name]), name


def test_weights_stay_exact_where_memory_does_not_suffice_for_rounded_ones(classifier, monkeypatch):
    before = [p.data_ptr() for p in classifier.parameters()]
    to, rounded = torch.Tensor.to, []

    def full(tensor, *given, **named):
        if given == (torch.bfloat16,):
            rounded.append(1)
            if len(rounded) == 3:
                raise torch.OutOfMemoryError("no room")
        return to(tensor, *given, **named)

    with monkeypatch.context() as patch, pytest.raises(torch.OutOfMemoryError):
        patch.setattr(torch.Tensor, "to", full)
        with linear_weights_in(torch.bfloat16, classifier):
            pass
    assert [p.data_ptr() for p in classifier.parameters()] == before
    with linear_weights_in(torch.bfloat16, classifier):
        assert classifier.head.weight.dtype == torch.bfloat16
    assert [p.data_ptr() for p in classifier.parameters()] == before
