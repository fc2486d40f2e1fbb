"""Gradual unfreezing and layer-wise rates: each layer's learning rate over a training, as nlptl's optimizer sets it."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

from drawing import BLUE, GREY, HERE, INK, main
from matplotlib.figure import Figure

sys.path.insert(0, str(HERE.parents[1]))
STEPS, LAYERS = 200, 6
GIVEN = {"unfreeze": 0.5, "layer_decay": 0.8}


def rates() -> dict[str, list[float]]:
    """Part of the model -> its rate at each step, for mode full with the settings above."""
    from torch import nn

    from nlptl.config.training import ResolvedTraining
    from nlptl.models.modes import Full
    from nlptl.training.optimizer import build_optimizer, rate_factor, set_rate

    defaults = {key.partition(".")[2]: value for key, value in Full.defaults.items() if key.startswith("training.")}
    config = ResolvedTraining(**{**defaults, **GIVEN})
    names = ["embeddings.weight", *(f"layer.{i}.weight" for i in range(LAYERS)), "head.weight"]
    weights = {name: nn.Parameter(nn.Linear(2, 2).weight.detach()) for name in names}
    model: Any = SimpleNamespace(own={"head": weights["head.weight"]}, depth=LAYERS, named_parameters=weights.items)
    optimizer = build_optimizer(model, config)
    found: dict[str, list[float]] = {name: [] for name in names}
    for step in range(STEPS):
        set_rate(optimizer, rate_factor(step, STEPS, config.schedule, config.warmup), step / STEPS)
        for group in optimizer.param_groups:
            for name in group["param_names"]:
                found[name].append(group["lr"])
    return found


def draw() -> Any:
    figure = Figure(figsize=(8.0, 3.9), layout="constrained")
    axes = figure.add_subplot()
    x = [step / STEPS for step in range(STEPS)]
    found = rates()
    del found["head.weight"]
    for place, (name, values) in enumerate(reversed(found.items())):
        shade = 1.0 - 0.12 * place
        axes.plot(x, [value * 1e4 for value in values], color=BLUE, alpha=shade, linewidth=1.8)
        begins = next(i for i, value in enumerate(values) if value)
        label = "embeddings" if "embeddings" in name else f"layer {int(name.split('.')[1]) + 1}"
        axes.annotate(
            label,
            (x[begins], values[begins] * 1e4),
            xytext=(3, 4),
            textcoords="offset points",
            fontsize=8.5,
            color=INK,
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.6},
            zorder=5,
        )
    axes.set(xlim=(0, 1), ylim=(0, 1.05), xlabel="share of the training that lies behind")
    axes.set_ylabel("learning rate, in 0.0001")
    axes.text(
        0.99,
        0.97,
        "training.unfreeze=0.5, training.layer_decay=0.8\nthe head (not shown) learns from the first step",
        transform=axes.transAxes,
        ha="right",
        va="top",
        fontsize=9,
        color=GREY,
    )
    return figure


if __name__ == "__main__":
    main(draw, __file__)
