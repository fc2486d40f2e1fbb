"""Figures of one run: loss, precision and recall, ROC, reliability."""

from __future__ import annotations

from typing import Any

import numpy as np

from nlptl.reports.facts.curves import Cuts, Reliability
from nlptl.reports.figures.style import ACCENT, DASHES, MARKS, MUTED, SECOND, drawn, short_label

MOST_STEPS = 200
"""Points of the training loss; of more steps neighbours are averaged."""


def precision_recall(cuts: Cuts, label: str, threshold: float | None) -> str:
    """Precision against recall over all thresholds, and where the fitted one lies."""
    flagged = cuts.hits + cuts.alarms > 0

    def draw(figure: Any) -> None:
        axes = _unit_square(figure, f"recall of {short_label(label)}", "precision")
        axes.step(cuts.recall[flagged], cuts.precision[flagged], where="pre", color=ACCENT, linewidth=1.8)
        share = cuts.positives / max(cuts.positives + cuts.negatives, 1)
        axes.axhline(share, color=MUTED, linewidth=1, linestyle=DASHES[2], label="any row at random")
        _mark(axes, cuts, threshold, cuts.recall, cuts.precision)
        axes.legend(loc="lower left")

    return drawn(draw)


def roc(cuts: Cuts, label: str, threshold: float | None) -> str:
    """Recall against the share of other rows that are flagged, over all thresholds."""

    def draw(figure: Any) -> None:
        axes = _unit_square(figure, f"share of others flagged as {short_label(label)}", "recall")
        axes.plot(cuts.false_positive_rate, cuts.recall, color=ACCENT, linewidth=1.8)
        axes.plot([0, 1], [0, 1], color=MUTED, linewidth=1, linestyle=DASHES[2], label="any row at random")
        _mark(axes, cuts, threshold, cuts.false_positive_rate, cuts.recall)
        axes.legend(loc="lower right")

    return drawn(draw)


def reliability(found: dict[str, Reliability]) -> str:
    """Share of right answers against their probability, with 95 % intervals.

    Args:
        found: name, such as `calibrated` -> its bins.
    """

    def draw(figure: Any) -> None:
        axes = figure.add_subplot()
        axes.plot([0, 1], [0, 1], color=MUTED, linewidth=1, linestyle=DASHES[2], label="said = right")
        for place, (name, bins) in enumerate(found.items()):
            colour = (ACCENT, SECOND)[place % 2]
            known = [(s, r, i) for s, r, i in zip(bins.said, bins.right, bins.intervals, strict=True) if i is not None]
            below = [max(right - interval.low, 0.0) for _, right, interval in known]
            above = [max(interval.high - right, 0.0) for _, right, interval in known]
            axes.errorbar(
                [said for said, _, _ in known],
                [right for _, right, _ in known],
                yerr=[below, above],
                color=colour,
                marker=MARKS[place],
                markersize=4,
                linestyle=DASHES[place],
                linewidth=1.4,
                elinewidth=0.8,
                capsize=2,
                label=name,
            )
        everything = [value for bins in found.values() for value in (*bins.said, *bins.right)]
        low = min([0.95, *(value - 0.1 for value in everything)])
        axes.set(xlabel="probability of the answer", ylabel="share that is right")
        axes.set(xlim=(max(low, 0.0), 1.02), ylim=(max(low - 0.05, 0.0), 1.02))
        axes.legend(loc="upper left")

    return drawn(draw)


def loss(losses: list[float], epochs: list[dict[str, Any]]) -> str:
    """Training loss over steps, averaged over neighbours, and validation loss after each epoch.

    Args:
        losses: of every step.
        epochs: what validation said after each, from `epoch` 0 on, which is before training.
    """

    def draw(figure: Any) -> None:
        axes = figure.add_subplot()
        parts = [part for part in np.array_split(np.asarray(losses), MOST_STEPS) if len(part)]
        ends = np.cumsum([len(part) for part in parts])
        means = [float(part.mean()) for part in parts]
        axes.plot(ends, means, color=ACCENT, linewidth=1.4, label="training")
        each = len(losses) / max(max((epoch["epoch"] for epoch in epochs), default=1), 1)
        known = [(epoch["epoch"] * each, epoch["loss"]) for epoch in epochs if epoch.get("loss") is not None]
        if known:
            places, values = zip(*known, strict=True)
            style = {"color": SECOND, "marker": MARKS[1], "markersize": 4, "linestyle": DASHES[1]}
            axes.plot(places, values, label="validation", **style)
        axes.set(xlabel="step", ylabel="loss", ylim=(0, None))
        axes.legend()

    return drawn(draw)


def _unit_square(figure: Any, x: str, y: str) -> Any:
    axes = figure.add_subplot()
    axes.set(xlabel=x, ylabel=y, xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
    return axes


def _mark(axes: Any, cuts: Cuts, threshold: float | None, x: np.ndarray, y: np.ndarray) -> None:
    """The point of the fitted threshold."""
    if threshold is None or threshold > 1:
        return
    place = int(np.abs(cuts.thresholds - threshold).argmin())
    style = {"color": SECOND, "marker": "o", "markersize": 7, "linestyle": "none", "zorder": 5}
    axes.plot([x[place]], [y[place]], label=f"threshold {threshold:.3f}", **style)
