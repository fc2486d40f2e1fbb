"""A tiny classifier and rows to train it on, without a run folder around them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch

from nlptl.config.model import LoraSettings
from nlptl.config.training import ResolvedTraining
from nlptl.data.loading import label_targets
from nlptl.data.tokens.encoding import encode
from nlptl.kernels import KernelSettings, enable
from nlptl.models.building import build_classifier
from nlptl.models.classifier import Classifier
from nlptl.models.opening import load_tokenizer
from nlptl.objectives.classification import Classification
from nlptl.registry import MODES
from nlptl.training.examples.labelled import LabelledExamples
from nlptl.training.loop import fit
from nlptl.training.resume.states import Progress
from nlptl.training.runtime import Runtime, start_runtime

LABELS = ["negative", "positive"]
SETTINGS = {
    "epochs": 2,
    "learning_rate": 1e-3,
    "head_learning_rate": 1e-3,
    "batch_size": 16,
    "layer_decay": 1.0,
    "schedule": "constant",
    "warmup": 0.0,
}


@dataclass(frozen=True)
class Fitted:
    classifier: Classifier
    progress: Progress


@pytest.fixture
def runtime() -> Runtime:
    return start_runtime("fp32", progress=False)


@pytest.fixture
def rows(obvious: Path, tiny: dict[str, str]) -> LabelledExamples:
    """67 rows: with batches of 16, the short step has 3."""
    tokenizer = load_tokenizer(Path(tiny["bert"]))
    frame = pd.read_csv(obvious / "train.csv")
    encoded, targets = encode(frame, tokenizer, 64), label_targets(frame, LABELS)
    return LabelledExamples(encoded, targets, tokenizer.pad_token_id, Classification())


@pytest.fixture
def fresh(tiny: dict[str, str]) -> Callable[..., Classifier]:
    """The same untrained classifier each time."""

    def build(mode: str = "full", dropout: float = 0.0) -> Classifier:
        torch.manual_seed(0)
        classifier = build_classifier(Path(tiny["bert"]), "mean", LABELS, False, dropout)
        MODES.get(mode)().apply(classifier, LoraSettings(rank=4))
        enable(classifier, KernelSettings())
        return classifier

    return build


@pytest.fixture
def learn(runtime: Runtime, rows: LabelledExamples, fresh: Callable[..., Classifier]) -> Callable[..., Fitted]:
    """`fit` with quick settings; keywords of ResolvedTraining go there, the others to `fit`."""

    def run(
        objective: Any = None, classifier: Classifier | None = None, seed: int = 5, dropout: float = 0.0, **given: Any
    ) -> Fitted:
        settings = {
            **SETTINGS,
            **{name: value for name, value in given.items() if name in ResolvedTraining.model_fields},
        }
        others = {name: value for name, value in given.items() if name not in ResolvedTraining.model_fields}
        classifier = classifier or fresh(dropout=dropout)
        learned = rows if objective is None else replace(rows, objective=objective)
        progress = fit(runtime, classifier, learned, ResolvedTraining(**settings), seed, **others)
        return Fitted(classifier, progress)

    return run
