"""Learning what a teacher says of each text, beside its label where it has one."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


class Distillation:
    """weight * T^2 * KL(teacher || student) at temperature T, and (1 - weight) * cross-entropy (Hinton et al. 2015).

    Rows without a label have the first part alone, whole. T^2 keeps the gradients of the first part as large as those
    of the second, whatever the temperature.

    Args:
        temperature: T, divides the student's logits; the teacher's were divided before.
        weight: of the teacher, from 0 to 1.
        label_smoothing: of the second part.
        class_weights: (C,) weight of each label's rows in the second part; None for equal weights.
    """

    def __init__(
        self, temperature: float, weight: float, label_smoothing: float = 0.0, class_weights: Tensor | None = None
    ) -> None:
        self.temperature, self.weight = temperature, weight
        self.label_smoothing, self.class_weights = label_smoothing, class_weights

    def __call__(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Losses (B,) float32.

        Args:
            logits: (B, C) of the student.
            targets: (B, C + 1) float32: the teacher's probabilities at temperature T, and the label's id, -1 for none.
        """
        logits, said, labels = logits.float(), targets[:, :-1], targets[:, -1].long()
        student = F.log_softmax(logits / self.temperature, 1)
        taught = F.kl_div(student, said, reduction="none").sum(1) * self.temperature**2
        known = labels >= 0
        weights = None if self.class_weights is None else self.class_weights.to(logits.device)
        told = F.cross_entropy(
            logits, labels.clamp(min=0), weight=weights, label_smoothing=self.label_smoothing, reduction="none"
        )
        return torch.where(known, self.weight * taught + (1 - self.weight) * told, taught)
