"""The shorter way through a LoRA layer gives PEFT's outputs and gradients."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from peft.tuners.lora import Linear

from nlptl.config.model import LoraSettings
from nlptl.kernels.adapters import fuse_adapters
from nlptl.models.building import build_classifier
from nlptl.registry import MODES

INPUTS = {
    "input_ids": torch.tensor([[3, 4, 7, 9], [9, 3, 0, 0]]),
    "attention_mask": torch.tensor([[1, 1, 1, 1], [1, 1, 0, 0]]),
}


def adapted(tiny, settings, fused=True):
    torch.manual_seed(0)
    classifier = build_classifier(Path(tiny["bert"]), "mean", ["a", "b"], False, 0.0)
    mode = MODES.get("lora")()
    mode.apply(classifier, settings)
    if fused:
        fuse_adapters(classifier)
    generator = torch.Generator().manual_seed(1)
    for name, parameter in classifier.named_parameters():
        if "lora_B" in name:  # zero at the start: the adapter would say nothing
            parameter.data.normal_(0.0, 0.1, generator=generator)
    return classifier, mode


def layers(classifier) -> list[Linear]:
    return [layer for layer in classifier.modules() if isinstance(layer, Linear)]


def is_fused(layer) -> bool:
    return "forward" in vars(layer)


@pytest.mark.parametrize("settings", [LoraSettings(rank=4), LoraSettings(rank=4, alpha=3, rslora=True)])
def test_outputs_and_gradients_are_peft_s(tiny, settings):
    ours, _ = adapted(tiny, settings)
    theirs, _ = adapted(tiny, settings, fused=False)
    assert all(map(is_fused, layers(ours))) and not any(map(is_fused, layers(theirs)))
    for classifier in (ours, theirs):
        classifier(INPUTS).square().sum().backward()
    torch.testing.assert_close(ours(INPUTS), theirs(INPUTS), atol=1e-6, rtol=1e-5)
    reference = dict(theirs.named_parameters())
    for name, parameter in ours.named_parameters():
        if parameter.requires_grad:
            torch.testing.assert_close(parameter.grad, reference[name].grad, atol=1e-6, rtol=1e-4, msg=name)


@pytest.mark.parametrize("settings", [LoraSettings(rank=4, dropout=0.1), LoraSettings(rank=4, dora=True)])
def test_dropout_and_dora_are_left_to_peft(tiny, settings):
    assert not any(map(is_fused, layers(adapted(tiny, settings)[0])))


def test_merging_and_switching_off_are_heeded(tiny):
    classifier, mode = adapted(tiny, LoraSettings(rank=4))
    expected = classifier.eval()(INPUTS)
    for layer in layers(classifier):
        layer.enable_adapters(False)
    assert not torch.allclose(classifier(INPUTS), expected, atol=1e-3)
    for layer in layers(classifier):
        layer.enable_adapters(True)
    torch.testing.assert_close(classifier(INPUTS), expected)
    mode.merge(classifier)
    torch.testing.assert_close(classifier(INPUTS), expected, atol=1e-5, rtol=1e-4)
