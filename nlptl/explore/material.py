"""The rows of a task, and a checkpoint to read them with: probing layers and ranking checkpoints start from these."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch

from nlptl.checkpoints import Checkpoint
from nlptl.config.run import RunConfig
from nlptl.data.loading import Splits, label_targets, load_splits
from nlptl.data.normalising.normaliser import NONE
from nlptl.data.tokens.encoding import encode
from nlptl.data.tokens.tokenising import usual_length
from nlptl.errors import CheckpointError
from nlptl.kernels import KernelSettings, enable
from nlptl.models.building import build_classifier
from nlptl.models.classifier import Classifier
from nlptl.models.linear_probe import LinearHead, fit_probe
from nlptl.models.opening import longest_input, open_tokenizer
from nlptl.models.trial import try_out
from nlptl.tasks import SPLITS, TaskSpec, load_task
from nlptl.training.forward import forward_all
from nlptl.training.runtime import Runtime


@dataclass(frozen=True)
class Material:
    """The audited splits of a task with their targets."""

    task: TaskSpec
    frames: dict[str, pd.DataFrame]
    targets: dict[str, np.ndarray]

    @property
    def classes(self) -> int:
        """The number of labels, C."""
        return len(self.task.label_list())


def load_material(config: RunConfig, given: Any, most: int, task: TaskSpec | None = None) -> Material:
    """The task's splits, train and the held-out ones cut to `most` rows each, drawn with the seed.

    Raises:
        NlptlError: task or data cannot be used.
    """
    known = task or load_task(config.task, config.tasks_dir)
    splits = load_splits(known, config.data, config.seed, given)
    frames = {split: _some(splits, split, most, config.seed) for split in SPLITS}
    targets = {split: label_targets(frame, splits.task.label_list()) for split, frame in frames.items()}
    return Material(splits.task, frames, targets)


def _some(splits: Splits, split: str, most: int, seed: int) -> pd.DataFrame:
    frame: pd.DataFrame = getattr(splits, split)
    if len(frame) <= most:
        return frame
    rows = np.sort(np.random.default_rng([seed, 3]).permutation(len(frame))[:most])
    return frame.iloc[rows].reset_index(drop=True)


def frozen_classifier(
    checkpoint: Checkpoint, material: Material, pooling: str, runtime: Runtime, config: RunConfig
) -> Classifier:
    """The encoder of a checkpoint, frozen, under a head that is not used.

    Weights that the checkpoint lacks are drawn with the configured seed.

    Raises:
        CheckpointError: it cannot be opened.
    """
    torch.manual_seed(config.seed)
    several, labels = material.task.kind == "multi_label", material.task.label_list()
    classifier = build_classifier(checkpoint.path, pooling, labels, several, 0.0)
    enable(classifier, KernelSettings.of(config.runtime))
    return classifier.to(runtime.device).eval()


@dataclass(frozen=True)
class Reader:
    """Applies a function of an encoder to the texts of all splits."""

    runtime: Runtime
    tokenizer: Any
    max_length: int
    normaliser: str = NONE

    @classmethod
    def of(
        cls, checkpoint: Checkpoint, classifier: Classifier, config: RunConfig, runtime: Runtime, material: Material
    ) -> Reader:
        """The checkpoint's tokenizer and as many tokens as training would keep.

        Args:
            checkpoint: that is looked into.
            classifier: on its encoder.
            config: says `model.max_length`.
            runtime: device and precision.
            material: whose train rows say how long texts are, where `model.max_length` is auto.

        Raises:
            CheckpointError: tokenizer and encoder do not fit together, or cannot compute a text.
        """
        tokenizer = open_tokenizer(checkpoint.path, classifier.config)
        length = longest_input(tokenizer, classifier.config, config.model.max_length)
        if config.model.max_length == "auto":
            length = min(length, usual_length(material.frames["train"], tokenizer, config.data.normaliser))
        reason = try_out(classifier, tokenizer, length, runtime.device, runtime.dtype)
        if reason is not None:
            raise CheckpointError(
                f"The checkpoint {checkpoint.name} cannot be computed in {runtime.precision} ({reason}). Use --set "
                "runtime.precision=fp32."
            )
        return cls(runtime, tokenizer, length, config.data.normaliser)

    def read(
        self, function: Any, width: int, material: Material, what: str, splits: Sequence[str] = SPLITS
    ) -> dict[str, np.ndarray]:
        """The function's results, split -> (rows, width) float32.

        Args:
            function: takes inputs (B, L) and returns (B, width).
            width: the number of columns of its result.
            material: holds the texts.
            what: the words of the progress bar.
            splits: the names of the splits that are read.
        """
        pad = int(self.tokenizer.pad_token_id)
        found = {}
        for split in splits:
            encoded = encode(material.frames[split], self.tokenizer, self.max_length, normaliser=self.normaliser)
            found[split] = forward_all(self.runtime, function, encoded, pad, width, f"{what}: {split}")
        return found


def probe_of(features: dict[str, np.ndarray], material: Material, config: RunConfig) -> LinearHead:
    """The linear head on train whose regularisation strength the validation split chooses."""
    validation = (features["validation"], material.targets["validation"])
    path = config.probe.regularisation
    return fit_probe(features["train"], material.targets["train"], material.classes, path, validation)
