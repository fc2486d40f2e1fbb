"""Memory is tried before the first step, on the largest forward and backward pass that the plan holds.

Replicas add up their gradients inside the backward pass. A process whose memory ends there leaves the others waiting,
so it must not happen: each process tries its largest share of a step alone, and all agree on a size that fits.
"""

from __future__ import annotations

import logging
from typing import NamedTuple

import numpy as np
import torch

from nlptl.config.training import ResolvedTraining
from nlptl.errors import NlptlError
from nlptl.training.examples.labelled import RowLosses
from nlptl.training.runtime import Runtime

log = logging.getLogger("nlptl")


class Trial(NamedTuple):
    """What all processes know after the trial."""

    micro_batch_size: int
    """Rows per forward pass that fit on every process."""
    complete: bool
    """Whether every trainable parameter got a gradient on every process, in the largest pass and from a single row."""


def try_memory(
    runtime: Runtime,
    losses: RowLosses,
    optimizer: torch.optim.Optimizer,
    config: ResolvedTraining,
    seed: int,
    micro_batch_size: int,
) -> Trial:
    """Run the plan's largest forward and backward pass, with half as many rows until it fits on every process.

    Gradients are thrown away, and random numbers drawn meanwhile are given back. It takes about as long as one
    micro-batch. Memory that is needed only later is held meanwhile: for the moments of AdamW, the buckets in which
    gradients are exchanged, and gradients of earlier micro-batches.

    Args:
        runtime: every process has to call this.
        losses: the model that learns, before it is wrapped for several processes.
        optimizer: over the model's trainable parameters.
        config: its batch size and epochs give the plan.
        seed: of the run.
        micro_batch_size: rows per forward pass and process to begin with.

    Raises:
        NlptlError: memory does not suffice for a single row.
    """
    rows, most = _largest_share(runtime, losses, config, seed), share(config, runtime)
    losses.train()
    with torch.random.fork_rng([runtime.device] if runtime.device.type == "cuda" else []):
        while True:
            torch.manual_seed(seed)
            parts = split(rows, most, micro_batch_size, losses.rows.inputs_of(rows))
            largest = max(parts, key=lambda part: _tokens(losses, part))
            # Two moments, unless a resumed training has them already; a bucket; gradients of earlier micro-batches.
            copies = (0 if optimizer.state else 2) + 1 + (len(parts) > 1)
            told = [_learn_from(runtime, losses, optimizer, some, copies) for some in (largest, largest[:1])]
            fits, complete = (not runtime.any(not all(kind)) for kind in zip(*told, strict=True))
            if fits:
                return Trial(micro_batch_size, complete)
            micro_batch_size = halve(runtime, micro_batch_size)


def halve(runtime: Runtime, micro_batch_size: int) -> int:
    """Half as many rows per forward pass, after memory ran out.

    Raises:
        NlptlError: it was one row.
    """
    if runtime.device.type != "cpu":
        torch.accelerator.empty_cache()
    if micro_batch_size == 1:
        raise NlptlError(
            "Memory does not suffice for one row per forward pass. Try a smaller model.max_length (with "
            "model.long_text=windows, a smaller model.max_windows), "
            "--set runtime.gradient_checkpointing=true, a smaller checkpoint, or mode lora."
        )
    half = micro_batch_size // 2
    if runtime.is_main:
        log.warning(
            f"Out of memory with {micro_batch_size} rows per forward pass: going on with {half}, on every process. "
            "Rows per optimizer step and the schedule stay as they are."
        )
    return half


def ran_out(error: RuntimeError) -> bool:
    """Whether memory ended; the CPU's allocator raises a plain RuntimeError."""
    return isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error)


def share(config: ResolvedTraining, runtime: Runtime) -> int:
    """Most rows of a step that fall to one process."""
    return -(-config.batch_size // runtime.processes)


def split(rows: np.ndarray, most: int, micro_batch_size: int, inputs: np.ndarray | None = None) -> list[np.ndarray]:
    """One process's rows of a step in as many parts as each step has; the last parts of a short step are empty.

    Args:
        rows: row numbers.
        most: of any step.
        micro_batch_size: most rows per part.
        inputs: (B,) of the encoder that each row is; where one is several (windows), parts end at so many inputs
            instead, or hold a single row, and each step has as many parts as that takes.
    """
    if inputs is None or not len(rows) or inputs.max() == 1:
        return np.array_split(rows, -(-most // micro_batch_size))
    parts, start, held = [], 0, 0
    for place, count in enumerate(inputs):
        if place > start and held + count > micro_batch_size:
            parts.append(rows[start:place])
            start, held = place, 0
        held += int(count)
    return [*parts, rows[start:]]


def trained_by(optimizer: torch.optim.Optimizer) -> list[torch.nn.Parameter]:
    """All parameters of an optimizer, in its order."""
    return [parameter for group in optimizer.param_groups for parameter in group["params"]]


def _learn_from(
    runtime: Runtime, losses: RowLosses, optimizer: torch.optim.Optimizer, rows: np.ndarray, copies: int
) -> tuple[bool, bool]:
    """One forward and backward pass beside so many copies of the parameters.

    Returns:
        Whether memory sufficed, and whether every parameter got a gradient.
    """
    parameters = trained_by(optimizer)
    try:
        held = [torch.empty_like(p) for p in parameters for _ in range(copies)]
        with runtime.accelerator.autocast():
            runtime.accelerator.backward(losses(rows).sum() / len(rows))
        del held
        return True, all(p.grad is not None for p in parameters)
    except RuntimeError as error:
        if not ran_out(error):
            raise
        return False, False
    finally:
        optimizer.zero_grad()


def _largest_share(runtime: Runtime, losses: RowLosses, config: ResolvedTraining, seed: int) -> np.ndarray:
    """This process's rows of the step that gives it the most tokens, of all epochs."""
    plans = (losses.rows.plan(config.batch_size, seed, epoch) for epoch in range(config.epochs))
    shares = (step[runtime.rank :: runtime.processes] for plan in plans for step in plan)
    return max(shares, key=lambda rows: _tokens(losses, rows))


def _tokens(losses: RowLosses, rows: np.ndarray) -> int:
    """Tokens of one forward pass, with its padding."""
    lengths = losses.rows.lengths_of(rows)
    if losses.model.packs or losses.rows.inputs_of(rows).max(initial=1) > 1:
        return int(lengths.sum())
    return int(len(rows) * lengths.max(initial=0))
