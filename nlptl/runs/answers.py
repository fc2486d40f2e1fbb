"""What a finished run answered on validation and test: logits beside gold labels, for whoever measures later."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nlptl.errors import ArtifactError

FILE = "answers.safetensors"
"""Beside `decision.json`."""
SPLITS = ("validation", "test")


@dataclass(frozen=True)
class SplitAnswers:
    """A split as the model answered it, before calibration and decision; rows in the split's own order."""

    logits: np.ndarray
    """(N, C) float32."""
    targets: np.ndarray
    """(N,) label ids; (N, C) 0/1 for several labels at once."""
    scope: np.ndarray | None = None
    """(N,) how far in scope by the run's scorer, higher is more; None where it has none."""


def write_answers(home: Path, answers: Mapping[str, SplitAnswers]) -> None:
    """Write the answers of a task.

    Args:
        home: where the task's own files lie.
        answers: by split.
    """
    from safetensors.numpy import save_file

    tensors = {
        f"{split}.{name}": np.ascontiguousarray(array)
        for split, found in answers.items()
        for name, array in (("logits", found.logits), ("targets", found.targets), ("scope", found.scope))
        if array is not None
    }
    aside = home / f"{FILE}.part"
    save_file(tensors, aside)
    aside.replace(home / FILE)


def read_answers(home: Path) -> dict[str, SplitAnswers]:
    """The answers of a task, by split.

    Args:
        home: where the task's own files lie: the run folder, or one in its `heads/`.

    Raises:
        ArtifactError: the run is of a version that kept none, or the file is damaged.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    path = home / FILE
    if not path.is_file():
        raise ArtifactError(
            f"{home} holds no {FILE}: runs of earlier versions do not keep what they answered on validation. Train it "
            f"again: nlptl train --config {home / 'run.yaml'}"
        )
    try:
        tensors = load_file(path)
        found = {
            split: SplitAnswers(tensors[f"{split}.logits"], tensors[f"{split}.targets"], tensors.get(f"{split}.scope"))
            for split in SPLITS
        }
    except (OSError, SafetensorError, KeyError) as error:
        raise ArtifactError(f"{path} is damaged: {error}.") from error
    for split, each in found.items():
        if each.logits.ndim != 2 or len(each.logits) != len(each.targets):
            raise ArtifactError(
                f"{path} is damaged: {split} has {each.logits.shape} logits, {each.targets.shape} labels."
            )
    return found
