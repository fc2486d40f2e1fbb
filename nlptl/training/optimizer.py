"""The optimizer's groups and the learning rate as a function of the step."""

from __future__ import annotations

import math
import re

import torch

from nlptl.config.training import ResolvedTraining
from nlptl.models.encoder import Trainable

_LAYER = re.compile(r"\blayers?\.(\d+)\.")


def build_optimizer(model: Trainable, config: ResolvedTraining) -> torch.optim.Optimizer:
    """AdamW (Loshchilov & Hutter 2019) over the trainable parameters.

    Groups differ in weight decay (none on biases and normalisation weights) and in learning rate: the head has its
    own, and each layer below it learns at `layer_decay` times the rate of the layer above. Each group keeps its peak
    rate under `peak`, and under `unfreezes_at` the share of all steps after which it begins to learn: 0 for the head,
    and with `unfreeze` (gradual unfreezing, Howard & Ruder 2018) the later, the lower the layer lies. Parameters' names
    are under `param_names`; saved states are by name.
    """
    own = {id(p) for p in model.own.values()}
    depth = model.depth
    groups: dict[tuple[float, float, float], list[tuple[str, torch.nn.Parameter]]] = {}
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        if id(parameter) in own:
            rate, unfreezes_at = config.head_learning_rate, 0.0
        else:
            below = depth - _level(name, depth)
            rate = config.learning_rate * config.layer_decay**below
            unfreezes_at = config.unfreeze * (below + 1) / (depth + 1)
        decay = config.weight_decay if parameter.ndim > 1 else 0.0
        groups.setdefault((rate, decay, unfreezes_at), []).append((name, parameter))
    described = [
        {"params": members, "lr": rate, "peak": rate, "weight_decay": decay, "unfreezes_at": unfreezes_at}
        for (rate, decay, unfreezes_at), members in groups.items()
    ]
    return torch.optim.AdamW(described, fused=True)


def _level(name: str, depth: int) -> int:
    """0 for embeddings, 1..depth for the layers, depth for what lies above them."""
    layer = _LAYER.search(name)
    if layer:
        return int(layer.group(1)) + 1
    return 0 if "embedding" in name else depth


def rate_factor(step: int, total: int, schedule: str, warmup: float) -> float:
    """Share of the peak learning rate at an optimizer step (counted from 0).

    Linear rise over the first `warmup * total` steps, then linear or cosine descent towards zero, or constant.
    """
    rising = math.ceil(warmup * total)
    if step < rising:
        return (step + 1) / (rising + 1)
    if schedule == "constant":
        return 1.0
    done = (step - rising) / max(1, total - rising)
    return 1.0 - done if schedule == "linear" else 0.5 * (1.0 + math.cos(math.pi * done))


def set_rate(optimizer: torch.optim.Optimizer, factor: float, done: float = 1.0) -> None:
    """Set every group's rate to its peak times `factor`, or to 0 where it is still frozen (gradual unfreezing).

    A rate of 0 holds a group's weights still, decay included, while its moments are kept up: so what a step does stays
    a function of weights, moments and step alone, and a resumed run repeats it.

    Args:
        factor: share of the peak rate.
        done: share of all steps that lies behind.
    """
    for group in optimizer.param_groups:
        group["lr"] = group["peak"] * factor if done >= group.get("unfreezes_at", 0.0) else 0.0
