"""The states of an unfinished training on disk, so that it can go on where it was stopped.

The stream of batches, dropout and learning rate are functions of seed and step, so weights, optimizer moments and a
few counters are all there is to save. Each lies in a folder of its own, `step-0000123`, that is written atomically.
"""

from __future__ import annotations

import json
import logging
import shutil
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from nlptl.errors import ArtifactError
from nlptl.storage.atomic import PART, check_digests, write_atomic
from nlptl.training.distributed.shards import full_tensor, shard_like

log = logging.getLogger("nlptl")

# Saving may take this share of the time since the last save, and of all the time so far.
SHARE = 0.03
DAMAGED = "damaged-"
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
    """Seconds of the whole training, with validation and saving."""
    step_seconds: float = 0.0
    """Seconds of the optimizer steps alone."""
    update_seconds: float = 0.0
    """Seconds of clipping and of the optimizer, inside the steps."""
    skipped_steps: int = 0
    """Steps whose gradients overflowed in fp16 and were left out."""
    micro_batch_size: int | None = None
    """Rows per forward pass and process, where memory made it smaller than the settings say."""
    processes: int = 1
    """How many made the last step."""
    plan: str = ""
    """Digest of the batches of the first epoch: other rows make another plan."""
    scaler: dict[str, float] = field(default_factory=dict)
    """The fp16 gradient scaler's state."""


@dataclass
class Snapshot:
    """All that a state holds, in full tensors, however many processes hold a part of them each."""

    weights: Weights
    best: Weights
    moments: Weights
    """Tensors of the optimizer, by `moment/parameter`."""
    numbers: dict[str, Any]
    """What the optimizer keeps besides tensors, by the same names."""
    progress: Progress

    @classmethod
    def take(
        cls, weights: Weights, best: Weights, optimizer: torch.optim.Optimizer, progress: Progress, keep: bool = True
    ) -> Snapshot:
        """The present state.

        Args:
            weights: as they are now.
            best: those of the best epoch.
            optimizer: with named parameters; sharded moments are gathered, for which every process has to call this.
            progress: where training stands.
            keep: False: only take part in that.
        """
        moments, numbers = {}, {}
        names = list(_parameters_of(optimizer))
        for index, entries in optimizer.state_dict()["state"].items():
            for moment, value in entries.items():
                key = f"{moment}/{names[index]}"
                if not isinstance(value, Tensor):
                    numbers[key] = value
                    continue
                full = full_tensor(value)
                if keep:  # on the CPU where it was gathered, so that only one at a time fills the device
                    moments[key] = full if full is value else full.cpu()
        return cls(weights, best, moments, numbers, progress)

    def keep_rows(self, name: str, rows: Tensor) -> None:
        """Of a parameter that was saved with all its rows, keep those that this training has."""
        for part in (self.weights, self.best, self.moments):
            for key, saved in part.items():
                if key.split("/", 1)[-1] == name and saved.ndim and len(saved) > len(rows):
                    part[key] = saved[rows.to(saved.device)]

    def restore(self, optimizer: torch.optim.Optimizer) -> None:
        """Put the moments into the optimizer.

        Raises:
            ValueError: they are another model's; torch would take them without a word.
        """
        parameters = _parameters_of(optimizer)
        places = {name: place for place, name in enumerate(parameters)}
        state: dict[int, dict[str, Any]] = {}
        for key, value in [*self.moments.items(), *self.numbers.items()]:
            moment, _, name = key.partition("/")
            own, is_moment = parameters.get(name), isinstance(value, Tensor) and value.ndim > 0
            if own is None or (is_moment and value.shape != own.shape):
                raise ValueError(f"the optimizer's {key} has no place in this model")
            state.setdefault(places[name], {})[moment] = shard_like(value, own) if is_moment else value
        groups = optimizer.state_dict()["param_groups"]
        optimizer.load_state_dict({"state": state, "param_groups": groups})


class StateFolder:
    """The saved states of one training; one process writes and reads."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._started = self._last_save = time.monotonic()
        self._cost = 1.0
        self.spent = 0.0
        """Seconds that saving has taken."""

    def due(self, step: int, every: int | None = None) -> bool:
        """Whether to save after this step: each `every` steps, or when another save stays within its share."""
        if every is not None:
            return step % every == 0
        now = time.monotonic()
        # Both: the first save may have taken longer than was guessed, and then the next one has to make up for it.
        return now - self._last_save > self._cost / SHARE and now - self._started > (self.spent + self._cost) / SHARE

    def states(self) -> list[Path]:
        """The folders of saved states, the oldest first."""
        return sorted(self.folder.glob("step-*"))

    def exists(self) -> bool:
        """Whether there is a state to go on from."""
        return bool(self.states())

    def save(self, snapshot: Snapshot, keep: int = 2) -> Path:
        """Write a state, then remove all but the newest `keep`; a step that was saved before stays as it is.

        Raises:
            ArtifactError: the disk is full or cannot be written; earlier states are intact.
        """
        started = time.monotonic()
        target = self.folder / f"step-{snapshot.progress.step:07d}"
        if not target.exists():

            def write(folder: Path) -> None:
                _write_tensors(folder / "weights.safetensors", snapshot.weights)
                _write_tensors(folder / "best.safetensors", snapshot.best)
                _write_tensors(folder / "optimizer.safetensors", snapshot.moments)
                noted = {"progress": asdict(snapshot.progress), "optimizer": snapshot.numbers}
                (folder / "progress.json").write_text(json.dumps(noted))

            write_atomic(target, write)
        for old in self.states()[:-keep]:
            shutil.rmtree(old, ignore_errors=True)
        self._last_save = time.monotonic()
        self._cost = self._last_save - started
        self.spent += self._cost
        return target

    def read(self) -> Snapshot | None:
        """The newest good state, or None; damaged ones are named, and kept under another name."""
        for leftover in self.folder.glob(f"{PART}*"):
            shutil.rmtree(leftover, ignore_errors=True)
        for folder in reversed(self.states()):
            try:
                check_digests(folder)
                return _read(folder)
            except ArtifactError as error:
                log.warning(f"The saved state {folder} is damaged and left out: {error}")
                folder.rename(folder.with_name(f"{DAMAGED}{folder.name}-{time.time_ns()}"))
        if any(self.folder.glob(f"{DAMAGED}*")):
            log.warning(f"There is no good state in {self.folder}, so this training starts over")
        return None

    def save_finished(self, best: Weights, progress: Progress) -> None:
        """Keep only what a finished training gave: for a run that goes on with another.

        Raises:
            ArtifactError: the disk is full or cannot be written.
        """

        def write(aside: Path) -> None:
            _write_tensors(aside / "best.safetensors", best)
            (aside / "progress.json").write_text(json.dumps(asdict(progress)))

        write_atomic(self.folder, write)

    def load_finished(self) -> tuple[Weights, Progress] | None:
        """What `save_finished` kept; None where there is nothing, or it is damaged: then it is trained again."""
        if not self.folder.is_dir():
            return None
        try:
            check_digests(self.folder)
            progress = Progress(**json.loads((self.folder / "progress.json").read_text()))
            return load_file(self.folder / "best.safetensors"), progress
        except Exception as error:  # as for `_read`
            log.warning(f"The finished training in {self.folder} is damaged ({error}); it is repeated")
            shutil.rmtree(self.folder, ignore_errors=True)
            return None

    def remove(self) -> None:
        """Training ended; the states have served."""
        shutil.rmtree(self.folder, ignore_errors=True)


def _read(folder: Path) -> Snapshot:
    try:
        noted = json.loads((folder / "progress.json").read_text())
        # Copies: the files may be removed while training goes on.
        weights, best, moments = (
            {name: tensor.clone() for name, tensor in load_file(folder / f"{part}.safetensors").items()}
            for part in ("weights", "best", "optimizer")
        )
        return Snapshot(weights, best, moments, noted["optimizer"], Progress(**noted["progress"]))
    except Exception as error:  # the digests are right, so another version wrote it; whatever fails, it is unreadable
        raise ArtifactError(f"it cannot be read by this version ({error})") from error


def _write_tensors(path: Path, tensors: Weights) -> None:
    save_file({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}, path)


def _parameters_of(optimizer: torch.optim.Optimizer) -> dict[str, torch.nn.Parameter]:
    """The parameters by name, in the optimizer's order."""
    groups = optimizer.param_groups
    return {name: p for g in groups for name, p in zip(g["param_names"], g["params"], strict=True)}
