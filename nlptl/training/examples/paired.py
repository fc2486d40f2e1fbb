"""Labelled source rows beside target rows without labels, in one batch and one forward pass."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from nlptl.data.tokens.batching import plan_epoch
from nlptl.models.aligned import Aligned
from nlptl.objectives.alignment import domain_losses, reversal_strength
from nlptl.objectives.classification import Objective

Distance = Callable[[Tensor, Tensor], Tensor]


@dataclass
class PairedExamples:
    """Rows of two domains for an `AlignedClassifier`; an epoch is one pass over the source.

    Row numbers below `len(targets)` are the source's, the others the target's. A step has `batch_size` rows of the
    source and as many of the target, in an order drawn from seed, epoch and step, so that any share of a step holds
    both. The domain loss is per row and so does not depend on how a step is spread; a distance is one of the rows
    that meet in a forward pass, so micro-batches and processes make it coarser.
    """

    inputs: Callable[[np.ndarray, torch.device], Any]
    """Row numbers (B,) and device to the model's inputs."""
    lengths: np.ndarray
    """(rows of both,) tokens per row."""
    targets: np.ndarray
    """(source rows,) class ids, or (source rows, C) 0/1 float32."""
    objective: Objective
    weight: float
    """Of the alignment beside the mean classification loss."""
    distance: Distance | None = None
    """Between features (S, H) and (T, H); None: the discriminator's losses, its gradient reversed."""
    counts: np.ndarray | None = None
    """(rows of both,) inputs of the encoder per row; None: one."""
    tokens: ClassVar[None] = None
    done: float = 0.0
    """Share of all steps that lies behind; sets the strength of the reversal."""

    def note(self, done: float) -> None:
        """Take in how far training is; for the loop's `on_step`."""
        self.done = done

    def plan(self, batch_size: int, seed: int, epoch: int) -> list[np.ndarray]:
        count = len(self.targets)
        source = plan_epoch(self.lengths[:count], batch_size, seed, epoch)
        target = plan_epoch(self.lengths[count:], batch_size, seed + 1, epoch)
        steps = []
        for step, rows in enumerate(source):
            # As many as the source's: a short batch is repeated, a small target gone through again.
            others = np.resize(target[step % len(target)], len(rows)) + count
            order = np.random.default_rng([seed, 4, epoch, step]).permutation(2 * len(rows))
            steps.append(np.concatenate([rows, others])[order])
        return steps

    def lengths_of(self, rows: np.ndarray) -> np.ndarray:
        return np.asarray(self.lengths[rows])

    def inputs_of(self, rows: np.ndarray) -> np.ndarray:
        return np.ones(len(rows), np.int64) if self.counts is None else np.asarray(self.counts[rows])

    def losses(self, model: Any, rows: np.ndarray, device: torch.device) -> Tensor:
        strength = reversal_strength(self.done) if self.distance is None else 0.0
        out: Aligned = model(self.inputs(rows, device), strength)
        of_source = rows < len(self.targets)
        source = torch.from_numpy(of_source).to(device)
        losses = torch.zeros(len(rows), device=device)
        if of_source.any():
            wanted = torch.from_numpy(self.targets[rows[of_source]]).to(device)
            # Half of a step's rows are the source's; twice their sum over all rows is their mean.
            losses = losses.masked_scatter(source, 2.0 * self.objective(out.logits[source], wanted))
        else:
            losses = losses + 0.0 * out.logits.sum()  # each process of a group takes part with the same parameters
        if self.distance is None:
            assert out.domains is not None  # a model built for this objective
            return losses + self.weight * domain_losses(out.domains, ~source)
        features = out.features.float()
        # Measured at the features' own scale, so that a weight means the same for any encoder.
        features = features / features.detach().std(0).mean().clamp(min=1e-6) if len(rows) > 1 else features
        return losses + self.weight * self.distance(features[source], features[~source])
