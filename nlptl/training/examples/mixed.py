"""Rows of several tasks in mixed batches, for one encoder whose head holds every task's labels side by side."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nlptl.config.strategies import MultiTaskConfig
from nlptl.data.tokens.batching import plan_epoch
from nlptl.data.tokens.encoding import Encoded, collate
from nlptl.training.examples.labelled import LabelledExamples, tokens_of
from nlptl.training.forward import concatenate


@dataclass(frozen=True)
class MixedExamples:
    """The rows of all tasks end to end: row i of task t is row `starts[t] + i`.

    Every logit column belongs to one task, and a row's loss sees its own task's columns only. So each step gives
    every parameter a gradient, whatever tasks are in it, on every process.
    """

    parts: list[LabelledExamples]
    columns: list[slice]
    """Each task's columns of the logits."""
    weights: list[float]
    """What each task's losses are multiplied by."""
    shares: list[int]
    """Rows of each task in an epoch."""

    @cached_property
    def encoded(self) -> Encoded:
        joined = self.parts[0].encoded
        for part in self.parts[1:]:
            joined = concatenate(joined, part.encoded)
        return joined

    @cached_property
    def starts(self) -> np.ndarray:
        """(tasks + 1,) where each task's rows begin."""
        return np.cumsum([0, *(len(part.targets) for part in self.parts)])

    @property
    def tokens(self) -> np.ndarray:
        return tokens_of(self.encoded, self.parts[0].pad_id)

    def plan(self, batch_size: int, seed: int, epoch: int) -> list[np.ndarray]:
        drawn = np.concatenate(
            [
                start + draw_rows(len(part.targets), share, seed, epoch, task)
                for task, (part, start, share) in enumerate(zip(self.parts, self.starts, self.shares, strict=False))
            ]
        )
        lengths = self.encoded.lengths[drawn]
        return [drawn[step] for step in plan_epoch(lengths, batch_size, seed, epoch, self.parts[0].by_length)]

    def lengths_of(self, rows: np.ndarray) -> np.ndarray:
        return self.encoded.lengths_of(rows)

    def inputs_of(self, rows: np.ndarray) -> np.ndarray:
        return self.encoded.counts_of(rows)

    def losses(self, model: Any, rows: np.ndarray, device: torch.device) -> Tensor:
        logits = model(collate(self.encoded, rows, self.parts[0].pad_id, device, model.packs, model.rounds_shapes))
        losses = torch.zeros(len(rows), device=device)
        for part, columns, weight, start, stop in zip(
            self.parts, self.columns, self.weights, self.starts[:-1], self.starts[1:], strict=True
        ):
            mine = np.flatnonzero((rows >= start) & (rows < stop))
            if len(mine):
                targets = torch.from_numpy(part.targets[rows[mine] - start]).to(device)
                places = torch.from_numpy(mine).to(device)
                losses = losses.index_put((places,), weight * part.objective(logits[places, columns], targets))
        return losses


def draw_rows(rows: int, wanted: int, seed: int, epoch: int, task: int) -> np.ndarray:
    """`wanted` of a task's rows for one epoch: all of them as often as they fit, and a random part once more."""
    rng = np.random.default_rng([seed, 5, epoch, task])
    whole, rest = divmod(wanted, rows)
    return np.concatenate([np.tile(np.arange(rows), whole), rng.permutation(rows)[:rest]])


def shares_of(sizes: list[int], settings: MultiTaskConfig) -> list[int]:
    """How many rows of each task an epoch has, at least one; together about as many as there are rows.

    Args:
        sizes: training rows of each task.
        settings: `sampling` and `temperature` (Raffel et al. 2020 for the latter).
    """
    if settings.sampling == "proportional":
        return list(sizes)
    exponent = 0.0 if settings.sampling == "uniform" else 1.0 / settings.temperature
    mass = np.asarray(sizes, float) ** exponent
    return [max(1, round(share)) for share in sum(sizes) * mass / mass.sum()]
