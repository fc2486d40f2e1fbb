"""What a run folder predicts with: an encoder with its head, or a baseline. One interface, opened by its kind."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Protocol

import numpy as np
import pandas as pd
import torch

from nlptl.config.run import RunConfig
from nlptl.data.normalising.normaliser import NONE
from nlptl.data.tokens.encoding import Encoded, encode
from nlptl.data.tokens.long_texts import TRUNCATE, LongText
from nlptl.kernels import OFF, KernelSettings, enable, for_prediction, packing
from nlptl.models.classifier import Classifier
from nlptl.models.linear_probe import LinearHead
from nlptl.models.modes import Mode
from nlptl.models.opening import fit_inputs, load_tokenizer
from nlptl.models.plain_bert import PlainBert
from nlptl.runs.lineage import long_text_of, normaliser_of, open_classifier
from nlptl.runs.manifest import MODEL
from nlptl.tasks import TaskSpec
from nlptl.training.forward import features_of, logits_of, outputs_of
from nlptl.training.runtime import Runtime


class Predictor(Protocol):
    """Texts in, logits out."""

    needs: ClassVar[frozenset[str]]
    """Keys of the manifest without which it cannot be opened."""

    @classmethod
    def open(cls, folder: Path, config: RunConfig, tasks: list[TaskSpec], manifest: Mapping[str, Any]) -> Predictor:
        """Open the model of a run folder.

        Args:
            folder: of the run.
            config: of the run.
            tasks: one, or several in the order of their logits.
            manifest: of the run.

        Raises:
            ArtifactError: it is damaged.
        """

    @property
    def title(self) -> str:
        """A few words that tell it from others on the same task."""

    def settle(self, runtime: Runtime) -> None:
        """Move to the runtime's device and compute there as is fastest, if it computes on devices."""

    def prepare(self, frame: pd.DataFrame) -> Any:
        """What `logits` takes, made of the columns `text` and, for pairs, `text_pair`; may run in another thread."""

    def logits(self, prepared: Any, runtime: Runtime) -> np.ndarray:
        """(rows, C) float32.

        Args:
            prepared: by `prepare`.
            runtime: device, precision and progress bars.
        """


class FeaturePredictor(Predictor, Protocol):
    """A predictor that tells what the head sees of each text, too."""

    def features(self, prepared: Any, runtime: Runtime) -> np.ndarray:
        """(rows, H) float32: what the head sees of each row."""

    def outputs(self, prepared: Any, runtime: Runtime) -> tuple[np.ndarray, np.ndarray]:
        """Features (rows, H) and logits (rows, C) float32 of one forward pass."""


@dataclass
class EncoderPredictor:
    """A classifier on an encoder, with its tokenizer.

    Predictions in bfloat16 or float16 come from a rounded copy that `settle` makes: the model keeps its exact weights,
    whatever happens while it predicts.
    """

    model: Classifier
    """That predicts; it may be a plain one, which does nothing else."""
    opened: Callable[[bool], tuple[Classifier, Mode]]
    """Opens model and mode once more: plain, or on transformers' own encoder."""
    tokenizer: Any
    max_length: int
    mode: Mode
    title: str
    long_text: LongText = TRUNCATE
    normaliser: str = NONE
    """The form in which it reads texts."""
    _rounded: Classifier | None = field(default=None, repr=False)
    needs: ClassVar[frozenset[str]] = frozenset({"whole", "pooling", "max_length", "checkpoint", "files"})

    @classmethod
    def open(
        cls, folder: Path, config: RunConfig, tasks: list[TaskSpec], manifest: Mapping[str, Any]
    ) -> EncoderPredictor:
        """Open the model of a run folder.

        Raises:
            ArtifactError: it is damaged, or its checkpoint is not here at the revision it was trained on.
            CheckpointError: the checkpoint that an adapter or head belongs to is not to be had.
        """
        opened = partial(_opened, folder, config, tasks, manifest)
        model, mode = opened(not torch.accelerator.is_available())
        tokenizer = load_tokenizer(folder / MODEL)
        fit_inputs(tokenizer, model.config)
        start = "" if config.model.weights == "pretrained" else ", from random weights"
        title = f"{config.mode}, {config.checkpoint}{start}"
        length, long_text = int(manifest["max_length"]), long_text_of(manifest)
        return cls(model, opened, tokenizer, length, mode, title, long_text, normaliser_of(manifest))

    @property
    def classifier(self) -> Classifier:
        """Encoder and head, on transformers' own encoder."""
        if isinstance(self.model.encoder, PlainBert):
            self.model, self.mode = self.opened(False)
        return self.model

    def settle(self, runtime: Runtime) -> None:
        used = self.model.kernels
        if used != OFF and packing.pays(self.model.config, runtime.device, runtime.dtype, 0.0):
            enable(self.classifier, replace(used, packing=True))
        self.model.to(runtime.device)
        self._rounded = for_prediction(self.model, runtime.dtype)

    def prepare(self, frame: pd.DataFrame) -> Encoded:
        return encode(frame, self.tokenizer, self.max_length, long_text=self.long_text, normaliser=self.normaliser)

    def logits(self, prepared: Encoded, runtime: Runtime) -> np.ndarray:
        model, pad_id = self._rounded or self.model, self.tokenizer.pad_token_id
        if self.mode.trains_encoder:
            return logits_of(runtime, model, prepared, pad_id, model.head.out_features, "predicting")
        # As training measured it: the features of a frozen encoder are rounded as the precision has it, its head is
        # fitted and applied exactly.
        return self._exact_head.logits(self.features(prepared, runtime))

    def outputs(self, prepared: Encoded, runtime: Runtime) -> tuple[np.ndarray, np.ndarray]:
        """Features (rows, H) and logits (rows, C) float32 of one forward pass."""
        if self.mode.trains_encoder:
            model = self._rounded or self.model
            return outputs_of(runtime, model, prepared, self.tokenizer.pad_token_id, "predicting")
        features = self.features(prepared, runtime)
        return features, self._exact_head.logits(features)

    @property
    def _exact_head(self) -> LinearHead:
        weight, bias = (parameter.detach().cpu() for parameter in (self.model.head.weight, self.model.head.bias))
        return LinearHead(weight, bias, float("nan"))

    def features(self, prepared: Encoded, runtime: Runtime) -> np.ndarray:
        """(rows, H) float32: what the head sees of each row."""
        model = self._rounded or self.model
        return features_of(runtime, model, prepared, self.tokenizer.pad_token_id, None)[0]


def _opened(
    folder: Path, config: RunConfig, tasks: list[TaskSpec], manifest: Mapping[str, Any], plain: bool
) -> tuple[Classifier, Mode]:
    classifier, mode = open_classifier(folder, config, tasks, manifest, plain)
    enable(classifier, KernelSettings.of(config.runtime))
    return classifier.eval(), mode
