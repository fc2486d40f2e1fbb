"""Rows without labels: masked, contrasted with each other, or damaged and told back.

What is masked or deleted is a function of the seed, the row and the pass, never of the batch it came in: any number
of processes and micro-batches learns from the same stream.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from nlptl.data.tokens.batching import plan_forward, plan_stretch
from nlptl.data.tokens.encoding import Encoded, collate
from nlptl.objectives.contrastive import contrast_losses
from nlptl.objectives.denoising import delete_tokens, reconstruction_losses
from nlptl.objectives.masked_lm import choose_tokens, hide_tokens, masked_lm_losses
from nlptl.training.runtime import Runtime


@dataclass(frozen=True)
class UnlabelledExamples:
    """Rows of token ids; the loop's epochs are stretches of `steps` out of an endless run of passes."""

    encoded: Encoded
    pad_id: int
    seed: int
    steps: int
    """Optimizer steps from one evaluation to the next."""
    special: np.ndarray
    """(V,) bool, tokens that are neither masked nor deleted."""

    dropout_when_measured: ClassVar[bool] = False
    # What a word's row becomes matters beyond these texts, and a decoder may share it.
    tokens: ClassVar[None] = None

    def plan(self, batch_size: int, seed: int, epoch: int) -> list[np.ndarray]:
        return plan_stretch(self.encoded.lengths, batch_size, seed, epoch * self.steps, self.steps)

    def lengths_of(self, rows: np.ndarray) -> np.ndarray:
        return self.encoded.lengths_of(rows % len(self.encoded))

    def inputs_of(self, rows: np.ndarray) -> np.ndarray:
        return np.ones(len(rows), np.int64)

    def losses(self, model: Any, rows: np.ndarray, device: torch.device) -> Tensor:
        raise NotImplementedError

    def _draws(self, number: int) -> np.random.Generator:
        """Of one row in one pass; `number` is `pass * rows + row`."""
        return np.random.default_rng([self.seed, 5, int(number)])

    def _tokens(self, number: int) -> np.ndarray:
        row = number % len(self.encoded)
        return np.array(self.encoded.tokens[self.encoded.offsets[row] : self.encoded.offsets[row + 1]])


@dataclass(frozen=True)
class MaskedExamples(UnlabelledExamples):
    """Masked language modelling for a `MaskedLM`."""

    mask_id: int
    share: float
    continues: np.ndarray | None
    """(V,) bool for whole-word masking; None: tokens are masked one by one."""

    def losses(self, model: Any, rows: np.ndarray, device: torch.device) -> Tensor:
        inputs = collate(self.encoded, rows % len(self.encoded), self.pad_id)
        ids = inputs["input_ids"].numpy()
        whole = ids.copy()
        places, row_of = [], []
        for i, number in enumerate(rows):
            length = int(inputs["attention_mask"][i].sum())
            rng = self._draws(number)
            chosen = choose_tokens(whole[i, :length], ~self.special[whole[i, :length]], self.share, rng, self.continues)
            hide_tokens(ids[i], chosen, self.mask_id, len(self.special), rng)
            places.append(chosen + i * ids.shape[1])
            row_of.append(np.full(len(chosen), i))
        flat = np.concatenate(places)
        logits = model({name: tensor.to(device) for name, tensor in inputs.items()}, torch.from_numpy(flat).to(device))
        targets = torch.from_numpy(whole.reshape(-1)[flat]).to(device)
        return masked_lm_losses(logits, targets, torch.from_numpy(np.concatenate(row_of)).to(device), len(rows))


@dataclass(frozen=True)
class ContrastiveExamples(UnlabelledExamples):
    """SimCSE for a `SentenceEncoder`: dropout makes the two views; the negatives are the other rows of the same forward
    pass, so here, and only here, processes and micro-batches change what a row is compared with."""

    temperature: float

    dropout_when_measured: ClassVar[bool] = True

    def losses(self, model: Any, rows: np.ndarray, device: torch.device) -> Tensor:
        inputs = collate(self.encoded, rows % len(self.encoded), self.pad_id, device)
        vectors = model({name: torch.cat([tensor, tensor]) for name, tensor in inputs.items()})
        return contrast_losses(vectors[: len(rows)], vectors[len(rows) :], self.temperature)


@dataclass(frozen=True)
class DenoisingExamples(UnlabelledExamples):
    """TSDAE for a `DenoisingAutoencoder`."""

    deletion: float

    def losses(self, model: Any, rows: np.ndarray, device: torch.device) -> Tensor:
        damaged = []
        for number in rows:
            tokens = self._tokens(number)
            damaged.append(delete_tokens(tokens, ~self.special[tokens], self.deletion, self._draws(number)))
        offsets = np.concatenate([[0], np.cumsum([len(ids) for ids in damaged])])
        left = Encoded(np.concatenate(damaged), offsets, None)
        inputs = collate(left, np.arange(len(rows)), self.pad_id, device)
        whole = collate(self.encoded, rows % len(self.encoded), self.pad_id, device)
        ids, real = whole["input_ids"], whole["attention_mask"].bool()
        return reconstruction_losses(model(inputs, ids[:, :-1]), ids[:, 1:], real[:, 1:])


def held_out_loss(runtime: Runtime, model: Any, rows: UnlabelledExamples) -> float:
    """Mean loss over all rows, each weighed by its tokens, with the same masks and deletions each time.

    Args:
        runtime: the rows are dealt out over its processes; each gets the result.
        model: what `rows.losses` takes; left as it was.
        rows: held out from training.
    """
    lengths = rows.encoded.lengths
    batches = plan_forward(lengths)
    mine = batches[runtime.rank :: runtime.processes]
    # Sharded models gather weights in every pass, so all processes make equally many.
    fillers = -(-len(batches) // runtime.processes) - len(mine)
    total = np.zeros(2)
    with _measuring(runtime, model, rows.dropout_when_measured), runtime.autocast():
        for batch in runtime.track(mine, "measuring"):
            losses = rows.losses(model, batch, runtime.device).float().cpu().numpy()
            total += losses @ lengths[batch], lengths[batch].sum()
        for _ in range(fillers):
            rows.losses(model, batches[0][:1], runtime.device)
    summed = runtime.sum(total)
    return float(summed[0] / summed[1])


@contextmanager
def _measuring(runtime: Runtime, model: Any, dropout: bool) -> Iterator[None]:
    """Without gradients; where dropout is what is measured, with the same dropout each time."""
    was_training = model.training
    model.train(dropout)
    try:
        with torch.random.fork_rng(), runtime.measuring():
            torch.manual_seed(0)
            yield
    finally:
        model.train(was_training)
