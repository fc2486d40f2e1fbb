import shutil
from pathlib import Path

import pytest
import torch
import transformers as tf
from torch import nn

from nlptl.config.model import LoraSettings
from nlptl.errors import CheckpointError
from nlptl.models.building import build_classifier
from nlptl.models.modes import Full, Lora
from nlptl.models.opening import encoder_config, longest_input, open_tokenizer
from nlptl.models.trial import try_out

LABELS = ["negative", "positive"]
SIZES = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 64,
    "max_position_embeddings": 66,
}
OWN_NAMES = ("gpt2", "xlnet")
"""Architectures that call their sizes otherwise."""
CPU = torch.device("cpu")


@pytest.fixture
def made(tiny, tmp_path):
    """The folder of a tiny random checkpoint of any architecture, with BERT's tokenizer."""

    def of(name: str, **settings) -> Path:
        folder = tmp_path / name
        shutil.copytree(tiny["bert"], folder)
        words = encoder_config(Path(tiny["bert"])).vocab_size
        values = {**(SIZES if name not in OWN_NAMES else {}), "vocab_size": words, "pad_token_id": 0, **settings}
        config = tf.AutoConfig.for_model(name, **values)
        torch.manual_seed(0)
        tf.AutoModel.from_config(config).save_pretrained(folder)
        return folder

    return of


def tried(folder: Path, pooling: str, mode=None, dtype=None, wanted: int = 256) -> str | None:
    config = encoder_config(folder)
    tokenizer = open_tokenizer(folder, config)
    classifier = build_classifier(folder, pooling, LABELS, False, 0.0)
    learn = None if mode is None else (lambda model: mode.apply(model, LoraSettings()))
    return try_out(classifier, tokenizer, longest_input(tokenizer, config, wanted), CPU, dtype, learn)


WORKING = {
    "albert": {"embedding_size": 16},
    "bert": {},
    "big_bird": {},
    "convbert": {"embedding_size": 32, "conv_kernel_size": 3},
    "deberta": {"relative_attention": True, "pos_att_type": ["p2c", "c2p"], "type_vocab_size": 0},
    "deberta-v2": {"relative_attention": True, "pos_att_type": ["p2c", "c2p"], "position_buckets": 16},
    "distilbert": {"dim": 32, "n_layers": 2, "n_heads": 2, "hidden_dim": 64},
    "electra": {"embedding_size": 16},
    "ernie": {},
    "longformer": {"attention_window": [8, 8]},
    "mobilebert": {"embedding_size": 32, "intra_bottleneck_size": 32, "true_hidden_size": 32},
    "modernbert": {"local_attention": 16},
    "nomic_bert": {},
    "rembert": {"input_embedding_size": 16},
    "roberta": {},
    "roformer": {},
    "squeezebert": {f"{part}_groups": 1 for part in ("q", "k", "v", "post_attention", "intermediate", "output")}
    | {"embedding_size": 32},
}


@pytest.mark.parametrize("pooling", ["cls", "mean"])
@pytest.mark.parametrize("name", WORKING)
def test_encoders_of_many_architectures_pass(made, name, pooling):
    settings = {"attn_implementation": "eager"} if name == "longformer" else {}
    assert tried(made(name, **WORKING[name], **settings), pooling, Full()) is None


@pytest.mark.parametrize("name", ["bert", "deberta-v2", "electra", "modernbert"])
def test_they_pass_with_adapters_and_in_bfloat16(made, name):
    assert tried(made(name, **WORKING[name]), "mean", Lora(), torch.bfloat16) is None


def test_xlnet_passes_with_mean_pooling_and_not_with_its_last_token(made):
    folder = made("xlnet", d_model=32, n_head=2, n_layer=2, d_inner=64)
    assert tried(folder, "mean", Full()) is None
    with pytest.raises(CheckpointError, match="With cls pooling, .* depends on how far the text is padded"):
        tried(folder, "cls")


def test_what_fails_in_bfloat16_alone_is_told_apart(made):
    folder = made("deberta", **WORKING["deberta"])
    reason = tried(folder, "mean", dtype=torch.bfloat16)
    assert reason is not None
    assert "overflow" in reason


@pytest.mark.parametrize("pooling", ["cls", "mean"])
@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("gpt2", {"n_embd": 32, "n_layer": 2, "n_head": 2, "n_positions": 64}, "is a decoder"),
        ("llama", {"num_key_value_heads": 2}, "is a decoder"),
        ("fnet", {}, "depends on how far the text is padded"),
        ("nystromformer", {"num_landmarks": 4, "segment_means_seq_len": 64}, "a first pass through it fails: shape"),
        ("xmod", {}, "Input language unknown"),
    ],
)
def test_what_cannot_be_used_is_refused_in_one_sentence(made, name, settings, message, pooling):
    with pytest.raises(CheckpointError, match=message) as caught:
        tried(made(name, **settings), pooling)
    assert "\n" not in str(caught.value)
    assert repr(name) in str(caught.value)


def test_a_classifier_of_tokens_is_refused(made):
    folder = made("eurobert", num_key_value_heads=2)
    with pytest.raises(CheckpointError, match=r"classifies each token before it pools.*model\.pooling=mean"):
        tried(folder, "cls")
    assert tried(folder, "mean", Full()) is None


def test_too_few_positions_are_noticed(made):
    folder = made("bert", max_position_embeddings=60)
    config = encoder_config(folder)
    tokenizer = open_tokenizer(folder, config)
    classifier = build_classifier(folder, "mean", LABELS, False, 0.0)
    with pytest.raises(CheckpointError, match="cannot compute a text of 61 tokens"):
        try_out(classifier, tokenizer, 61, CPU, None)


def test_weights_that_are_not_finite_are_noticed(tiny):
    folder = Path(tiny["bert"])
    classifier = build_classifier(folder, "mean", LABELS, False, 0.0)
    with torch.no_grad():
        classifier.encoder.embeddings.word_embeddings.weight.fill_(float("nan"))
    with pytest.raises(CheckpointError, match="not finite"):
        try_out(classifier, open_tokenizer(folder, classifier.config), 64, CPU, None)


def test_answers_that_change_each_time_are_noticed(tiny):
    folder = Path(tiny["bert"])
    classifier = build_classifier(folder, "mean", LABELS, False, 0.0)
    layer = classifier.encoder.encoder.layer[0]
    layer.register_forward_hook(lambda module, given, output: output + 0.1 * torch.randn_like(output))
    with pytest.raises(CheckpointError, match="another answer each time"):
        try_out(classifier, open_tokenizer(folder, classifier.config), 64, CPU, None)


def test_a_backward_pass_that_fails_is_noticed(tiny):
    class Unlearnable(nn.Module):
        def forward(self, states):
            if torch.is_grad_enabled():
                raise ValueError("If training, the length has to be a multiple of 64")
            return states

    folder = Path(tiny["bert"])
    classifier = build_classifier(folder, "mean", LABELS, False, 0.0)
    classifier.dropout = Unlearnable()
    tokenizer = open_tokenizer(folder, classifier.config)
    assert try_out(classifier, tokenizer, 64, CPU, None) is None
    with pytest.raises(CheckpointError, match="can be computed, but not trained in this mode: If training, the length"):
        try_out(classifier, tokenizer, 64, CPU, None, lambda model: None)
