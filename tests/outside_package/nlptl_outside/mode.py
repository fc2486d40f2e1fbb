"""A mode: BitFit (Ben Zaken et al. 2022), in which the biases and the head learn."""

from __future__ import annotations

from typing import Any, ClassVar

from nlptl.config.model import LoraSettings
from nlptl.models.classifier import Classifier
from nlptl.models.modes import Full


class Biases(Full):
    """Biases and the head learn; whatever a full run does otherwise holds here too."""

    defaults: ClassVar[dict[str, Any]] = {**Full.defaults, "training.learning_rate": 3e-3, "training.epochs": 2}
    trains_every_weight: ClassVar[bool] = False
    few_labels_strategy: ClassVar[str] = "fine_tune"

    def apply(self, classifier: Classifier, lora: LoraSettings) -> None:
        for name, parameter in classifier.encoder.named_parameters():
            parameter.requires_grad_(name.endswith("bias"))
