"""The plain BERT predicts what transformers' own does, and gives way to it where it cannot."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

import nlptl
from nlptl.models.opening import encoder_class, encoder_config, open_model
from nlptl.models.plain_bert import PlainBert, open_plain
from tests.conftest import QUICK


def both(folder):
    config = encoder_config(folder)
    return open_plain(folder, config), open_model(encoder_class(config), folder, config)[0].eval()


@pytest.mark.parametrize("lengths", [[1], [5, 5], [3, 9, 1, 7], [40, 2]])
@pytest.mark.parametrize("types", [False, True])
def test_token_states_are_those_of_transformers(tiny, lengths, types):
    plain, theirs = both(Path(tiny["bert"]))
    mask = (torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]).long()
    ids = torch.randint(5, plain.config.vocab_size, mask.shape, generator=torch.Generator().manual_seed(0)) * mask
    more = {"token_type_ids": (torch.arange(max(lengths)) > 1).long().expand_as(ids)} if types else {}
    with torch.inference_mode():
        found = plain(ids, mask, **more).last_hidden_state
        wanted = theirs(input_ids=ids, attention_mask=mask, **more).last_hidden_state
    torch.testing.assert_close(found[mask.bool()], wanted[mask.bool()], rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("mode", ["full", "feature_extraction"])
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_run_predicts_the_same_by_it(tiny, obvious, tmp_path, mode, precision):
    settings = {**QUICK, "model.pooling": "mean"}
    folder = nlptl.train(
        "sentiment", data=obvious, checkpoint=tiny["bert"], mode=mode, output=tmp_path / "run", settings=settings
    ).folder
    texts = ["a good film", "a bad book and more of it", "x " * 80]
    run, whole = (nlptl.load(folder, precision=precision) for _ in range(2))
    assert isinstance(run.artifact.predictor.model.encoder, PlainBert)
    assert not isinstance(whole.artifact.classifier.encoder, PlainBert)  # whoever wants the encoder gets transformers'
    whole.artifact.predictor.settle(whole._runtime)
    np.testing.assert_allclose(run.predict_proba(texts), whole.predict_proba(texts), atol=1e-6)


@pytest.mark.parametrize(("what", "value"), [("hidden_act", "silu"), ("is_decoder", True), ("hidden_size", 64)])
def test_it_gives_way_where_it_cannot(tiny, what, value):
    config = encoder_config(Path(tiny["bert"]))
    setattr(config, what, value)
    assert open_plain(Path(tiny["bert"]), config) is None


def test_other_architectures_are_left_to_transformers(tiny):
    assert open_plain(Path(tiny["roberta"]), encoder_config(Path(tiny["roberta"]))) is None


def test_a_damaged_or_lacking_file_is_left_to_transformers(tiny, tmp_path):
    folder = shutil.copytree(tiny["bert"], tmp_path / "other")
    config, file = encoder_config(folder), folder / "model.safetensors"
    weights = load_file(file)
    save_file({name: tensor for name, tensor in weights.items() if "query" not in name}, file)
    assert open_plain(folder, config) is None
    file.write_bytes(b"no tensors")
    assert open_plain(folder, config) is None
    file.unlink()
    assert open_plain(folder, config) is None
