"""Explicit attention for short texts gives what PyTorch's own kernel gives, and is used where it should be."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn
from transformers.integrations.sdpa_attention import sdpa_attention_forward

from nlptl.kernels import attention
from nlptl.models.building import build_classifier
from nlptl.models.opening import load_tokenizer
from nlptl.registry import MODES


class Layer(nn.Module):
    is_causal = False


def shaped(length: int, dtype: torch.dtype) -> list[torch.Tensor]:
    torch.manual_seed(0)
    return [torch.randn(3, 4, length, 8, dtype=dtype, requires_grad=True) for _ in range(3)]


@pytest.mark.parametrize("masked", [False, True])
def test_outputs_and_gradients_are_those_of_the_fused_kernel(masked):
    mask = torch.ones(3, 1, 12, 12, dtype=torch.bool)
    mask[1, :, :, 5:] = False
    given = mask if masked else None
    found, layer = [], Layer()
    for function in (attention.attend, sdpa_attention_forward):
        query, key, value = shaped(12, torch.bfloat16)
        out, _ = function(layer, query, key, value, given, dropout=0.0, scaling=8**-0.5)
        out.float().square().sum().backward()
        found.append([out.float(), *(t.grad.float() for t in (query, key, value))])
    for ours, theirs in zip(*found, strict=True):
        assert ours.shape == theirs.shape
        torch.testing.assert_close(ours, theirs, atol=0.06, rtol=0.03)  # bfloat16 rounds at 2^-8


@pytest.mark.parametrize(
    ("length", "dtype", "learning", "fused"),
    [
        (12, torch.float32, True, True),
        (attention.SHORT, torch.bfloat16, True, False),
        (attention.SHORT + 1, torch.bfloat16, True, True),
        (attention.SHORT_FORWARD, torch.bfloat16, False, False),
        (attention.SHORT_FORWARD + 1, torch.bfloat16, False, True),
    ],
)
def test_long_texts_and_exact_arithmetic_keep_the_fused_kernel(length, dtype, learning, fused, monkeypatch):
    called = []
    real = torch.nn.functional.scaled_dot_product_attention
    monkeypatch.setattr(
        torch.nn.functional, "scaled_dot_product_attention", lambda *a, **k: called.append(1) or real(*a, **k)
    )
    with torch.set_grad_enabled(learning):
        attention.attend(Layer(), *shaped(length, dtype), None)
    assert bool(called) == fused


@pytest.mark.parametrize(
    ("mask", "others", "causal"),
    [
        (None, {}, True),
        (None, {"is_causal": True}, False),
        (torch.zeros(3, 1, 12, 12), {}, False),
        (None, {"position_bias": torch.randn(1, 4, 12, 12)}, False),
    ],
    ids=["causal layer", "causal call", "additive mask", "position bias"],
)
def test_what_the_products_do_not_compute_is_left_to_the_fused_kernel(mask, others, causal):
    """A decoder has no mask where all texts are of one length, and no token may see a later one all the same."""
    layer = Layer()
    layer.is_causal = causal
    found, expected = (
        function(layer, *shaped(12, torch.bfloat16), mask, dropout=0.0, scaling=None, **others)[0]
        for function in (attention.attend, sdpa_attention_forward)
    )
    torch.testing.assert_close(found, expected, atol=0, rtol=0)


@pytest.mark.parametrize("architecture", ["bert", "distilbert", "roberta"])
def test_a_checkpoint_attends_through_it_and_saves_nothing_of_it(architecture, tiny, tmp_path):
    classifier = build_classifier(Path(tiny[architecture]), "mean", ["a", "b"], False, 0.0).eval()
    attention.use_for(classifier.encoder)
    assert classifier.encoder.config._attn_implementation == attention.NAME
    inputs = dict(
        load_tokenizer(Path(tiny[architecture]))(["one text", "a longer text"], padding=True, return_tensors="pt")
    )
    inputs.pop("token_type_ids", None)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        ours = classifier(inputs)
        classifier.encoder.set_attn_implementation("sdpa")
        theirs = classifier(inputs)
    torch.testing.assert_close(ours, theirs, atol=0.02, rtol=0.02)
    MODES.get("full")().save(classifier, tmp_path)
    assert attention.NAME not in (tmp_path / "encoder" / "config.json").read_text()
