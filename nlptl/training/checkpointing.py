"""The state of an unfinished training on disk, so that it can go on where it was stopped.

The stream of batches, dropout and learning rate are functions of seed and step, so weights, optimizer moments and a
few counters are the whole state.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from nlptl.errors import ArtifactError

# A save may cost this share of the training time since the last one.
SHARE = 0.03
Weights = dict[str, Tensor]


@dataclass
class Progress:
    """Where training stands, in numbers."""

    step: int = 0
    """Optimizer steps done."""
    best_metric: float | None = None
    best_epoch: int = 0
    """Epochs that gave the best state; 0 is the state before training."""
    worse_epochs: int = 0
    losses: list[float] = field(default_factory=list)
    """One per optimizer step."""
    epochs: list[dict[str, float]] = field(default_factory=list)
    """Validation metrics after each epoch, entry 0 before the first."""
    seconds: float = 0.0


class StateFolder:
    """The newest complete state under a run folder; one process writes, all may read."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._last_save = time.monotonic()
        self._cost = 1.0

    @property
    def _old(self) -> Path:
        return self.folder.with_name(self.folder.name + ".old")

    def due(self) -> bool:
        """Whether enough time has passed that another save stays within its share."""
        return time.monotonic() - self._last_save > self._cost / SHARE

    def exists(self) -> bool:
        """Whether there is a state to go on from."""
        if not self.folder.exists() and self._old.is_dir():  # stopped between the two renames of a save
            with suppress(FileNotFoundError):  # another process was quicker
                self._old.rename(self.folder)
        return (self.folder / "progress.json").is_file()

    def save(self, weights: Weights, best: Weights, optimizer: torch.optim.Optimizer, progress: Progress) -> None:
        """Write the state aside, then let it take the place of the last one."""
        started = time.monotonic()
        aside = self.folder.with_name(self.folder.name + ".part")
        shutil.rmtree(aside, ignore_errors=True)
        aside.mkdir(parents=True)
        moments, numbers = _flatten(optimizer)
        _write_tensors(aside / "weights.safetensors", weights)
        _write_tensors(aside / "best.safetensors", best)
        _write_tensors(aside / "optimizer.safetensors", moments)
        with (aside / "progress.json").open("w") as stream:
            json.dump({"progress": asdict(progress), "optimizer": numbers}, stream)
            stream.flush()
            os.fsync(stream.fileno())
        if self.folder.exists():
            shutil.rmtree(self._old, ignore_errors=True)
            self.folder.rename(self._old)
        aside.rename(self.folder)
        shutil.rmtree(self._old, ignore_errors=True)
        self._last_save = time.monotonic()
        self._cost = self._last_save - started

    def load(self, optimizer: torch.optim.Optimizer) -> tuple[Weights, Weights, Progress]:
        """Weights, best weights and progress; puts the moments into the optimizer.

        Raises:
            ArtifactError: the state is damaged or belongs to another model.
        """
        try:
            noted = json.loads((self.folder / "progress.json").read_text())
            tensors = {n: load_file(self.folder / f"{n}.safetensors") for n in ("weights", "best", "optimizer")}
            _restore(optimizer, tensors["optimizer"], noted["optimizer"])
            return tensors["weights"], tensors["best"], Progress(**noted["progress"])
        except Exception as error:  # safetensors, json, shapes: all mean the same to the user
            raise ArtifactError(
                f"The saved training state in {self.folder} cannot be used ({error}). Remove it to start over."
            ) from error

    def save_finished(self, best: Weights, progress: Progress) -> None:
        """Keep only what a finished training gave: for a run that goes on with another."""
        aside = self.folder.with_name(self.folder.name + ".part")
        shutil.rmtree(aside, ignore_errors=True)
        aside.mkdir(parents=True)
        _write_tensors(aside / "best.safetensors", best)
        (aside / "progress.json").write_text(json.dumps(asdict(progress)))
        aside.rename(self.folder)

    def load_finished(self) -> tuple[Weights, Progress]:
        """What `save_finished` kept.

        Raises:
            ArtifactError: it is damaged.
        """
        try:
            progress = Progress(**json.loads((self.folder / "progress.json").read_text()))
            return load_file(self.folder / "best.safetensors"), progress
        except Exception as error:  # as for `load`
            raise ArtifactError(f"The state in {self.folder} cannot be used ({error}). Remove it.") from error

    def remove(self) -> None:
        """Training ended; the state has served."""
        shutil.rmtree(self.folder, ignore_errors=True)
        shutil.rmtree(self._old, ignore_errors=True)


def _write_tensors(path: Path, tensors: Weights) -> None:
    save_file({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}, path)
    with path.open("rb") as stream:
        os.fsync(stream.fileno())


def _flatten(optimizer: torch.optim.Optimizer) -> tuple[Weights, dict[str, Any]]:
    """Optimizer moments as named tensors; what is not a tensor as JSON."""
    state = optimizer.state_dict()["state"]
    tensors, numbers = {}, {}
    for index, entries in state.items():
        for name, value in entries.items():
            if isinstance(value, Tensor):
                tensors[f"{index}.{name}"] = value
            else:
                numbers[f"{index}.{name}"] = value
    return tensors, numbers


def _restore(optimizer: torch.optim.Optimizer, tensors: Weights, numbers: dict[str, Any]) -> None:
    full = optimizer.state_dict()
    state: dict[int, dict[str, Any]] = {}
    for key, value in [*tensors.items(), *numbers.items()]:
        index, name = key.split(".", 1)
        state.setdefault(int(index), {})[name] = value
    optimizer.load_state_dict({"state": state, "param_groups": full["param_groups"]})
