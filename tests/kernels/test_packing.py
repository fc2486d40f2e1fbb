"""Packed batches give what padded ones give: outputs, losses and the gradient of every parameter."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import transformers as tf
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn.attention import varlen

from nlptl.checkpoints import resolve_checkpoint
from nlptl.config.model import LoraSettings
from nlptl.data.tokens.encoding import Encoded, collate
from nlptl.errors import ConfigError
from nlptl.kernels import packing
from nlptl.models.building import build_classifier
from nlptl.models.classifier import Classifier
from nlptl.models.encoder import compile_layers, is_compiled
from nlptl.objectives.classification import Classification
from nlptl.registry import MODES
from nlptl.training.examples.labelled import LabelledExamples
from tests.gpu_stand_ins import text_by_text
from tests.kernels.architectures import write_checkpoint

LABELS = ["a", "b", "c"]
LENGTHS = [9, 1, 30, 2, 1, 17]
PAD = {"bert": 0, "distilbert": 0, "roberta": 1, "minilm": 0}


def texts(architecture: str, pairs: bool = False, seed: int = 0) -> LabelledExamples:
    """Random ids of uneven lengths."""
    rng = np.random.default_rng(seed)
    offsets = np.concatenate([[0], np.cumsum(LENGTHS)])
    tokens = rng.integers(5, 60, offsets[-1]).astype(np.int32)
    types = np.concatenate([np.arange(n) > n // 2 for n in LENGTHS]).astype(np.uint8)
    encoded = Encoded(tokens, offsets, types if pairs else None)
    return LabelledExamples(encoded, rng.integers(0, 3, len(LENGTHS)), PAD[architecture], Classification())


def folder(architecture: str, tiny: dict[str, str]) -> Path:
    return resolve_checkpoint("minilm").path if architecture == "minilm" else Path(tiny[architecture])


def classifier_on(checkpoint: Path, pooling: str, mode: str, packed: bool, dropout: float = 0.0) -> Classifier:
    """The same weights each time, adapters that already do something included."""
    torch.manual_seed(0)
    classifier = build_classifier(checkpoint, pooling, LABELS, False, dropout)
    if packed:
        classifier.pack()
    MODES.get(mode)().apply(classifier, LoraSettings(rank=4))
    torch.manual_seed(1)
    for name, parameter in classifier.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.1)
    return classifier


def learned(classifier: Classifier, rows: LabelledExamples) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """Losses, and the gradient of each parameter that learns."""
    classifier.train()
    order = np.array([2, 0, 1, 5, 4, 3])
    losses = rows.losses(classifier, order, torch.device("cpu"))
    losses.mean().backward()
    return losses.detach(), {n: p.grad for n, p in classifier.named_parameters() if p.requires_grad}


def assert_equal(padded: Classifier, packed: Classifier, rows: LabelledExamples) -> None:
    assert packed.packs and not padded.packs
    (loss, gradients), (packed_loss, packed_gradients) = learned(padded, rows), learned(packed, rows)
    torch.testing.assert_close(packed_loss, loss, atol=1e-5, rtol=1e-5)
    assert gradients.keys() == packed_gradients.keys()
    largest = max(float(g.abs().max()) for g in gradients.values() if g is not None)
    for name, gradient in gradients.items():
        assert (gradient is None) == (packed_gradients[name] is None), name
        if gradient is not None:
            torch.testing.assert_close(packed_gradients[name], gradient, atol=1e-5 * largest, rtol=1e-4, msg=name)


@pytest.mark.parametrize("mode", ["full", "lora"])
@pytest.mark.parametrize("pooling", ["mean", "cls"])
@pytest.mark.parametrize("architecture", ["bert", "distilbert", "roberta", "minilm"])
def test_losses_and_gradients_are_those_of_padded_batches(architecture, pooling, mode, tiny):
    checkpoint = folder(architecture, tiny)
    padded, packed = (classifier_on(checkpoint, pooling, mode, on) for on in (False, True))
    assert_equal(padded, packed, texts(architecture))


@pytest.mark.parametrize("pooling", ["mean", "cls"])
def test_pairs_keep_their_types(pooling, tiny):
    rows = texts("bert", pairs=True)
    padded, packed = (classifier_on(Path(tiny["bert"]), pooling, "full", on) for on in (False, True))
    assert_equal(padded, packed, rows)
    inputs = collate(rows.encoded, np.arange(3), 0, packed=True)
    without = {**inputs, "token_type_ids": torch.zeros_like(inputs["token_type_ids"])}
    assert (packed(inputs) - packed(without)).abs().max() > 1e-3


OTHERS = ("camembert", "electra", "xlm-roberta")


def test_every_architecture_that_is_named_is_tried():
    assert {"bert", "distilbert", "roberta", *OTHERS} == set(packing.ARCHITECTURES)


@pytest.mark.parametrize("name", OTHERS)
def test_relatives_are_equal_too(name, tmp_path):
    write_checkpoint(name, tmp_path)
    rows = texts("roberta" if name != "electra" else "bert")
    for pooling in ("mean", "cls"):
        assert_equal(*(classifier_on(tmp_path, pooling, "full", on) for on in (False, True)), rows)


@pytest.mark.parametrize("pooling", ["mean", "cls"])
def test_a_text_does_not_see_another(pooling, tiny):
    packed = classifier_on(Path(tiny["bert"]), pooling, "full", True).eval()
    rows, every = texts("bert"), np.arange(len(LENGTHS))
    changed = texts("bert")
    start, stop = rows.encoded.offsets[2:4]
    changed.encoded.tokens[start:stop] = changed.encoded.tokens[start:stop][::-1]
    with torch.inference_mode():
        before, after = (packed(collate(r.encoded, every, 0, packed=True)) for r in (rows, changed))
        alone = torch.cat([packed(collate(rows.encoded, every[i : i + 1], 0, packed=True)) for i in every])
    others = every != 2
    assert torch.equal(before[others], after[others])
    assert (before[2] - after[2]).abs().max() > 1e-3
    torch.testing.assert_close(before, alone, atol=1e-5, rtol=1e-4)


def test_a_padding_token_inside_a_text_has_the_position_that_transformers_gives_it(tiny):
    rows = texts("roberta")
    rows.encoded.tokens[[1, 12, 13]] = PAD["roberta"]
    padded, packed = (classifier_on(Path(tiny["roberta"]), "mean", "full", on) for on in (False, True))
    assert_equal(padded, packed, rows)


def test_features_and_outputs_are_packed_too(tiny):
    rows, every = texts("roberta"), np.arange(len(LENGTHS))
    for pooling in ("mean", "cls"):
        classifier = classifier_on(Path(tiny["roberta"]), pooling, "full", True).eval()
        with torch.inference_mode():
            found = [classifier.outputs(collate(rows.encoded, every, 1, packed=on)) for on in (False, True)]
            features = classifier.features(collate(rows.encoded, every, 1, packed=True))
        for padded, packed in zip(*found, strict=True):
            torch.testing.assert_close(packed, padded, atol=1e-5, rtol=1e-4)
        assert torch.equal(features, found[1][0])


def test_gradient_checkpointing_and_compiling_change_nothing(tiny):
    rows = texts("bert")
    for pooling in ("mean", "cls"):
        padded, packed = (classifier_on(Path(tiny["bert"]), pooling, "full", on) for on in (False, True))
        packed.encoder.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
        assert_equal(padded, packed, rows)
    compiled = classifier_on(Path(tiny["bert"]), "cls", "full", True)
    compile_layers(compiled, "eager")
    assert is_compiled(compiled) and not is_compiled(padded)
    padded.zero_grad()
    assert_equal(padded, compiled, rows)


def test_dropout_inside_attention_still_happens(tiny):
    classifier = classifier_on(Path(tiny["bert"]), "mean", "full", True)
    for module in classifier.modules():
        if module.__class__.__name__ == "BertSelfAttention":
            module.dropout.p = 0.5
    inputs = collate(texts("bert").encoded, np.arange(len(LENGTHS)), 0, packed=True)
    assert not torch.allclose(classifier.train()(inputs), classifier(inputs))
    assert torch.equal(classifier.eval()(inputs), classifier(inputs))


def test_the_architecture_must_be_one_that_can(tmp_path):
    write_checkpoint("albert", tmp_path)
    classifier = build_classifier(tmp_path, "mean", LABELS, False, 0.0)
    with pytest.raises(ConfigError, match=r"albert.*cannot be packed.*distilbert.*runtime\.packing=off"):
        classifier.pack()
    assert not classifier.packs


def test_nothing_of_it_is_saved(tiny, tmp_path):
    classifier = classifier_on(Path(tiny["bert"]), "cls", "full", True)
    classifier.save(tmp_path)
    assert packing.NAME not in (tmp_path / "config.json").read_text()


class Layer(torch.nn.Module):
    is_causal = False


def row_of_tokens(dtype: torch.dtype, device: str = "cpu") -> tuple[packing.Layout, list[torch.Tensor]]:
    """A layout, and query, key and value (1, heads, T, width)."""
    encoded = texts("bert").encoded
    layout = packing.Layout.of(collate(encoded, np.arange(len(LENGTHS)), 0, torch.device(device), packed=True))
    torch.manual_seed(0)
    shape = (1, sum(LENGTHS), 4, 8)  # as the layers make them: heads are views
    made = [torch.randn(shape, device=device).to(dtype).requires_grad_().transpose(1, 2) for _ in range(3)]
    return layout, made


@pytest.mark.parametrize("scaling", [None, 0.2])
def test_the_padded_substitute_means_what_the_kernel_means(scaling, monkeypatch):
    found = []
    monkeypatch.setattr(varlen, "varlen_attn", text_by_text)
    for kernel in (False, True):
        monkeypatch.setattr(packing, "_varlen_serves", lambda *_, kernel=kernel: kernel)
        layout, tensors = row_of_tokens(torch.float32)
        leaves = [t.retain_grad() or t for t in tensors]
        out, _ = packing.attend(Layer(), *tensors, None, scaling=scaling, layout=layout)
        out.sin().sum().backward()
        found.append([out, *(t.grad for t in leaves)])
    assert found[0][0].shape == (1, sum(LENGTHS), 4, 8)
    for substitute, kernel in zip(*found, strict=True):
        torch.testing.assert_close(substitute, kernel, atol=1e-5, rtol=1e-4)


def test_a_model_over_the_kernel_s_meaning_is_equal(tiny, monkeypatch):
    padded, packed = (classifier_on(Path(tiny["roberta"]), "cls", "full", on) for on in (False, True))
    called = []
    monkeypatch.setattr(packing, "_varlen_serves", lambda *_: True)
    monkeypatch.setattr(varlen, "varlen_attn", lambda *a, **k: called.append(1) or text_by_text(*a, **k))
    assert_equal(padded, packed, texts("roberta"))
    assert len(called) == 2  # layers


def test_torch_takes_the_arguments_that_its_kernel_is_given(monkeypatch):
    """torch's own shapes-only stand-in for the kernel, forwards and backwards: all that a machine without CUDA has."""
    monkeypatch.setattr(packing, "_varlen_serves", lambda *_: True)
    layout, tensors = row_of_tokens(torch.bfloat16)
    bare = [t.detach() for t in tensors]
    with FakeTensorMode() as mode:
        layout = layout._replace(offsets=mode.from_tensor(layout.offsets))
        leaves = [mode.from_tensor(t).requires_grad_() for t in bare]
        out, _ = packing.attend(Layer(), *leaves, None, scaling=0.3, layout=layout)
        out.sum().backward()
    assert out.shape == (1, sum(LENGTHS), 4, 8) and out.dtype == torch.bfloat16
    assert all(t.grad.shape == t.shape for t in leaves)


def test_without_cuda_or_with_dropout_the_kernel_is_not_asked(monkeypatch):
    cuda = torch.device("cuda")
    good = {"device": cuda, "dtype": torch.bfloat16, "width": 64, "dropout": 0.0}
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: (9, 0))
    monkeypatch.setattr(torch.version, "hip", None)
    assert packing._varlen_serves(**good)
    worse = {"device": torch.device("cpu"), "dtype": torch.float32, "width": 264, "dropout": 0.1}
    for name, value in [*worse.items(), ("width", 12)]:
        assert not packing._varlen_serves(**{**good, name: value}), name
    # Where a run decides, it knows the configuration only, and what replaces its dropout.
    bert, without = tf.BertConfig(), tf.BertConfig(attention_probs_dropout_prob=0.0)
    assert packing.pays(bert, cuda, torch.bfloat16, 0.0)
    assert not packing.pays(bert, cuda, torch.bfloat16, None)
    assert packing.pays(without, cuda, torch.bfloat16, None)
    assert not packing.pays(without, cuda, torch.bfloat16, 0.1)
    assert packing.pays(tf.DistilBertConfig(attention_dropout=0.0), cuda, torch.bfloat16, None)
    assert not packing.pays(tf.AlbertConfig(), cuda, torch.bfloat16, 0.0)
    assert not packing.pays(bert, torch.device("cpu"), torch.bfloat16, 0.0)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: (7, 5))
    assert not packing._varlen_serves(**good)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU")
def test_the_kernel_itself_computes_this():
    layout, tensors = row_of_tokens(torch.bfloat16, "cuda")
    leaves = [t.retain_grad() or t for t in tensors]
    out, _ = packing.attend(Layer(), *tensors, None, layout=layout)
    out.float().sin().sum().backward()
    exact = [t.detach().float().requires_grad_() for t in tensors]
    wanted, _ = packing.attend(Layer(), *exact, None, layout=layout)
    wanted.sin().sum().backward()
    for ours, theirs in zip([out, *(t.grad for t in leaves)], [wanted, *(t.grad for t in exact)], strict=True):
        assert (ours.float() - theirs).norm() < 0.02 * theirs.norm()
