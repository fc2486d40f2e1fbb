"""Under autocast on a CPU, activations are narrow from the embeddings on; elsewhere nothing changes."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from nlptl.models.classifier import build_classifier

INPUTS = {
    "input_ids": torch.tensor([[3, 4, 7, 9], [9, 3, 0, 0]]),
    "attention_mask": torch.tensor([[1, 1, 1, 1], [1, 1, 0, 0]]),
}


@pytest.mark.parametrize("architecture", ["bert", "roberta", "distilbert"])
def test_every_layer_passes_on_what_it_computes_in(tiny, architecture):
    classifier = build_classifier(Path(tiny[architecture]), "mean", ["a", "b"], False, 0.0).eval()
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
