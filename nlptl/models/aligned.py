"""Models that show their features and, where asked, guess the domain: what alignment of two domains trains."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from nlptl.models.classifier import Classifier
from nlptl.models.encoder import Trainable
from nlptl.models.linear_probe import LinearHead


class Aligned(NamedTuple):
    """What alignment sees of a batch."""

    logits: Tensor
    """(B, C)"""
    features: Tensor
    """(B, H)"""
    domains: Tensor | None
    """(B,) logits of "comes from the target", behind the gradient's reversal; None without a discriminator."""


class LinearMap(Trainable):
    """Frozen features (B, H) through a linear map that starts as the identity, and a linear head.

    Args:
        head: where the head starts, for raw features.
        features: (rows, H) whose mean and deviation standardise the input.
    """

    def __init__(self, head: LinearHead, features: np.ndarray) -> None:
        super().__init__()
        raw = torch.from_numpy(features)
        self.mean: Tensor
        self.deviation: Tensor
        self.register_buffer("mean", raw.mean(0))
        self.register_buffer("deviation", raw.std(0, correction=0).clamp(min=1e-6))
        classes, hidden = head.weight.shape
        self.head = nn.Linear(hidden, classes)
        # Kept as what it adds to the identity, so that weight decay draws it towards changing nothing.
        self.change = nn.Linear(hidden, hidden, bias=False)
        with torch.no_grad():
            self.change.weight.zero_()
            self.head.weight.copy_(head.weight * self.deviation)
            self.head.bias.copy_(head.bias + head.weight @ self.mean)
        self.own = dict(self.named_parameters())

    def outputs(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Mapped features (B, H) and logits (B, C)."""
        scaled = (inputs - self.mean) / self.deviation
        mapped = scaled + self.change(scaled)
        return mapped, self.head(mapped)

    def folded(self, regularisation: float) -> LinearHead:
        """Map and head as one linear head for raw features."""
        with torch.no_grad():
            both = self.head.weight + self.head.weight @ self.change.weight
            weight = (both / self.deviation).cpu()
            bias = self.head.bias.cpu() - weight @ self.mean.cpu()
        return LinearHead(weight, bias, regularisation)


class AlignedClassifier(Trainable):
    """A classifier and, for adversarial alignment, a discriminator of domains on its features.

    Args:
        classifier: trained in place.
        discriminate: whether there is a discriminator: three layers as in Ganin et al. 2016.
        hidden: H.
    """

    def __init__(self, classifier: Classifier | LinearMap, discriminate: bool, hidden: int) -> None:
        super().__init__()
        self.classifier = classifier
        self.kernels = replace(classifier.kernels, cuda_graphs=False)
        self.discriminator: nn.Module | None = None
        if discriminate:
            inner = nn.Linear(hidden, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU(), nn.Linear(hidden, 1)
            self.discriminator = nn.Sequential(*inner)
        fresh = {f"discriminator.{name}": p for name, p in (self.discriminator or nn.Identity()).named_parameters()}
        self.own = {**{f"classifier.{name}": p for name, p in classifier.own.items()}, **fresh}

    @property
    def encoder(self) -> Any | None:
        return self.classifier.encoder

    @property
    def depth(self) -> int:
        return self.classifier.depth

    @property
    def packs(self) -> bool:
        return self.classifier.packs

    def forward(self, inputs: Any, strength: float | None = None) -> Any:
        """Logits (B, C); with the strength of the gradient's reversal, all of `Aligned`."""
        features, logits = self.classifier.outputs(inputs)
        if strength is None:
            return logits
        if self.discriminator is None:
            return Aligned(logits, features, None)
        return Aligned(logits, features, self.discriminator(reverse_gradient(features, strength)).squeeze(-1))


def reverse_gradient(features: Tensor, strength: float) -> Tensor:
    """The features themselves; their gradient comes back times `-strength` (Ganin et al. 2016)."""
    reversed_: Tensor = _Reversal.apply(features, strength)  # type: ignore[no-untyped-call]
    return reversed_


class _Reversal(torch.autograd.Function):
    @staticmethod
    def forward(context: Any, features: Tensor, strength: float) -> Tensor:
        context.strength = strength
        return features.view_as(features)

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return -context.strength * gradients[0], None
