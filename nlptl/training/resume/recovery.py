"""Saving a training and taking it up again, on all its processes together."""

from __future__ import annotations

import hashlib
import logging
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
import torch

from nlptl.config.training import ResolvedTraining
from nlptl.errors import ArtifactError, Preempted
from nlptl.training.best import BestState
from nlptl.training.distributed.replicas import read_together
from nlptl.training.resume.states import Progress, Snapshot, StateFolder
from nlptl.training.runtime import Runtime

log = logging.getLogger("nlptl")


class Recovery:
    """What a training needs to survive its process; does nothing where there is no state folder, or under DeepSpeed."""

    def __init__(
        self,
        runtime: Runtime,
        state: StateFolder | None,
        optimizer: torch.optim.Optimizer,
        best: BestState,
        config: ResolvedTraining,
        first_epoch: list[np.ndarray],
    ) -> None:
        self._runtime, self._optimizer, self._best, self._config = runtime, optimizer, best, config
        self._state = None if runtime.uses_deepspeed else state
        self._plan = hashlib.sha256(b"".join(rows.astype("<i8").tobytes() for rows in first_epoch)).hexdigest()

    def listening(self) -> AbstractContextManager[None]:
        """Signals are noted while this lasts; without a state folder they do what they did before."""
        return nullcontext() if self._state is None else self._runtime.stop.listening()

    def load(self) -> Progress | None:
        """Put the newest good state in place, if there is one.

        Raises:
            ArtifactError: it belongs to another model or to other rows.
        """
        if self._state is None:
            return None
        snapshot = read_together(self._runtime, self._state)
        if snapshot is None:
            return None
        progress, where = snapshot.progress, self._state.folder
        if progress.plan != self._plan:
            raise ArtifactError(
                f"The training state in {where} was made with other training rows, or with their batches in another "
                "order. Put the data back; a run that has moved between CPU and GPU goes on where it began; or choose "
                "another --output."
            )
        try:
            # With sharded weights all words are trained; a process that holds all weights may train the used ones only.
            for name, rows in self._best.used_rows().items():
                snapshot.keep_rows(name, rows)
            snapshot.restore(self._optimizer)
            self._best.put(snapshot.weights)
        except (ValueError, KeyError, RuntimeError) as error:
            raise ArtifactError(
                f"The training state in {where} belongs to another model, or to another version of nlptl ({error}). "
                "Choose another --output; or remove it, and training starts over."
            ) from error
        self._best.weights = snapshot.best
        scaler = getattr(self._runtime.accelerator, "scaler", None)
        if scaler is not None and progress.scaler:
            scaler.load_state_dict(_scaler_state(progress.scaler))
        if self._runtime.is_main:
            log.info(f"Going on after step {progress.step}")
            if progress.processes != self._runtime.processes:
                log.warning(
                    f"The state was saved by {progress.processes} processes and goes on with "
                    f"{self._runtime.processes}: each row still counts once per epoch, but sums are rounded and "
                    "dropout is drawn otherwise, so the result is not bit for bit that of an uninterrupted run"
                )
        return progress

    def asked_to_stop(self) -> bool:
        """Whether a signal has reached any of the processes."""
        return self._state is not None and self._runtime.any(self._runtime.stop.requested is not None)

    def due(self, step: int) -> bool:
        """Whether this process, the one that writes, wants to save after the step."""
        return self._state is not None and self._runtime.is_main and self._state.due(step, self._config.save_every)

    def save(self, progress: Progress) -> None:
        """Write the state on the main process; the others wait, and learn whether it worked.

        Raises:
            ArtifactError: the disk is full or cannot be written.
        """
        if self._state is None:
            return
        progress.plan, progress.processes = self._plan, self._runtime.processes
        scaler = getattr(self._runtime.accelerator, "scaler", None)
        progress.scaler = {k: float(v) for k, v in scaler.state_dict().items()} if scaler is not None else {}
        failure, runtime, best = "", self._runtime, self._best
        if runtime.is_main or runtime.is_sharded:
            with runtime.noticing_loss():
                snapshot = Snapshot.take(best.current(), best.weights, self._optimizer, progress, runtime.is_main)
        if runtime.is_main:
            try:
                self._state.save(snapshot, self._config.keep_states)
            except ArtifactError as error:
                failure = str(error)
        failure = runtime.agree(failure)
        if failure:
            raise ArtifactError(failure)

    def stop(self, progress: Progress) -> None:
        """Save and leave.

        Raises:
            Preempted: always.
        """
        self.save(progress)
        signal = self._runtime.stop.requested or "A signal to another process"
        kept = f"The state is saved in {self._state.folder}" if self._state else "No state is kept"
        raise Preempted(
            f"{signal} stopped the training after step {progress.step}. {kept}. "
            "To resume, give the same command again with --resume (or with the same --output)."
        )


def _scaler_state(noted: dict[str, float]) -> dict[str, Any]:
    whole = ("growth_interval", "_growth_tracker")
    return {name: int(value) if name in whole else value for name, value in noted.items()}
