import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModel

from nlptl.config.model import LoraSettings
from nlptl.data.tokens.encoding import collate, encode
from nlptl.errors import ArtifactError, ConfigError
from nlptl.models.building import build_classifier
from nlptl.models.modes import linear_layers
from nlptl.registry import MODES
from nlptl.runs.artifact import load_artifact
from nlptl.runs.saving import merge_artifact

TEXTS = ["A warm, funny film.", "I want my money back!", "Fine.", "It broke after a day and nobody answered my mails."]


def checkpoint_weights(run) -> dict[str, torch.Tensor]:
    from nlptl.checkpoints import resolve_checkpoint

    return AutoModel.from_pretrained(resolve_checkpoint(run.artifact.config.checkpoint).path).state_dict()


def logits(artifact, classifier) -> np.ndarray:
    import pandas as pd

    encoded = encode(pd.DataFrame({"text": TEXTS}), artifact.tokenizer, artifact.max_length)
    inputs = collate(encoded, np.arange(len(TEXTS)), artifact.tokenizer.pad_token_id)
    with torch.inference_mode():
        return classifier.cpu().eval()(inputs).numpy()


def weight_files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*.safetensors")}


def test_the_names_known_without_torch_are_those_of_the_modes():
    assert sorted(MODES.names()) == MODES.names()


def test_feature_extraction_leaves_every_encoder_weight_as_it_was(trained):
    after = trained("feature_extraction").classifier
    before = checkpoint_weights(trained("feature_extraction").run)
    own = after.encoder.state_dict()
    assert len(own) > 90
    for name, tensor in own.items():
        assert torch.equal(tensor, before[name]), name
    assert not any(p.requires_grad for p in after.parameters())
    assert not any(module.training for module in after.modules())


def test_feature_extraction_saves_the_head_alone(trained):
    folder = trained("feature_extraction").run.folder / "model"
    assert weight_files(folder) == {"head.safetensors"}
    saved = load_file(folder / "head.safetensors")
    assert {name: tuple(t.shape) for name, t in saved.items()} == {"_head.weight": (2, 384), "_head.bias": (2,)}


def test_lora_leaves_every_checkpoint_weight_as_it_was(trained):
    after = trained("lora").classifier
    before = checkpoint_weights(trained("lora").run)
    adapters, kept = [], 0
    for name, tensor in after.encoder.named_parameters():
        if "lora_" in name:
            adapters.append(tensor)
            assert tensor.requires_grad
            continue
        assert torch.equal(tensor, before[name.replace(".base_layer", "")]), name
        assert not tensor.requires_grad
        kept += 1
    assert kept > 90
    assert len(adapters) == 2 * 36
    assert any(tensor.abs().max() > 0 for tensor in adapters[1::2]), "no adapter learned anything"


def test_lora_saves_adapter_and_head_alone(trained):
    folder = trained("lora").run.folder / "model"
    assert weight_files(folder) == {"adapter/adapter_model.safetensors", "head.safetensors"}
    assert sum(path.stat().st_size for path in folder.rglob("*.safetensors")) < 5_000_000
    saved = load_file(folder / "adapter" / "adapter_model.safetensors")
    assert all("lora_" in name for name in saved)


@pytest.mark.parametrize("mode", MODES.names())
def test_reloaded_and_merged_runs_answer_as_the_trained_model(trained, tmp_path, mode):
    run = trained(mode).run
    expected = logits(run.artifact, trained(mode).classifier)
    np.testing.assert_allclose(logits(run.artifact, load_artifact(run.folder).classifier), expected, atol=1e-5)
    merged = load_artifact(merge_artifact(run.folder, tmp_path / "merged"))
    np.testing.assert_allclose(logits(merged, merged.classifier), expected, atol=1e-4)
    assert merged.manifest["merged"]
    assert merged.manifest["whole"]
    assert not any("lora_" in name for name in merged.classifier.state_dict())


def test_full_changes_the_encoder_and_keeps_the_label_names(trained):
    run = trained("full").run
    before, after = checkpoint_weights(run), trained("full").classifier.encoder.state_dict()
    same = [name for name, tensor in after.items() if torch.equal(tensor, before[name])]
    assert not same
    config = json.loads((run.folder / "model" / "encoder" / "config.json").read_text())
    assert config["id2label"] == {"0": "negative", "1": "positive"}
    assert run.labels == ["negative", "positive"]


@pytest.mark.parametrize(
    ("setting", "noted", "scale"),
    [("lora.rslora", "use_rslora", 8 / 4**0.5), ("lora.dora", "use_dora", 8 / 4)],
)
def test_lora_variants_train_and_reload(trained_tiny, setting, noted, scale):
    result = trained_tiny("bert", "lora", lora__rank=4, lora__alpha=8.0, **{setting: True})
    adapter = json.loads((result.run.folder / "model" / "adapter" / "adapter_config.json").read_text())
    assert adapter[noted] is True
    layers = [m for m in result.classifier.encoder.modules() if hasattr(m, "lora_A") and hasattr(m, "scaling")]
    assert layers
    assert all(layer.scaling["default"] == pytest.approx(scale) for layer in layers)
    expected = logits(result.run.artifact, result.classifier)
    np.testing.assert_allclose(logits(result.run.artifact, result.run.artifact.classifier), expected, atol=1e-5)


def test_lora_adapts_only_the_layers_asked_for(train, tiny, obvious, tmp_path):
    settings = {"lora.targets": ["query", "value"]}
    train("sentiment", obvious, tmp_path / "run", settings, mode="lora", checkpoint=tiny["bert"])
    saved = load_file(tmp_path / "run" / "model" / "adapter" / "adapter_model.safetensors")
    assert {name.split(".lora_")[0].rsplit(".", 1)[1] for name in saved} == {"query", "value"}


def test_lora_names_the_layers_there_are_when_targets_do_not_fit(tiny):
    classifier = build_classifier(Path(tiny["bert"]), "mean", ["a", "b"], False, 0.0)
    with pytest.raises(ConfigError, match=r"q_proj.*do not fit this encoder\. Linear layers: .*attention\.self\.query"):
        MODES.get("lora")().apply(classifier, LoraSettings(targets=["q_proj"]))


def test_all_linear_layers_of_the_encoder_are_adapted(tiny):
    classifier = build_classifier(Path(tiny["distilbert"]), "cls", ["a", "b"], False, 0.0)
    names = linear_layers(classifier.encoder)
    assert len(names) == 2 * 6
    assert not any("classifier" in name for name in names)


def test_a_full_run_is_not_loaded_onto_its_checkpoint(tiny, tmp_path):
    classifier = build_classifier(Path(tiny["bert"]), "mean", ["a", "b"], False, 0.0)
    with pytest.raises(ArtifactError, match="own weights"):
        MODES.get("full")().load(classifier, tmp_path)


def test_a_damaged_adapter_is_an_artifact_error(tiny, tmp_path):
    classifier = build_classifier(Path(tiny["bert"]), "mean", ["a", "b"], False, 0.0)
    mode = MODES.get("lora")()
    mode.apply(classifier, LoraSettings())
    mode.save(classifier, tmp_path)
    file = tmp_path / "adapter" / "adapter_model.safetensors"
    file.write_bytes(file.read_bytes()[:100])
    fresh = build_classifier(Path(tiny["bert"]), "mean", ["a", "b"], False, 0.0)
    with pytest.raises(ArtifactError, match="adapter .* cannot be opened"):
        MODES.get("lora")().load(fresh, tmp_path)


@pytest.mark.parametrize("name", MODES.names())
def test_every_mode_fills_every_setting_that_is_left_open(name):
    from nlptl.config.run import RunConfig

    mode = MODES.get(name)
    rest = {"checkpoint": "minilm", "model.pooling": "mean", "strategy": "fine_tune"}
    resolved = RunConfig(task="sentiment", mode=name).resolved(rest, mode.defaults)
    assert resolved.model.head_start == "probe"
