"""Processes that each hold the whole model: the same start, the same gradients, the same resumed state.

Gradients are added up once per optimizer step, after every process has said that its share of the step is done. So a
process that ran out of memory can say so, where a reduction woven into the backward pass would leave the others
waiting; what is given up is the overlap of that reduction with the last backward pass.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch import distributed as dist

from nlptl.models.encoder import EncoderModel
from nlptl.training.checkpointing import Progress, Snapshot, StateFolder, Weights
from nlptl.training.runtime import Runtime

BUCKET_BYTES = 32 * 2**20


def share_model(runtime: Runtime, model: EncoderModel) -> None:
    """Give every process the main one's parameters and buffers."""
    if runtime.processes > 1:
        for tensor in (*model.parameters(), *model.buffers()):
            runtime.broadcast(tensor.data)


def add_up_gradients(runtime: Runtime, parameters: list[torch.nn.Parameter], lacking: bool) -> None:
    """Replace each gradient by its sum over the processes.

    Args:
        runtime: nothing happens where there is one process.
        parameters: the trainable ones, in the same order on each process.
        lacking: whether some process has a parameter without gradient. It then counts as zero, unless no process has
            one: then it stays without.
    """
    if runtime.processes == 1:
        return
    if lacking:
        there = runtime.sum(np.array([p.grad is not None for p in parameters], np.int64))
        parameters = [p for p, count in zip(parameters, there, strict=True) if count]
        for parameter in parameters:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
    with runtime.noticing_loss():
        started = []
        for bucket in _buckets([p.grad for p in parameters if p.grad is not None]):
            flat = torch.cat([gradient.reshape(-1) for gradient in bucket])
            started.append((bucket, flat, dist.all_reduce(flat, async_op=True)))
        for bucket, flat, work in started:
            work.wait()
            parts = torch.split(flat, [gradient.numel() for gradient in bucket])
            for gradient, part in zip(bucket, parts, strict=True):
                gradient.copy_(part.view_as(gradient))


def _buckets(gradients: list[Tensor]) -> Iterator[list[Tensor]]:
    """Neighbours of one type, up to `BUCKET_BYTES` together."""
    bucket: list[Tensor] = []
    for gradient in gradients:
        if bucket and (gradient.dtype != bucket[0].dtype or sum(g.nbytes for g in bucket) > BUCKET_BYTES):
            yield bucket
            bucket = []
        bucket.append(gradient)
    if bucket:
        yield bucket


def read_together(runtime: Runtime, state: StateFolder) -> Snapshot | None:
    """The newest good state on the main process's disk, on every process: others may have no such disk."""
    own = state.read() if runtime.is_main else None
    if runtime.processes == 1:
        return own
    parts: dict[str, Weights] = {}
    head: dict[str, Any] = {}
    if own is not None:
        parts = {"weights": own.weights, "best": own.best, "moments": own.moments}
        shapes = {
            part: {n: [str(t.dtype).removeprefix("torch."), list(t.shape)] for n, t in tensors.items()}
            for part, tensors in parts.items()
        }
        head = {"shapes": shapes, "numbers": own.numbers, "progress": asdict(own.progress)}
    head = json.loads(runtime.agree(json.dumps(head)))
    if not head:
        return None
    shared: dict[str, Weights] = {}
    for part, described in head["shapes"].items():
        shared[part] = {}
        for name, (dtype, shape) in described.items():
            empty = torch.empty(shape, dtype=getattr(torch, dtype), device=runtime.device)
            if own is not None:
                empty.copy_(parts[part][name])
            runtime.broadcast(empty)
            shared[part][name] = empty.cpu()
    return Snapshot(shared["weights"], shared["best"], shared["moments"], head["numbers"], Progress(**head["progress"]))
