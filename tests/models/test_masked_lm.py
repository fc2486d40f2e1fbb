from pathlib import Path

import pytest
import torch

from nlptl.models.masked_lm import masked_lm_on, new_masked_lm, widen_vocabulary
from nlptl.models.opening import load_tokenizer
from nlptl.models.sentence_encoder import DenoisingAutoencoder, SentenceEncoder, open_encoder
from nlptl.models.shapes import SHAPES


def inputs_of(folder: str, *texts: str) -> dict[str, torch.Tensor]:
    return dict(load_tokenizer(Path(folder))(list(texts), padding=True, return_tensors="pt"))


@pytest.mark.parametrize("name", ["bert", "roberta", "distilbert"])
def test_the_head_sees_only_the_masked_positions(name, tiny):
    torch.manual_seed(0)
    model = masked_lm_on(Path(tiny[name])).eval()
    inputs = inputs_of(tiny[name], "a good film", "a bad book in round 1")
    inputs.pop("token_type_ids", None)
    width = inputs["input_ids"].shape[1]
    every = torch.arange(2 * width)
    with torch.no_grad():
        whole, some = model(inputs, every), model(inputs, torch.tensor([2, width + 1]))
    assert whole.shape == (2 * width, model.config.vocab_size)
    torch.testing.assert_close(some, whole[[2, width + 1]])


def test_a_head_from_noise_is_the_models_own_and_tied_to_the_embeddings(tiny):
    model = masked_lm_on(Path(tiny["bert"]))
    assert model.brought_no_head
    assert model.own
    assert not any("embeddings" in name for name in model.own)
    assert model.model.get_output_embeddings().weight is model.encoder.get_input_embeddings().weight
    model.freeze_encoder(True)
    assert {name for name, p in model.named_parameters() if p.requires_grad} == set(model.own)
    model.freeze_encoder(False)
    assert all(p.requires_grad for p in model.parameters())


def test_what_was_saved_brings_its_head(tiny, tmp_path):
    masked_lm_on(Path(tiny["bert"])).save(tmp_path)
    assert not masked_lm_on(tmp_path).brought_no_head


@pytest.mark.parametrize("name", SHAPES.names())
def test_shapes(name, tiny):
    tokenizer = load_tokenizer(Path(tiny["bert"]))
    with torch.device("meta"):
        model = new_masked_lm(SHAPES.get(name), tokenizer)
    assert model.config.hidden_size == SHAPES.get(name).hidden
    assert model.config.num_hidden_layers == SHAPES.get(name).layers
    assert model.config.hidden_size % model.config.num_attention_heads == 0


def test_a_new_encoder_starts_wide_and_without_dropout(tiny):
    model = new_masked_lm(SHAPES.get("tiny"), load_tokenizer(Path(tiny["bert"])))
    deviations = [p.std().item() for name, p in model.named_parameters() if p.ndim == 2 and "LayerNorm" not in name]
    assert deviations == pytest.approx([128**-0.5] * len(deviations), rel=0.15)
    assert not any(layer.p for layer in model.modules() if isinstance(layer, torch.nn.Dropout))
    rates = [SHAPES.get(name).learning_rate for name in ("tiny", "mini", "small", "base")]
    assert rates == pytest.approx([3e-3, 1.5e-3, 7.5e-4, 5e-4])


def test_a_new_word_starts_from_the_mean_of_its_pieces(tiny):
    encoder = open_encoder(Path(tiny["bert"]))
    before = encoder.get_input_embeddings().weight.detach().clone()
    widen_vocabulary(encoder, [[5, 6], [7, 8, 9]], len(before) + 2)
    after = encoder.get_input_embeddings().weight
    torch.testing.assert_close(after[: len(before)], before)
    torch.testing.assert_close(after[-2], before[[5, 6]].mean(0))
    torch.testing.assert_close(after[-1], before[[7, 8, 9]].mean(0))


@pytest.mark.parametrize("pooling", ["cls", "mean"])
def test_padding_does_not_change_a_vector(pooling, tiny):
    encoder = SentenceEncoder(open_encoder(Path(tiny["bert"])), pooling).eval()
    with torch.no_grad():
        alone = encoder(inputs_of(tiny["bert"], "a good film"))
        beside = encoder(inputs_of(tiny["bert"], "a good film", "a bad book and more of it and more of it"))
    torch.testing.assert_close(alone[0], beside[0], atol=1e-5, rtol=1e-4)


def test_the_decoder_sees_no_later_token_and_only_the_vector(tiny):
    torch.manual_seed(0)
    model = DenoisingAutoencoder(open_encoder(Path(tiny["bert"])), "mean", 64).eval()
    inputs = inputs_of(tiny["bert"], "a good film")
    told = torch.tensor([[2, 10, 11, 12]])
    changed = told.clone()
    changed[0, 3] = 20
    with torch.no_grad():
        first, second = model(inputs, told), model(inputs, changed)
        other = model(inputs_of(tiny["bert"], "an awful shop"), told)
    torch.testing.assert_close(first[:, :3], second[:, :3])
    assert not torch.allclose(first[:, 3], second[:, 3])
    assert not torch.allclose(first, other, atol=1e-3)
    assert "_encoder" not in "".join(model.own)
    assert {"positions.weight"} < set(model.own)
