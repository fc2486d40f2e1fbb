"""How a threshold is fitted: scores of the validation rows, F1 at each threshold; from benchmarks/decisions.py."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from drawing import BLUE, GREY, HERE, INK, RED, main
from matplotlib.figure import Figure

MEASURED = HERE.parents[1] / "benchmarks" / "results" / "decisions.json"


def draw() -> Any:
    row = next(r for r in json.loads(MEASURED.read_text(encoding="utf-8")) if r["task"] == "fraud-text")
    scores, is_fraud = np.array(row["scores"]["validation"]).T
    is_fraud = is_fraud > 0
    cut = row["threshold"]
    figure = Figure(figsize=(8.0, 4.6), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(1.0, 1.1))
    rng = np.random.default_rng(0)
    for y, chosen, colour in ((1, is_fraud, RED), (0, ~is_fraud, BLUE)):
        jitter = rng.uniform(-0.28, 0.28, int(chosen.sum()))
        above.plot(scores[chosen], y + jitter, "o", color=colour, markersize=3.6, alpha=0.45, markeredgewidth=0)
    above.set(ylim=(-0.5, 1.5), ylabel="validation rows")
    above.set_yticks([0, 1], [f"legitimate ({(~is_fraud).sum()})", f"fraud ({is_fraud.sum()})"])
    grid = np.unique(np.concatenate([np.linspace(0.001, 0.999, 400), scores]))
    below.plot(grid, [f1(scores >= t, is_fraud) for t in grid], color=INK, linewidth=1.6)
    below.set(xlabel="probability of fraud", ylabel="F1 of fraud", xlim=(0, 1), ylim=(0.4, 1.02))
    for axes in (above, below):
        axes.axvline(cut, color=RED, linewidth=1.6)
        axes.axvline(0.5, color=GREY, linewidth=1.2, linestyle="--")
    side = "right" if cut > 0.5 else "left"
    below.text(
        cut + (0.012 if side == "right" else -0.012), 0.46, f"fitted: {cut:.2f}\nF1 {f1(scores >= cut, is_fraud):.3f}",
        color=RED, ha="left" if side == "right" else "right", fontsize=9.5,
    )  # fmt: skip
    below.text(
        0.488 if side == "right" else 0.512, 0.46, f"0.50\nF1 {f1(scores >= 0.5, is_fraud):.3f}",
        color=GREY, ha="right" if side == "right" else "left", fontsize=9.5,
    )  # fmt: skip
    return figure


def f1(said: np.ndarray, wanted: np.ndarray) -> float:
    """F1 of the rows that are called fraud."""
    return float(2 * (said & wanted).sum() / max(said.sum() + wanted.sum(), 1))


if __name__ == "__main__":
    main(draw, __file__)
