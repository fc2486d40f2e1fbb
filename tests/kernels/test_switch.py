"""`runtime.kernels`: with the kernels and without them a model gives the same, and off leaves the libraries alone."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import astuple, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import peft
import pytest
import torch
import transformers as tf
from safetensors.torch import load_file
from torch import nn
from transformers.integrations.sdpa_attention import sdpa_attention_forward

import nlptl
from nlptl.config.model import LoraSettings
from nlptl.config.overrides import load_config
from nlptl.config.runtime import RuntimeConfig
from nlptl.config.training import ResolvedTraining
from nlptl.data.tokens.encoding import Encoded
from nlptl.errors import ConfigError
from nlptl.explore.layers import probe_layers
from nlptl.kernels import (
    OFF,
    KernelSettings,
    adapters,
    attention,
    bf16,
    cuda_graphs,
    during_passes,
    during_training,
    embeddings,
    enable,
    packing,
)
from nlptl.models.building import build_classifier
from nlptl.models.classifier import Classifier
from nlptl.objectives.classification import Classification
from nlptl.registry import MODES
from nlptl.training.examples.labelled import LabelledExamples
from nlptl.training.forward import logits_of
from nlptl.training.loop import fit
from nlptl.training.runtime import Runtime, start_runtime
from tests.kernels.architectures import CONFIGS, COPIES, write_checkpoint

LABELS = ["a", "b", "c"]
LENGTHS = [9, 3, 30, 3, 2, 17, 40, 5, 12, 12, 12, 12]
BATCH = np.arange(8)
TRAINING = ResolvedTraining(
    epochs=2, batch_size=4, learning_rate=1e-3, head_learning_rate=1e-3, layer_decay=1.0, schedule="constant",
    warmup=0.0, weight_decay=0.0,
)  # fmt: skip


@pytest.fixture(scope="module", params=sorted({*CONFIGS} - {*COPIES}))
def checkpoint(request, tmp_path_factory) -> Path:
    return write_checkpoint(request.param, tmp_path_factory.mktemp("checkpoint") / request.param)


@pytest.fixture(scope="module")
def bert(tmp_path_factory) -> Path:
    return write_checkpoint("bert", tmp_path_factory.mktemp("checkpoint") / "bert")


def texts(pad: int) -> LabelledExamples:
    """Random ids of uneven lengths, of a quarter of the vocabulary; the last texts are of one length."""
    rng = np.random.default_rng(0)
    offsets = np.concatenate([[0], np.cumsum(LENGTHS)])
    encoded = Encoded(rng.integers(5, 55, offsets[-1]).astype(np.int32), offsets, None)
    return LabelledExamples(encoded, rng.integers(0, 3, len(LENGTHS)), pad, Classification())


def classifier_on(folder: Path, pooling: str, mode: str, settings: KernelSettings) -> Classifier:
    """The same weights each time, adapters that already do something included, as a run builds it."""
    torch.manual_seed(0)
    classifier = build_classifier(folder, pooling, LABELS, False, 0.0)
    enable(classifier, settings)
    targets = ["c_attn", "c_proj", "c_fc"] if classifier.config.model_type == "gpt2" else None
    MODES.get(mode)().apply(classifier, LoraSettings(rank=4, targets=targets))
    enable(classifier, settings)
    torch.manual_seed(1)
    for name, parameter in classifier.named_parameters():
        if "lora_B" in name:
            nn.init.normal_(parameter, std=0.1)
    return classifier


@dataclass
class Outcome:
    """What a model says and learns."""

    logits: np.ndarray
    """(rows, C), in eval mode."""
    gradient: np.ndarray
    """Of one batch, all parameters end to end; word embeddings of the occurring tokens alone."""
    losses: np.ndarray
    """Of a short training."""


def outcome(folder: Path, pooling: str, mode: str, settings: KernelSettings, runtime: Runtime) -> Outcome:
    classifier = classifier_on(folder, pooling, mode, settings)
    rows = texts(int(classifier.config.pad_token_id))
    # A batch of texts of one length has no mask in some architectures.
    logits = logits_of(runtime, classifier, rows.encoded, rows.pad_id, len(LABELS), "x")
    classifier.train()
    with during_training(classifier, runtime.dtype, rows.tokens):
        for batch in (BATCH, np.arange(8, 12)):
            with runtime.autocast():
                losses = rows.losses(classifier, batch, runtime.device)
            losses.mean().backward()
        words = classifier.encoder.get_input_embeddings()
        gradient = [
            g[rows.tokens] if p is words.weight and len(g) > len(rows.tokens) else g
            for p in classifier.parameters()
            if (g := p.grad) is not None
        ]
        assert isinstance(words, embeddings.UsedEmbedding) == (settings.used_words and mode == "full")
    classifier.zero_grad()
    progress = fit(runtime, classifier, rows, TRAINING, 0)
    flat = torch.cat([g.flatten() for g in gradient]).numpy()
    return Outcome(logits, flat, np.array(progress.losses))


def distance(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.linalg.norm(one - other))


@pytest.mark.parametrize("mode", ["full", "lora"])
@pytest.mark.parametrize("pooling", ["cls", "mean"])
def test_outputs_gradients_and_trainings_are_those_of_the_plain_model(checkpoint, pooling, mode):
    exact, rounding = (start_runtime(precision, progress=False) for precision in ("fp32", "bf16"))
    plain, ours = (outcome(checkpoint, pooling, mode, settings, exact) for settings in (OFF, KernelSettings()))
    for reference, found in zip(astuple(plain), astuple(ours), strict=True):
        assert found.shape == reference.shape
        assert distance(found, reference) < 1e-4 * np.linalg.norm(reference)
    rounded, ours = (outcome(checkpoint, pooling, mode, settings, rounding) for settings in (OFF, KernelSettings()))
    # Both round, at different places, so both are compared with exact arithmetic: the kernels round activations in
    # more places, and may be half as far again from it as plain autocast is, and one rounding (2^-8) more.
    for reference, by_libraries, by_kernels in zip(*map(astuple, (plain, rounded, ours)), strict=True):
        bound = 1.5 * distance(by_libraries, reference) + 2**-8 * np.linalg.norm(reference)
        assert distance(by_kernels, reference) < bound


def structure(model: nn.Module) -> list[tuple[Any, ...]]:
    """What could be replaced in a model: each module's class, forward, hooks, and parameters."""
    return [
        (
            name,
            type(module),
            type(module).forward,
            sorted(vars(module).keys() & {"forward", "__call__", "_compiled_call_impl"}),
            *(len(hooks) for key, hooks in sorted(vars(module).items()) if key.endswith("_hooks")),
            [(key, p.shape, p.dtype) for key, p in module.named_parameters(recurse=False)],
        )
        for name, module in model.named_modules()
    ]


@pytest.mark.parametrize("mode", ["full", "lora"])
def test_off_leaves_a_model_as_the_libraries_made_it(checkpoint, mode):
    lora = LoraSettings(rank=2, targets=["c_attn", "c_proj"] if checkpoint.name == "gpt2" else None)
    config = tf.AutoConfig.from_pretrained(checkpoint, num_labels=len(LABELS))
    theirs: Any = tf.AutoModelForSequenceClassification.from_pretrained(checkpoint, config=config)
    chosen = theirs.config._attn_implementation
    ours: Any = build_classifier(checkpoint, "cls", LABELS, False, None)
    enable(ours, OFF)
    MODES.get(mode)().apply(ours, lora)
    enable(ours, OFF)
    if mode == "lora":
        linear = lora.targets or [n for n, m in theirs.base_model.named_modules() if isinstance(m, nn.Linear)]
        peft.get_peft_model(theirs.base_model, peft.LoraConfig(r=2, target_modules=linear, bias="none"))
    assert ours.config._attn_implementation == chosen
    expected = structure(theirs)
    assert structure(ours.model) == expected
    with during_training(ours, torch.bfloat16, np.arange(5)):
        assert structure(ours.model) == expected
    ours.requires_grad_(False)
    with during_passes(ours, torch.bfloat16):
        assert structure(ours.model) == expected
    enable(ours, KernelSettings())  # the comparison sees what it is for
    assert structure(ours.model) != expected or checkpoint.name == "gpt2"


def of_the_libraries() -> dict[str, Any]:
    """What other models of the process share."""
    return {
        "fused attention": nn.functional.scaled_dot_product_attention,
        "normalisation": nn.LayerNorm.forward,
        "linear": nn.Linear.forward,
        "embedding": nn.Embedding.forward,
        "sdpa": tf.AttentionInterface()["sdpa"],
        "adapters": peft.tuners.lora.Linear.forward,
        "hooks": [len(hooks) for key, hooks in sorted(vars(nn.modules.module).items()) if key.startswith("_global_")
                  and key.endswith("_hooks")],
    }  # fmt: skip


def test_another_model_of_the_process_is_left_alone(bert):
    before, plain = of_the_libraries(), tf.AutoModel.from_pretrained(bert)
    assert before["sdpa"] is sdpa_attention_forward and len(before["hooks"]) > 3
    expected = structure(plain)
    classifier = classifier_on(bert, "mean", "lora", KernelSettings(packing=True))
    ids = torch.randint(5, 55, (2, 7))
    inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    with torch.autocast("cpu", torch.bfloat16), during_passes(classifier, torch.bfloat16):
        classifier(inputs)
        assert of_the_libraries() == before
        again = tf.AutoModel.from_pretrained(bert)
    assert structure(again) == structure(plain) == expected
    assert again.config._attn_implementation == "sdpa"
    assert torch.equal(again(**inputs).last_hidden_state, plain(**inputs).last_hidden_state)


ENTRANCES = (
    (attention, "use_for"),
    (attention, "attend"),
    (bf16, "use_for"),
    (bf16, "linear_weights_in"),
    (adapters, "fuse_adapters"),
    (embeddings, "only_used_words"),
    (packing, "use_for"),
    (cuda_graphs, "captured_passes"),
)


@pytest.fixture
def used(monkeypatch) -> list[str]:
    """The kernels that are used from now on."""
    found: list[str] = []

    def noted(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*given: Any, **named: Any) -> Any:
            found.append(name)
            return function(*given, **named)

        return call

    for room, name in ENTRANCES:
        monkeypatch.setattr(room, name, noted(f"{room.__name__.rpartition('.')[2]}.{name}", getattr(room, name)))
    return found


@pytest.mark.parametrize("mode", ["full", "lora", "feature_extraction"])
def test_a_run_without_kernels_uses_none_from_training_to_prediction(train, obvious, tiny, tmp_path, used, mode):
    settings = {"runtime.precision": "bf16", "runtime.kernels": "off", "probe.cache": False}
    run = train("sentiment", obvious, tmp_path / "off", settings, mode=mode, checkpoint=tiny["bert"]).run
    run.predict(["a good film"])
    assert used == []
    assert run.artifact.classifier.kernels == OFF
    settings["runtime.kernels"] = "auto"
    run = train("sentiment", obvious, tmp_path / "auto", settings, mode=mode, checkpoint=tiny["bert"]).run
    assert {"attention.use_for", "bf16.use_for", "bf16.linear_weights_in"} <= {*used}
    assert ("embeddings.only_used_words" in used) == (mode != "feature_extraction")
    assert run.artifact.classifier.kernels == KernelSettings()


@pytest.mark.parametrize("kernels", ["auto", "off"])
def test_pre_training_and_exploring_heed_the_switch(tiny, obvious, tmp_path, used, kernels):
    asked = {"runtime.kernels": kernels, "runtime.precision": "bf16", "runtime.progress": False}
    texts = [f"a good film in round {i}" for i in range(20)]
    nlptl.pretrain(texts=texts, checkpoint=tiny["bert"], steps=1, output=tmp_path / "more", settings=asked)
    assert bool(used) == (kernels == "auto")
    used.clear()
    probe_layers(
        load_config(task="sentiment", checkpoint=tiny["bert"], **{**asked, "data.source": str(obvious)}), most=20
    )
    assert bool(used) == (kernels == "auto")


@pytest.mark.parametrize("pooling", ["cls", "mean"])
@pytest.mark.parametrize("mode", ["full", "lora"])
def test_what_is_saved_does_not_tell_which_it_was(trained_tiny, mode, pooling):
    auto, off = (trained_tiny("bert", mode, pooling, runtime__kernels=kernels).run for kernels in ("auto", "off"))
    files = {file.relative_to(auto.folder / "model") for file in (auto.folder / "model").rglob("*") if file.is_file()}
    assert files == {
        file.relative_to(off.folder / "model") for file in (off.folder / "model").rglob("*") if file.is_file()
    }
    assert {file.suffix for file in files} >= {".json", ".safetensors"}
    for file in files:
        one, other = (run.folder / "model" / file for run in (auto, off))
        if file.suffix == ".safetensors":
            weights, others = load_file(one), load_file(other)
            assert weights.keys() == others.keys()
            for name, tensor in weights.items():
                assert tensor.dtype == others[name].dtype and tensor.shape == others[name].shape, name
        else:
            assert one.read_text() == other.read_text()
            assert "nlptl" not in one.read_text()
    assert off.artifact.config.runtime.kernels == "off"


def test_packing_without_kernels_is_refused():
    for given in (
        {"runtime.packing": "on", "runtime.kernels": "off"},
        {"runtime.packing": True, "runtime.kernels": False},
    ):
        with pytest.raises(ConfigError, match=r"packing=on.*kernels=off leaves out.*packing=auto.*kernels=auto"):
            load_config(task="sentiment", **given)
    # YAML reads off as false; that is what was meant.
    assert load_config(task="sentiment", **{"runtime.kernels": False}).runtime.kernels == "off"


@pytest.mark.parametrize(
    ("asked", "packs", "captures"),
    [
        ({}, True, True),
        ({"kernels": "off"}, False, False),
        ({"packing": "off"}, False, False),
        ({"cuda_graphs": False}, True, False),
        ({"gradient_checkpointing": True}, True, False),
    ],
)
def test_what_a_training_uses(asked, packs, captures):
    runtime = RuntimeConfig(**asked)
    settings = KernelSettings.for_training(runtime, packing_pays=True, shapes_can_be_rounded=True)
    assert (settings.packing, settings.cuda_graphs) == (packs, captures)
    for where in ({"packing_pays": False}, {"shapes_can_be_rounded": False}):
        other = KernelSettings.for_training(runtime, **{"packing_pays": True, "shapes_can_be_rounded": True, **where})
        assert not other.cuda_graphs
        assert other.packing == (packs and "packing_pays" not in where)
    asked_for = KernelSettings.for_training(RuntimeConfig(packing="on"), False, True)
    assert asked_for.packing and not asked_for.cuda_graphs


def test_several_processes_train_without_cuda_graphs(monkeypatch, bert):
    """Their gradients would not reach the hooks that exchange them."""
    captured = []
    monkeypatch.setattr(cuda_graphs, "captured_passes", lambda model: captured.append(model) or nullcontext())
    settings = replace(OFF, cuda_graphs=True)
    classifier = classifier_on(bert, "mean", "full", settings)
    with during_training(classifier, None, None, alone=False):
        assert not captured
    with during_training(classifier, None, None):
        assert captured == [classifier]
