"""Processes that each hold the whole model: the same start, gradients exchanged, the same resumed state."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

import numpy as np
import torch
from torch import nn

from nlptl.models.encoder import Trainable
from nlptl.training.examples.labelled import RowLosses
from nlptl.training.resume.states import Progress, Snapshot, StateFolder, Weights
from nlptl.training.runtime import Runtime


def share_model(runtime: Runtime, model: Trainable) -> None:
    """Give every process the main one's parameters and buffers."""
    if runtime.processes > 1:
        for tensor in (*model.parameters(), *model.buffers()):
            runtime.broadcast(tensor.data)


def replicate(runtime: Runtime, losses: RowLosses, complete: bool, row: np.ndarray) -> nn.Module:
    """The module as Accelerate prepares it: with several processes, under PyTorch's DistributedDataParallel.

    That averages gradients over the processes inside the backward pass, while the pass goes on.

    Args:
        runtime: every process has to call this.
        losses: the forward pass of training.
        complete: whether every trainable parameter gets a gradient in each backward pass; else each pass looks for
            those that do.
        row: number (1,) of any row, the same each time that this training is begun or taken up.
    """
    accelerator = runtime.accelerator
    accelerator.ddp_handler.find_unused_parameters = not complete
    model: nn.Module = accelerator.prepare_model(losses)
    if runtime.processes > 1:
        # After its first backward pass, DistributedDataParallel exchanges gradients in the order in which they came,
        # and so adds up three or more of them in another order. If that pass were a step, a resumed training would
        # round its first step otherwise than one that was never stopped.
        with accelerator.autocast():
            accelerator.backward(model(row).sum())
        model.zero_grad()
    return model


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
