"""The sum of gradients over processes that each hold the whole model.

It is taken once per optimizer step, after every process has said that its share of the step is done. So a process that
ran out of memory can say so, where a reduction woven into the backward pass would leave the others waiting; what is
given up is the overlap of that reduction with the last backward pass.

Between CPUs of one machine gloo sends gradients through sockets, which for a small encoder takes half as long as the
step itself. There the processes add up in memory that they share; elsewhere it is the backend's all-reduce.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch import distributed as dist

from nlptl.training.runtime import Runtime

BUCKET_BYTES = 32 * 2**20


class GradientSum:
    """Replaces each gradient by its sum over the processes.

    Args:
        runtime: nothing happens where there is one process.
        parameters: the trainable ones, in the same order on each process.
    """

    def __init__(self, runtime: Runtime, parameters: list[torch.nn.Parameter]) -> None:
        self._runtime, self._parameters = runtime, parameters
        self._memory: np.memmap | None = None
        if runtime.processes > 1 and runtime.device.type == "cpu":
            sizes = [p.numel() for p in parameters]
            self._memory = share_memory(runtime, max(*sizes, min(sum(sizes), BUCKET_BYTES // 4)))

    def take(self, lacking: bool) -> None:
        """Add up.

        Args:
            lacking: whether some process has a parameter without gradient. It then counts as zero, unless no process
                has one: then it stays without.
        """
        if self._runtime.processes == 1:
            return
        parameters = self._parameters
        if lacking:
            there = self._runtime.sum(np.array([p.grad is not None for p in parameters], np.int64))
            parameters = [p for p, count in zip(parameters, there, strict=True) if count]
            for parameter in parameters:
                if parameter.grad is None:
                    parameter.grad = torch.zeros_like(parameter)
        gradients = [p.grad for p in parameters if p.grad is not None]
        with self._runtime.noticing_loss():
            if self._memory is not None and all(gradient.dtype == torch.float32 for gradient in gradients):
                for bucket in _buckets(gradients):
                    self._in_memory(bucket, self._memory)
            else:
                _all_reduce(gradients)

    def _in_memory(self, gradients: list[Tensor], memory: np.memmap) -> None:
        """Each process writes its own row, and adds up its stripe of all rows into the last one.

        That row is written only after all have come to the first barrier, and so have read what was in it before.
        """
        rank, processes = self._runtime.rank, self._runtime.processes
        size = sum(gradient.numel() for gradient in gradients)
        rows = torch.from_numpy(memory)[:, :size]
        torch.cat([gradient.reshape(-1) for gradient in gradients], out=rows[rank])
        dist.barrier()
        stripe = slice(size * rank // processes, size * (rank + 1) // processes)
        torch.sum(rows[:-1, stripe], 0, out=rows[-1, stripe])
        dist.barrier()
        _hand_out(rows[-1], gradients)


def share_memory(runtime: Runtime, size: int) -> np.memmap | None:
    """Memory of (processes + 1, size) float32 that all processes see; None, on all of them, where they cannot.

    It has no name in the file system, and ends with the last process that holds it, however that ends.
    """
    token, opened = secrets.token_bytes(16), None
    said = ""
    if runtime.is_main and hasattr(os, "memfd_create"):
        opened = os.memfd_create("nlptl-gradients")
        os.ftruncate(opened, len(token))
        os.pwrite(opened, token, 0)
        said = json.dumps([f"/proc/{os.getpid()}/fd/{opened}", token.hex()])
    said = runtime.agree(said)
    memory = None
    with suppress(OSError, ValueError):
        path, written = json.loads(said)
        # On another machine that path may be something else, or nothing.
        with Path(path).open("r+b") as file:
            if file.read(len(token)).hex() == written:
                os.ftruncate(file.fileno(), (runtime.processes + 1) * size * 4)
                memory = np.memmap(file, np.float32, "r+", shape=(runtime.processes + 1, size))
    nobody_lacks_it = not runtime.any(memory is None)
    if opened is not None:
        os.close(opened)
    return memory if nobody_lacks_it else None


def _all_reduce(gradients: list[Tensor]) -> None:
    started = []
    for bucket in _buckets(gradients):
        flat = torch.cat([gradient.reshape(-1) for gradient in bucket])
        started.append((bucket, flat, dist.all_reduce(flat, async_op=True)))
    for bucket, flat, work in started:
        work.wait()
        _hand_out(flat, bucket)


def _hand_out(flat: Tensor, gradients: list[Tensor]) -> None:
    parts = torch.split(flat, [gradient.numel() for gradient in gradients])
    for gradient, part in zip(gradients, parts, strict=True):
        gradient.copy_(part.view_as(gradient))


def _buckets(gradients: list[Tensor]) -> Iterator[list[Tensor]]:
    """Neighbours of one type, at most `BUCKET_BYTES` together; a larger gradient alone."""
    bucket: list[Tensor] = []
    for gradient in gradients:
        size = sum(g.nbytes for g in (*bucket, gradient))
        if bucket and (gradient.dtype != bucket[0].dtype or size > BUCKET_BYTES):
            yield bucket
            bucket = []
        bucket.append(gradient)
    if bucket:
        yield bucket
