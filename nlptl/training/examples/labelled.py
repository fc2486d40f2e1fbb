"""What a training learns from: rows in batches, and the loss of each row. The loop knows no more of any strategy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from nlptl.data.tokens.batching import plan_epoch
from nlptl.data.tokens.encoding import Encoded, collate
from nlptl.objectives.classification import Objective


class Examples(Protocol):
    """Training rows of one strategy.

    Anything random is drawn from torch's global CPU generator inside `losses`, which the loop seeds by step, or from
    the arguments of `plan`; so a resumed run repeats it.
    """

    @property
    def tokens(self) -> np.ndarray | None:
        """(U,) sorted ids of all tokens that `losses` can meet; None: not known, or all of them matter."""

    def plan(self, batch_size: int, seed: int, epoch: int) -> list[np.ndarray]:
        """Row numbers of each optimizer step of one epoch; every epoch has as many steps."""

    def lengths_of(self, rows: np.ndarray) -> np.ndarray:
        """(B,) tokens of some rows: what a forward pass over them costs."""

    def inputs_of(self, rows: np.ndarray) -> np.ndarray:
        """(B,) inputs of the encoder that each of some rows is: its windows, or one."""

    def losses(self, model: Any, rows: np.ndarray, device: torch.device) -> Tensor:
        """Losses (B,) float32 of some rows; the loop sums them and divides by the rows of the step."""


class RowLosses(nn.Module):
    """The forward pass of training: row numbers (B,) in, their losses (B,) out.

    Several processes wrap this module rather than the model in it: so examples see the model itself, and a loss may
    call it more than once, or use its parameters besides.

    Args:
        rows: what is learned from.
        model: what `rows.losses` takes.
        device: where the model is.
    """

    def __init__(self, rows: Examples, model: Any, device: torch.device) -> None:
        super().__init__()
        self.rows, self.model, self._device = rows, model, device

    def forward(self, rows: np.ndarray) -> Tensor:
        return self.rows.losses(self.model, rows, self._device)


@dataclass(frozen=True)
class LabelledExamples:
    """Encoded texts with their targets, for a classifier."""

    encoded: Encoded
    targets: np.ndarray
    """(rows,) class ids, or (rows, C) 0/1 float32."""
    pad_id: int
    objective: Objective
    by_length: bool = True
    """Whether like lengths share a batch."""
    balanced: bool = False
    """Whether an epoch has as many rows of each label (`balanced_rows`)."""

    @property
    def tokens(self) -> np.ndarray:
        return tokens_of(self.encoded, self.pad_id)

    def plan(self, batch_size: int, seed: int, epoch: int) -> list[np.ndarray]:
        lengths = self.encoded.lengths
        if not self.balanced:
            return plan_epoch(lengths, batch_size, seed, epoch, self.by_length)
        drawn = balanced_rows(self.targets, seed, epoch)
        return [drawn[step] for step in plan_epoch(lengths[drawn], batch_size, seed, epoch, self.by_length)]

    def lengths_of(self, rows: np.ndarray) -> np.ndarray:
        return self.encoded.lengths_of(rows)

    def inputs_of(self, rows: np.ndarray) -> np.ndarray:
        return self.encoded.counts_of(rows)

    def losses(self, model: Any, rows: np.ndarray, device: torch.device) -> Tensor:
        inputs = collate(self.encoded, rows, self.pad_id, device, model.packs, model.rounds_shapes)
        return self.objective(model(inputs), torch.from_numpy(self.targets[rows]).to(device))


def balanced_rows(targets: np.ndarray, seed: int, epoch: int) -> np.ndarray:
    """(rows,) row numbers of an epoch with as many rows of each label, to within one, and as long as any other.

    A label's rows come as often as all of them fit, and a part that is drawn anew each epoch once more. Where a row has
    several labels, or none, its rarest one counts, or none.

    Args:
        targets: (rows,) class ids, or (rows, C) 0/1.
        seed: of the run.
        epoch: counted from 0.
    """
    if targets.ndim == 2:
        rarity = np.where(targets > 0.5, targets.sum(0), np.inf)
        targets = np.where(targets.any(1), rarity.argmin(1), -1)
    found = np.unique(targets)
    drawn = []
    for place, label in enumerate(found):
        rows = np.flatnonzero(targets == label)
        whole, rest = divmod(len(targets) // len(found) + (place < len(targets) % len(found)), len(rows))
        rng = np.random.default_rng([seed, 7, epoch, place])
        drawn.append(np.concatenate([np.tile(rows, whole), rng.permutation(rows)[:rest]]))
    return np.concatenate(drawn) if drawn else np.zeros(0, np.int64)


def tokens_of(encoded: Encoded, pad_id: int) -> np.ndarray:
    """(U,) sorted int64 ids of the tokens in these texts, and of padding."""
    return np.union1d(encoded.tokens, [pad_id]).astype(np.int64)
