import json
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoConfig, AutoModel, pipeline

import nlptl
from nlptl.errors import ArtifactError, CheckpointError
from nlptl.evaluation.probabilities import probabilities_of
from nlptl.models.building import build_classifier, load_classifier
from nlptl.models.head_files import load_head, save_head
from nlptl.models.opening import load_tokenizer, longest_input
from nlptl.runs.saving import merge_artifact

TEXTS = ["a good film in round 1", "Awful!", "The book was poor, and more of it and more of it. " * 3, "fine"]
LABELS = ["negative", "positive"]


def inputs_of(folder: str, texts: list[str]) -> dict[str, torch.Tensor]:
    return dict(load_tokenizer(Path(folder))(texts, padding=True, truncation=True, return_tensors="pt"))


def assert_same_in_plain_transformers(folder: Path, before: Path | None = None) -> None:
    """The folder's `model/` in a transformers pipeline answers as nlptl before calibration, which only a run knows of.

    Where the folder was merged, `before` is the run before that.
    """
    run = nlptl.load(before or folder, precision="fp32", progress=False)
    ours = probabilities_of(run.logits(TEXTS), False)
    plain = pipeline("text-classification", model=str(folder / "model"), device="cpu")
    theirs = [
        [{s["label"]: s["score"] for s in scores}[label] for label in LABELS]
        for scores in plain(TEXTS, top_k=None, truncation=True)
    ]
    np.testing.assert_allclose(ours, theirs, atol=1e-4)
    assert np.ptp(ours[:, 0]) > 0.002, "all texts look the same to this model"
    best = [answer["label"] for answer in plain(TEXTS, truncation=True)]
    assert best == [LABELS[i] for i in ours.argmax(1)]


@pytest.mark.parametrize("architecture", ["bert", "distilbert", "roberta"])
def test_a_full_run_with_cls_pooling_opens_in_plain_transformers(trained_tiny, architecture):
    assert_same_in_plain_transformers(trained_tiny(architecture, "full").run.folder)


@pytest.mark.parametrize("architecture", ["bert", "distilbert", "roberta"])
def test_a_merged_lora_run_with_cls_pooling_opens_in_plain_transformers(trained_tiny, tmp_path, architecture):
    run = trained_tiny(architecture, "lora").run
    assert_same_in_plain_transformers(merge_artifact(run.folder, tmp_path / "merged"), run.folder)


@pytest.mark.parametrize("mode", ["full", "lora"])
def test_the_bundled_checkpoint_with_cls_pooling_opens_in_plain_transformers(train, obvious, tmp_path, mode):
    settings = {"model.pooling": "cls", "training.batch_size": 32}
    folder = train("sentiment", obvious, tmp_path / "run", settings, mode=mode).run.folder
    assert_same_in_plain_transformers(
        merge_artifact(folder, tmp_path / "merged") if mode == "lora" else folder, before=folder
    )


def test_plain_transformers_cuts_long_texts_where_nlptl_does(trained_tiny):
    run = trained_tiny("bert", "full", model__max_length=8).run
    assert run.artifact.max_length == 8
    assert_same_in_plain_transformers(run.folder)


def test_mean_pooling_averages_the_tokens_and_not_the_padding(tiny):
    classifier = build_classifier(Path(tiny["bert"]), "mean", LABELS, False, 0.0).eval()
    plain = AutoModel.from_pretrained(tiny["bert"]).eval()
    inputs = inputs_of(tiny["bert"], TEXTS)
    lengths = inputs["attention_mask"].sum(1)
    assert lengths.min() < lengths.max()
    with torch.inference_mode():
        features = classifier.features(inputs)
        for row, text in enumerate(TEXTS):
            states = plain(**inputs_of(tiny["bert"], [text])).last_hidden_state[0]
            torch.testing.assert_close(features[row], states.mean(0), atol=1e-5, rtol=1e-4)


def test_unit_mean_is_the_mean_at_length_one(tiny):
    inputs = inputs_of(tiny["bert"], TEXTS)
    with torch.inference_mode():
        mean, unit = (
            build_classifier(Path(tiny["bert"]), pooling, LABELS, False, 0.0).eval().features(inputs)
            for pooling in ("mean", "unit_mean")
        )
    torch.testing.assert_close(unit, mean / mean.norm(dim=1, keepdim=True))


@pytest.mark.parametrize("architecture", ["bert", "distilbert", "roberta"])
@pytest.mark.parametrize("pooling", ["cls", "mean", "unit_mean"])
def test_features_are_what_the_head_sees(tiny, architecture, pooling):
    torch.manual_seed(0)
    classifier = build_classifier(Path(tiny[architecture]), pooling, ["a", "b", "c"], False, 0.0).eval()
    inputs = inputs_of(tiny[architecture], TEXTS)
    with torch.inference_mode():
        logits = classifier(inputs)
        torch.testing.assert_close(classifier.head(classifier.features(inputs)), logits)
    assert logits.shape == (4, 3)
    assert classifier.head.out_features == 3


@pytest.mark.parametrize(
    ("architecture", "pooling", "fresh"),
    [
        ("bert", "cls", {"classifier.weight", "classifier.bias"}),
        ("distilbert", "cls", {f"{n}.{p}" for n in ("pre_classifier", "classifier") for p in ("weight", "bias")}),
        ("roberta", "cls", {f"classifier.{n}.{p}" for n in ("dense", "out_proj") for p in ("weight", "bias")}),
        ("bert", "mean", {"_head.weight", "_head.bias"}),
    ],
)
def test_own_is_what_the_checkpoint_did_not_bring(tiny, architecture, pooling, fresh):
    classifier = build_classifier(Path(tiny[architecture]), pooling, LABELS, False, 0.0)
    assert {name.removeprefix("model.") for name in classifier.own} == fresh


@pytest.mark.parametrize("architecture", ["bert", "distilbert", "roberta"])
@pytest.mark.parametrize("dropout", [0.0, 0.25, None])
def test_dropout_replaces_every_dropout_or_none(tiny, architecture, dropout):
    classifier = build_classifier(Path(tiny[architecture]), "cls", LABELS, False, dropout)
    rates = {m.p for m in classifier.modules() if isinstance(m, torch.nn.Dropout)}
    expected = {"bert": {0.1}, "roberta": {0.1}, "distilbert": {0.1, 0.2}}[architecture]
    assert rates == ({dropout} if dropout is not None else expected)


@pytest.mark.parametrize("pooling", ["cls", "mean", "unit_mean"])
def test_saved_and_loaded_classifiers_are_equal(tiny, tmp_path, pooling):
    torch.manual_seed(0)
    classifier = build_classifier(Path(tiny["bert"]), pooling, ["a", "b", "c"], True, 0.0)
    classifier.save(tmp_path)
    again = load_classifier(tmp_path, pooling, ["a", "b", "c"], True)
    before, after = classifier.state_dict(), again.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert again.config.problem_type == "multi_label_classification"
    noted = json.loads(next(tmp_path.rglob("config.json")).read_text())
    assert noted["label2id"] == {"a": 0, "b": 1, "c": 2}


def test_a_folder_without_config_is_incomplete(tmp_path):
    with pytest.raises(ArtifactError, match="no config.json"):
        load_classifier(tmp_path, "mean", LABELS, False)


def test_heads_that_are_missing_damaged_or_of_another_shape(tiny, tmp_path):
    classifier = build_classifier(Path(tiny["bert"]), "mean", LABELS, False, 0.0)
    with pytest.raises(ArtifactError, match="cannot be read"):
        load_head(classifier, tmp_path)
    (tmp_path / "head.safetensors").write_bytes(b"not safetensors at all")
    with pytest.raises(ArtifactError, match="damaged|cannot be read"):
        load_head(classifier, tmp_path)
    save_head(build_classifier(Path(tiny["bert"]), "mean", ["a", "b", "c"], False, 0.0), tmp_path)
    with pytest.raises(ArtifactError, match="does not fit"):
        load_head(classifier, tmp_path)


def test_damaged_checkpoints_are_checkpoint_errors(tiny, tmp_path):
    config = tmp_path / "config.json"
    config.write_text("{")
    with pytest.raises(CheckpointError, match=r"config\.json cannot be read"):
        build_classifier(tmp_path, "mean", LABELS, False, 0.0)
    config.write_bytes((Path(tiny["bert"]) / "config.json").read_bytes())
    (tmp_path / "model.safetensors").write_bytes(b"\x08")
    with pytest.raises(CheckpointError, match="cannot be opened"):
        build_classifier(tmp_path, "mean", LABELS, False, 0.0)


def test_a_folder_without_a_vocabulary_has_no_tokenizer(tiny, tmp_path):
    (tmp_path / "config.json").write_bytes((Path(tiny["bert"]) / "config.json").read_bytes())
    (tmp_path / "tokenizer_config.json").write_text('{"tokenizer_class": "BertTokenizer"}')
    with pytest.raises(CheckpointError, match="no vocabulary"):
        load_tokenizer(tmp_path)
    (tmp_path / "tokenizer.json").write_text("{")
    with pytest.raises(CheckpointError, match="tokenizer .* cannot be opened"):
        load_tokenizer(tmp_path)


@pytest.mark.parametrize(
    ("architecture", "wanted", "expected"),
    [("bert", 256, 64), ("bert", 10, 10), ("distilbert", 256, 64), ("roberta", 256, 64)],
)
def test_the_longest_input_fits_the_positions(tiny, architecture, wanted, expected):
    tokenizer, config = load_tokenizer(Path(tiny[architecture])), AutoConfig.from_pretrained(tiny[architecture])
    tokenizer.model_max_length = 10**9
    length = longest_input(tokenizer, config, wanted)
    assert length == expected
    classifier = build_classifier(Path(tiny[architecture]), "mean", LABELS, False, 0.0).eval()
    ids = torch.full((1, length), 10)
    with torch.inference_mode():
        assert classifier({"input_ids": ids, "attention_mask": torch.ones_like(ids)}).isfinite().all()
