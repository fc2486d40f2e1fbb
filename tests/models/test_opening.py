import json
import shutil
from pathlib import Path

import pytest
import torch
import transformers as tf
from safetensors.torch import load_file, save_file

from nlptl.errors import ArtifactError, CheckpointError
from nlptl.models.building import build_classifier, load_classifier
from nlptl.models.opening import encoder_config, fit_inputs, load_tokenizer, longest_input, open_tokenizer
from nlptl.models.sentence_encoder import open_encoder

LABELS = ["negative", "positive"]


@pytest.fixture
def copy(tiny, tmp_path):
    """A tiny BERT that a test may damage."""
    return Path(shutil.copytree(tiny["bert"], tmp_path / "copy"))


def change(folder: Path, **values) -> None:
    file = folder / "config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **values}))


def drop_tensors(folder: Path, *parts: str) -> int:
    tensors = load_file(folder / "model.safetensors")
    left = {name: t for name, t in tensors.items() if not any(part in name for part in parts)}
    save_file(left, folder / "model.safetensors", metadata={"format": "pt"})
    return len(tensors) - len(left)


def test_a_tokenizer_with_more_tokens_than_embeddings_is_refused_with_both_numbers(copy):
    config, tokenizer = encoder_config(copy), load_tokenizer(copy)
    tokenizer.add_tokens(["[USER]"])
    tokenizer.save_pretrained(copy)
    with pytest.raises(
        CheckpointError, match=f"{config.vocab_size + 1} tokens, but the encoder has {config.vocab_size}"
    ):
        open_tokenizer(copy, config)


def test_a_tokenizer_with_fewer_tokens_than_embeddings_is_fine(copy):
    config = encoder_config(copy)
    config.vocab_size += 10
    assert len(open_tokenizer(copy, config)) == config.vocab_size - 10


@pytest.mark.parametrize("padding", [-1, 10**6])
def test_a_padding_token_without_an_embedding_is_refused(copy, padding):
    change(copy, pad_token_id=padding)
    with pytest.raises(CheckpointError, match=f"names padding token {padding}, but the encoder has"):
        encoder_config(copy)


@pytest.mark.parametrize(("architecture", "types"), [("bert", 2), ("bert", 1), ("distilbert", None)])
def test_a_tokenizer_gives_token_types_only_to_encoders_that_tell_two_texts_apart(tiny, architecture, types):
    tokenizer, config = load_tokenizer(Path(tiny["bert"])), encoder_config(Path(tiny[architecture]))
    if types is not None:
        config.type_vocab_size = types
    fit_inputs(tokenizer, config)
    assert ("token_type_ids" in tokenizer.model_input_names) == (types == 2)


def test_missing_encoder_tensors_are_counted_and_named(copy):
    count = drop_tensors(copy, "layer.1.attention")
    with pytest.raises(CheckpointError, match=rf"{count} of \d+ encoder tensors are missing \(.*layer\.1\.attention"):
        build_classifier(copy, "mean", LABELS, False, 0.0)


def test_a_missing_pooler_starts_from_noise_and_is_the_runs_own(copy):
    drop_tensors(copy, "pooler")
    own = build_classifier(copy, "cls", LABELS, False, 0.0).own
    assert {name.removeprefix("model.") for name in own} == {
        "bert.pooler.dense.weight",
        "bert.pooler.dense.bias",
        "classifier.weight",
        "classifier.bias",
    }


@pytest.mark.parametrize("pooling", ["cls", "mean"])
def test_encoder_tensors_of_another_shape_are_refused(copy, pooling):
    change(copy, intermediate_size=48)
    with pytest.raises(CheckpointError, match=r"6 of \d+ encoder tensors have another shape"):
        build_classifier(copy, pooling, LABELS, False, 0.0)


@pytest.mark.parametrize("architecture", ["bert", "distilbert", "roberta"])
@pytest.mark.parametrize("labels", [2, 5])
def test_the_head_of_a_fine_tuned_checkpoint_is_dropped_and_its_encoder_used(tiny, tmp_path, architecture, labels):
    torch.manual_seed(3)
    config = tf.AutoConfig.from_pretrained(tiny[architecture], num_labels=labels)
    fine_tuned = tf.AutoModelForSequenceClassification.from_config(config)
    fine_tuned.save_pretrained(tmp_path)
    classifier = build_classifier(tmp_path, "cls", ["a", "b", "c"], False, 0.0)
    assert classifier.head.out_features == 3
    ours, theirs = classifier.encoder.state_dict(), fine_tuned.base_model.state_dict()
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    assert any(classifier.head.weight is parameter for parameter in classifier.own.values())


def test_a_run_of_other_labels_is_not_loaded_with_a_fresh_head(tiny, tmp_path):
    build_classifier(Path(tiny["bert"]), "cls", ["a", "b", "c"], False, 0.0).save(tmp_path)
    with pytest.raises(ArtifactError, match=r"lacks classifier\.bias, classifier\.weight"):
        load_classifier(tmp_path, "cls", LABELS, False)


def test_positions_that_have_no_end_limit_nothing(tiny):
    config = tf.XLNetConfig(vocab_size=300)
    assert longest_input(load_tokenizer(Path(tiny["bert"])), config, 50) == 50


def test_positions_numbered_from_padding_leave_room_for_fewer_tokens(tiny):
    tokenizer = load_tokenizer(Path(tiny["bert"]))
    config = tf.MPNetConfig(max_position_embeddings=34, pad_token_id=1)
    assert longest_input(tokenizer, config, 50) == 32


def test_a_checkpoint_that_has_room_for_no_text_is_refused(tiny):
    tokenizer = load_tokenizer(Path(tiny["bert"]))
    tokenizer.model_max_length = 2
    with pytest.raises(CheckpointError, match="allows 2 tokens per text"):
        longest_input(tokenizer, encoder_config(Path(tiny["bert"])), 50)


def t5(folder: Path) -> tf.T5Model:
    torch.manual_seed(0)
    model = tf.T5Model(tf.T5Config(vocab_size=100, d_model=16, d_kv=8, d_ff=32, num_layers=1, num_heads=2))
    model.save_pretrained(folder)
    return model


def test_of_t5_the_encoder_is_opened_alone(tmp_path):
    model = t5(tmp_path)
    classifier = build_classifier(tmp_path, "mean", LABELS, False, 0.0)
    assert type(classifier.encoder) is tf.T5EncoderModel
    assert torch.equal(classifier.encoder.encoder.final_layer_norm.weight, model.encoder.final_layer_norm.weight)
    classifier.save(tmp_path / "run")
    assert load_classifier(tmp_path / "run", "mean", LABELS, False).head.out_features == 2
    assert type(open_encoder(tmp_path)) is tf.T5EncoderModel


def test_of_t5_the_classifier_is_refused(tmp_path):
    t5(tmp_path)
    with pytest.raises(CheckpointError, match=r"reads its decoder.*model\.pooling=mean"):
        build_classifier(tmp_path, "cls", LABELS, False, 0.0)


@pytest.mark.parametrize(
    ("config", "pooling", "message"),
    [
        (tf.BartConfig(), "mean", "encoder-decoder"),
        (tf.BertGenerationConfig(), "cls", "no sequence classifier of the architecture 'bert-generation'"),
        (tf.ViTConfig(), "cls", "no sequence classifier of the architecture 'vit'"),
    ],
)
def test_architectures_without_an_encoder_to_classify_with_are_named(tmp_path, config, pooling, message):
    config.save_pretrained(tmp_path)
    with pytest.raises(CheckpointError, match=message):
        build_classifier(tmp_path, pooling, LABELS, False, 0.0)


def test_a_switch_with_dropout_in_its_name_is_no_rate(tmp_path):
    tf.EsmConfig(vocab_size=30, hidden_size=16, num_attention_heads=2, num_hidden_layers=1, token_dropout=True,
                 intermediate_size=16, pad_token_id=1, mask_token_id=2).save_pretrained(tmp_path)  # fmt: skip
    classifier = build_classifier(tmp_path, "mean", LABELS, False, 0.25, random_weights=True)
    assert classifier.config.token_dropout is True
    assert classifier.config.hidden_dropout_prob == 0.25
