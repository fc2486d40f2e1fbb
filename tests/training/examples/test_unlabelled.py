from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from nlptl.data.tokens.encoding import encode
from nlptl.models.masked_lm import masked_lm_on
from nlptl.models.opening import load_tokenizer
from nlptl.models.sentence_encoder import DenoisingAutoencoder, SentenceEncoder, open_encoder
from nlptl.training.examples.unlabelled import ContrastiveExamples, DenoisingExamples, MaskedExamples, held_out_loss

DEVICE = torch.device("cpu")


@pytest.fixture(scope="module")
def shared(obvious: Path, tiny):
    """Encoded texts and what all rows are given."""
    tokenizer = load_tokenizer(Path(tiny["bert"]))
    encoded = encode(pd.read_csv(obvious / "train.csv"), tokenizer, 64)
    special = np.zeros(len(tokenizer), bool)
    special[tokenizer.all_special_ids] = True
    return (encoded, tokenizer.pad_token_id, 0, 3, special), tokenizer


@pytest.fixture
def each(shared, tiny):
    """Every kind of rows with a model for it, dropout off where the draws are compared."""
    given, tokenizer = shared
    torch.manual_seed(0)
    folder = Path(tiny["bert"])
    return {
        "masked": (MaskedExamples(*given, tokenizer.mask_token_id, 0.15, None), masked_lm_on(folder).eval()),
        "contrasted": (ContrastiveExamples(*given, 0.05), SentenceEncoder(open_encoder(folder), "mean").eval()),
        "denoised": (DenoisingExamples(*given, 0.6), DenoisingAutoencoder(open_encoder(folder), "mean", 64).eval()),
    }


@pytest.mark.parametrize("name", ["masked", "denoised"])
def test_what_is_drawn_depends_on_row_and_pass_not_on_the_batch(name, each):
    rows, model = each[name]
    with torch.no_grad():
        together = rows.losses(model, np.array([3, 1, 7]), DEVICE)
        alone = torch.cat([rows.losses(model, np.array([row]), DEVICE) for row in (3, 1, 7)])
        next_pass = rows.losses(model, np.array([3, 1, 7]) + len(rows.encoded), DEVICE)
    assert together.shape == (3,)
    torch.testing.assert_close(together, alone, atol=1e-4, rtol=1e-4)
    assert not torch.allclose(together, next_pass)


@pytest.mark.parametrize("name", ["masked", "contrasted", "denoised"])
def test_each_learns_and_leaves_the_mode_as_it_was(name, each, runtime):
    rows, model = each[name]
    model.train()
    before = held_out_loss(runtime, model, rows)
    assert held_out_loss(runtime, model, rows) == before
    assert model.training
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)
    for epoch in range(4):
        for step in rows.plan(16, 0, epoch):
            optimizer.zero_grad()
            rows.losses(model, step, DEVICE).mean().backward()
            optimizer.step()
    assert held_out_loss(runtime, model, rows) < before


def test_stretches_continue_each_other(each):
    rows, _ = each["masked"]
    count = len(rows.encoded)
    stream = [row for epoch in range(5) for step in rows.plan(16, 0, epoch) for row in step]
    assert len(stream) == len(set(stream)) == 3 * count
    assert sorted(row % count for row in stream[:count]) == list(range(count))
