"""An encoder that answers by nearness: cosine similarity of a text to one learned direction per label."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nlptl.kernels.inputs import Inputs
from nlptl.models.classifier import Classifier
from nlptl.models.encoder import EncoderModel
from nlptl.models.linear_probe import LinearHead


class PrototypeModel(EncoderModel):
    """Logits are cos(f(x), p_c) / temperature for features f(x) (B, H) and a prototype p_c (H) of each of C labels.

    Prototypes start as the labels' mean directions (Snell et al. 2017) and learn along with the encoder (Movshovitz-
    Attias et al. 2017). Under cross-entropy each text is drawn to its label and pushed from all the others: what
    contrastive pairs do, but without drawing pairs, in memory linear in the texts, with a loss of each row alone.

    Args:
        classifier: in its mode; its head stays out of it.
        features: (rows, H) of the training rows under the encoder as it is.
        targets: (rows,) label ids.
        temperature: divides the cosines.
    """

    def __init__(self, classifier: Classifier, features: Tensor, targets: Tensor, temperature: float) -> None:
        super().__init__()
        classifier.head.requires_grad_(False)
        self.classifier = classifier
        self.kernels = replace(classifier.kernels, cuda_graphs=False)
        self.temperature = temperature
        classes = classifier.head.out_features
        member = F.one_hot(targets, classes).float()
        means = member.T @ F.normalize(features, dim=1)
        self.prototypes = nn.Parameter(F.normalize(means, dim=1))
        self.own = {f"classifier.{name}": p for name, p in classifier.own.items()} | {"prototypes": self.prototypes}

    @property
    def encoder(self) -> Any:
        return self.classifier.encoder

    def forward(self, inputs: Inputs) -> Tensor:
        """Logits (B, C) float32."""
        return self._cosines(self.classifier.features(inputs))

    @property
    def window_width(self) -> int:
        """As `Classifier.window_width`."""
        return self.classifier.window_width

    def window_outputs(self, inputs: Inputs) -> Tensor:
        """As `Classifier.window_outputs`."""
        return self.classifier.window_outputs(inputs)

    def pooled_logits(self, outputs: Tensor, bounds: Tensor) -> Tensor:
        """As `Classifier.pooled_logits`."""
        features = outputs[:, : self.prototypes.shape[1]]
        return self._cosines(self.classifier.pooled_features(features, bounds))

    def _cosines(self, features: Tensor) -> Tensor:
        return F.normalize(features.float(), dim=1) @ F.normalize(self.prototypes, dim=1).T / self.temperature

    def as_head(self, length: float) -> LinearHead:
        """The prototypes as a linear head on raw features.

        A text's length multiplies all its logits alike, so the most probable label is the same; at `length` (the
        training texts' mean norm) the probabilities are, too.
        """
        with torch.no_grad():
            weight = F.normalize(self.prototypes, dim=1).cpu() / (self.temperature * length)
        return LinearHead(weight, torch.zeros(len(weight)), float("nan"))
