"""Processes that each hold the whole model: the same start, the same resumed state."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

import torch

from nlptl.models.encoder import EncoderModel
from nlptl.training.resume.states import Progress, Snapshot, StateFolder, Weights
from nlptl.training.runtime import Runtime


def share_model(runtime: Runtime, model: EncoderModel) -> None:
    """Give every process the main one's parameters and buffers."""
    if runtime.processes > 1:
        for tensor in (*model.parameters(), *model.buffers()):
            runtime.broadcast(tensor.data)


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
