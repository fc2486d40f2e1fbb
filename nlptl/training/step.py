"""One optimizer step: micro-batches, the agreement of all processes on how it went, and the update."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from nlptl.config.training import ResolvedTraining
from nlptl.errors import NlptlError
from nlptl.training.memory import halve, ran_out, share, split, trained_by
from nlptl.training.runtime import Runtime


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
    """Takes steps over rows whose losses are summed and divided by the rows of the step, on all processes together.

    Args:
        runtime: processes, device, precision.
        losses: row numbers to losses (`RowLosses`), as prepared by Accelerate.
        optimizer: as prepared by Accelerate.
        config: resolved settings.
        micro_batch_size: rows per forward pass and process. In one process it shrinks when memory runs out.
        complete: whether each trainable parameter gets a gradient in every backward pass.
        inputs_of: row numbers (B,) to how many inputs of the encoder each is (`Examples.inputs_of`); None: one.
    """

    def __init__(
        self,
        runtime: Runtime,
        losses: nn.Module,
        optimizer: Any,
        config: ResolvedTraining,
        micro_batch_size: int,
        complete: bool = True,
        inputs_of: Callable[[np.ndarray], np.ndarray] | None = None,
    ) -> None:
        self._runtime, self._losses, self._optimizer = runtime, losses, optimizer
        self._clip = config.clip or float("inf")
        self._share = share(config, runtime)
        self.micro_batch_size = micro_batch_size
        self._parameters = trained_by(optimizer)
        self._replicated = runtime.processes > 1 and not runtime.is_sharded
        self._complete = complete
        self._inputs_of = inputs_of
        self._asked = config.micro_batch_size or self._share

    @property
    def shrunk(self) -> bool:
        """Whether memory made the micro-batch smaller than the settings say."""
        return self.micro_batch_size < min(self._asked, self._share)

    def take(self, step_rows: np.ndarray, seed: int, due: bool = False) -> Outcome:
        """One step over these rows, the same on every process.

        Args:
            step_rows: row numbers of the step.
            seed: of dropout in this step on this process.
            due: this process wants to save afterwards.

        Raises:
            NlptlError: loss or gradients became NaN or infinite, or memory ran out: in one process for a single row,
                in several for what had fit before. The weights are as before the step.
        """
        started = time.perf_counter()
        while True:
            torch.manual_seed(seed)
            loss = self._accumulate(step_rows)
            if loss is not None:
                break
            self._optimizer.zero_grad()
            self.micro_batch_size = halve(self._runtime, self.micro_batch_size)
        stop = self._runtime.stop.requested is not None
        said = self._runtime.sum(np.array([loss, stop, due], np.float64))
        updating = time.perf_counter()
        # Going through all modules for them would take longer than the norm itself.
        learning = self._losses.parameters() if self._runtime.is_sharded else self._parameters
        norm = self._runtime.accelerator.clip_grad_norm_(learning, self._clip)
        self._check_finite(float(said[0]), norm, step_rows)
        self._optimizer.step()
        skipped = bool(getattr(self._optimizer, "step_was_skipped", False))
        self._optimizer.zero_grad()
        ended = time.perf_counter()
        return Outcome(float(said[0]), skipped, bool(said[1]), bool(said[2]), ended - started, ended - updating)

    def _accumulate(self, step_rows: np.ndarray) -> float | None:
        """This process's part of the mean loss, its gradients in place; None where the only process ran out of memory.

        With several processes, the gradients are the sums over them: they are exchanged inside the last backward pass.
        """
        runtime = self._runtime
        mine = step_rows[runtime.rank :: runtime.processes]
        inputs = None if self._inputs_of is None else self._inputs_of(mine)
        parts = split(mine, self._share, self.micro_batch_size, inputs)
        # Gradients are averaged over processes, and sharded ones over micro-batches; the sum over rows is wanted.
        factor = runtime.processes * (len(parts) if runtime.is_sharded else 1)
        total = torch.zeros((), device=runtime.device)
        try:
            for number, part in enumerate(parts, 1):
                # A process without rows in a short last step still takes part, with a row that weighs nothing.
                used, weight = (part, 1.0) if len(part) else (step_rows[:1], 0.0)
                with self._accumulating(number == len(parts)), runtime.accelerator.autocast():
                    loss = self._losses(used).sum() * (weight / len(step_rows))
                    runtime.accelerator.backward(loss * factor)
                total += loss.detach()
            self._check_complete()
            return float(total)
        except RuntimeError as error:
            if not ran_out(error):
                raise
            if runtime.processes > 1 or runtime.is_sharded:
                raise self._out_of_memory(error) from error
        # Outside the except block, so that the error no longer holds the tensors that filled the memory.
        return None

    def _accumulating(self, last: bool) -> AbstractContextManager[Any]:
        """A forward and backward pass whose gradients are added to those that are there, and exchanged in the last."""
        accelerator = self._runtime.accelerator
        if self._runtime.is_sharded:
            return accelerator.accumulate(self._losses.model)  # type: ignore[no-any-return]
        return nullcontext() if last else accelerator.no_sync(self._losses)

    def _check_complete(self) -> None:
        if self._replicated and self._complete and any(p.grad is None for p in self._parameters):
            raise NlptlError(
                "A trainable parameter got no gradient in this step, so the processes cannot exchange theirs. Let each "
                "row's loss depend on every trainable parameter (times zero, if need be), or train in one process."
            )

    def _out_of_memory(self, error: RuntimeError) -> NlptlError:
        fitted = "The largest batch had fit before the first step, so something else has taken memory since. "
        again = "to go on, free the device and give the same command again, which tries anew how many rows fit; or "
        return NlptlError(
            f"Process {self._runtime.rank} ran out of memory in a step ({str(error).strip().splitlines()[0]}). "
            f"{fitted if self._replicated else ''}A state that was saved before is intact: "
            f"{again if self._replicated else ''}start anew with training.micro_batch_size below "
            f"{self.micro_batch_size}, or with --set runtime.gradient_checkpointing=true."
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


def step_seed(seed: int, step: int, rank: int) -> int:
    """Of what is drawn in one step on one process."""
    return int(np.random.SeedSequence([seed, step, rank]).generate_state(1, np.uint64)[0] >> 1)
