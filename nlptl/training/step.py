"""One optimizer step: micro-batches, the agreement of all processes on how it went, and the update."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nlptl.config.training import ResolvedTraining
from nlptl.errors import NlptlError
from nlptl.training.distributed.gradient_sum import GradientSum
from nlptl.training.examples.labelled import Examples
from nlptl.training.runtime import Runtime

log = logging.getLogger("nlptl")


@dataclass(frozen=True)
class Outcome:
    """What all processes know after a step."""

    loss: float
    """Mean over the rows of the step."""
    skipped: bool
    """The gradients overflowed in fp16; the weights are as before."""
    stop: bool
    """Some process was asked to stop."""
    save: bool
    """The process that writes wants to save."""
    seconds: float
    """The whole step, on this process."""
    update_seconds: float
    """Clipping and the optimizer's part of it; kernels of a GPU may still run when it is taken."""


class OptimizerStep:
    """Takes steps; `micro_batch_size` shrinks when memory runs out, on all processes together.

    Args:
        micro_batch_size: rows per forward pass and process that an earlier part of this training came down to.
    """

    def __init__(
        self,
        runtime: Runtime,
        model: Any,
        optimizer: Any,
        rows: Examples,
        config: ResolvedTraining,
        micro_batch_size: int | None = None,
    ) -> None:
        self._runtime, self._model, self._optimizer, self._rows = runtime, model, optimizer, rows
        self._clip = config.clip or float("inf")
        self._share = share(config, runtime)
        self.micro_batch_size = min(micro_batch_size or config.micro_batch_size or self._share, self._share)
        self.shrunk = micro_batch_size is not None
        self._parameters = [p for group in optimizer.param_groups for p in group["params"]]
        if not runtime.is_sharded:
            self._gradients = GradientSum(runtime, self._parameters)

    def take(self, step_rows: np.ndarray, seed: int, due: bool = False) -> Outcome:
        """One step over these rows, the same on every process.

        Args:
            step_rows: row numbers of the step.
            seed: of dropout in this step on this process.
            due: this process wants to save afterwards.

        Raises:
            NlptlError: loss or gradients became NaN or infinite, or memory does not suffice for a single row; the
                weights are as before the step.
        """
        started = time.perf_counter()
        while True:
            torch.manual_seed(seed)
            loss, full = self._accumulate(step_rows)
            lacking = any(p.grad is None for p in self._parameters)
            stop = self._runtime.stop.requested is not None
            said = self._runtime.sum(np.array([loss, full, lacking, stop, due], np.float64))
            if not said[1]:
                break
            self._shrink()
        if not self._runtime.is_sharded:
            self._gradients.take(bool(said[2]))
        updating = time.perf_counter()
        # Going through all modules for them would take longer than the norm itself.
        learning = self._model.parameters() if self._runtime.is_sharded else self._parameters
        norm = self._runtime.accelerator.clip_grad_norm_(learning, self._clip)
        self._check_finite(float(said[0]), norm, step_rows)
        self._optimizer.step()
        skipped = bool(getattr(self._optimizer, "step_was_skipped", False))
        self._optimizer.zero_grad()
        ended = time.perf_counter()
        return Outcome(float(said[0]), skipped, bool(said[3]), bool(said[4]), ended - started, ended - updating)

    def _accumulate(self, step_rows: np.ndarray) -> tuple[float, bool]:
        """This process's part of the mean loss, its gradients in place; and whether memory ran out instead."""
        runtime = self._runtime
        count = -(-self._share // self.micro_batch_size)
        mine = np.array_split(step_rows[runtime.rank :: runtime.processes], count)
        total = torch.zeros((), device=runtime.device)
        try:
            for part in mine:
                # A process without rows in a short last step still takes part, with a row that weighs nothing.
                used, weight = (part, 1.0) if len(part) else (step_rows[:1], 0.0)
                with runtime.accumulating(self._model), runtime.accelerator.autocast():
                    losses = self._rows.losses(self._model, used, runtime.device)
                    loss = losses.sum() * (weight / len(step_rows))
                    # Sharded gradients are averaged over processes and micro-batches; the sum over rows is wanted.
                    runtime.accelerator.backward(loss * (runtime.processes * count if runtime.is_sharded else 1))
                total += loss.detach()
            return float(total), False
        except RuntimeError as error:
            if runtime.is_sharded or not _out_of_memory(error):
                raise
        # Outside the except block, so that the error no longer holds the tensors that filled the memory.
        self._optimizer.zero_grad()
        if runtime.device.type != "cpu":
            torch.accelerator.empty_cache()
        return 0.0, True

    def _shrink(self) -> None:
        self._optimizer.zero_grad()
        if self.micro_batch_size == 1:
            raise NlptlError(
                "Memory does not suffice for one row per forward pass. Try a smaller model.max_length, "
                "--set runtime.gradient_checkpointing=true, a smaller checkpoint, or mode lora."
            )
        before, self.micro_batch_size, self.shrunk = self.micro_batch_size, self.micro_batch_size // 2, True
        if self._runtime.is_main:
            log.warning(
                f"Out of memory with {before} rows per forward pass: going on with {self.micro_batch_size}, on every "
                "process. Rows per optimizer step and the schedule stay as they are."
            )

    def _check_finite(self, loss: float, norm: Tensor | None, step_rows: np.ndarray) -> None:
        # fp16 gradients overflow now and then; the scaler skips such steps by itself.
        unchecked = norm is None or self._runtime.precision == "fp16"
        finite = unchecked or bool(torch.isfinite(torch.as_tensor(norm)))
        if finite and np.isfinite(loss):
            return
        self._optimizer.zero_grad()
        what = "gradients" if np.isfinite(loss) else "loss"
        listed = ", ".join(str(row + 1) for row in sorted(step_rows)[:50])
        raise NlptlError(
            f"The {what} became NaN or infinite, so training stopped before using it. Training rows of this batch: "
            f"{listed}. Try a lower training.learning_rate or --set runtime.precision=fp32."
        )


def share(config: ResolvedTraining, runtime: Runtime) -> int:
    """Most rows of a step that fall to one process."""
    return -(-config.batch_size // runtime.processes)


def step_seed(seed: int, step: int, rank: int) -> int:
    """Of what is drawn in one step on one process."""
    return int(np.random.SeedSequence([seed, step, rank]).generate_state(1, np.uint64)[0] >> 1)


def _out_of_memory(error: RuntimeError) -> bool:
    # The CPU's allocator raises a plain RuntimeError.
    return isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error)
