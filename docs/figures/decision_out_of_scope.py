"""How an out-of-scope cut-off is fitted: top probabilities in and out of scope; from benchmarks/decisions.py."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from drawing import BLUE, HERE, INK, ORANGE, RED, main
from matplotlib.figure import Figure

MEASURED = HERE.parents[1] / "benchmarks" / "results" / "decisions.json"


def draw() -> Any:
    row = next(r for r in json.loads(MEASURED.read_text(encoding="utf-8")) if r["task"] == "chatbot-intent")
    cut = row["threshold"]
    figure = Figure(figsize=(8.0, 4.2), layout="constrained")
    for place, split in enumerate(("validation", "test")):
        scores, outside = np.array(row["scores"][split]).T
        outside = outside > 0
        axes = figure.add_subplot(2, 1, place + 1)
        bins = np.linspace(0, 1, 41)
        for chosen, colour, name in ((~outside, BLUE, "in scope"), (outside, ORANGE, "out of scope")):
            axes.hist(
                scores[chosen], bins, weights=np.full(int(chosen.sum()), 1 / max(int(chosen.sum()), 1)),
                color=colour, alpha=0.6, label=f"{name} ({int(chosen.sum())} rows)",
            )  # fmt: skip
        axes.axvline(cut, color=RED, linewidth=1.6)
        kept, found = row["decided"][split]["in_scope_kept"], row["decided"][split]["out_of_scope_recall"]
        what = "fitted here" if split == "validation" else "only reported"
        axes.set_title(f"{split}: {what}", loc="left", fontsize=10.5, color=INK)
        axes.set_ylabel("share of rows")
        axes.set_xlim(0, 1)
        axes.text(
            0.03, 0.62, f"in scope kept: {100 * kept:.1f} %\nout of scope found: {100 * found:.1f} %",
            transform=axes.transAxes, fontsize=9.5, va="center", color=INK, linespacing=1.4,
        )  # fmt: skip
        axes.legend(loc="upper center", bbox_to_anchor=(0.72, 1.0), fontsize=9, frameon=False)
    axes.set_xlabel(f"highest probability of an in-scope label (red: cut-off {cut:.2f})")
    return figure


if __name__ == "__main__":
    main(draw, __file__)
