"""Figures of a comparison: learning curves with bands, and what time buys; they need matplotlib."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nlptl.comparison.result import Comparison
from nlptl.errors import MissingExtraError

log = logging.getLogger("nlptl")
FORMATS = ("svg", "png")
LINES = {"classical": "--", "scratch": ":", "transfer": "-"}
MARKERS = "osD^vPX*<>"
# Distinct for readers with colour-blindness (Okabe & Ito 2008); a method beyond these begins anew with another marker.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")


def write_figures(comparison: Comparison) -> list[Path]:
    """Draw the figures into the folder of the comparison, each as SVG and PNG; none where matplotlib is missing."""
    drawn = []
    try:
        for name, plot in (("curves", plot_curves), ("time", plot_time)):
            figure = plot(comparison)
            for form in FORMATS:
                drawn.append(comparison.folder / f"{name}.{form}")
                figure.savefig(drawn[-1], dpi=150)
    except MissingExtraError as error:
        log.warning(f"No figures were drawn. {error}")
    return drawn


def plot_curves(comparison: Comparison) -> Any:
    """Learning curves: the metric on test over labelled rows, with the 95 % band over seeds and test rows.

    Returns:
        The matplotlib Figure.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    figure, axes = _figure()
    for name, style in _styles(comparison).items():
        points = [each for each in comparison.facts["curves"] if each["method"] == name]
        rows = [each["rows"] for each in points]
        axes.plot(rows, [100 * each["mean"] for each in points], label=name, **style)
        low, high = ([100 * each[end] for each in points] for end in ("low", "high"))
        axes.fill_between(rows, low, high, color=style["color"], alpha=0.12, linewidth=0)
    axes.set_xscale("log")
    axes.set_xticks([size["rows"] for size in comparison.facts["sizes"]])
    axes.set_xticklabels([f"{size['rows']:,.0f}" for size in comparison.facts["sizes"]])
    axes.minorticks_off()
    axes.set_xlabel("labelled rows (train and validation)")
    axes.set_ylabel(f"{comparison.metric} on test, percent")
    axes.set_title(
        f"{comparison.facts['task']}: mean and 95 % band, {len(comparison.facts['seeds'])} seeds", fontsize=10
    )
    axes.grid(alpha=0.3)
    _name_lines(axes)
    return figure


def plot_time(comparison: Comparison) -> Any:
    """The metric on test over seconds of learning, a line per method from its smallest size to its largest.

    Returns, Raises: as `plot_curves`.
    """
    figure, axes = _figure()
    from matplotlib.ticker import FuncFormatter, LogLocator

    for name, style in _styles(comparison).items():
        costs = [cost for cost in comparison.facts["costs"] if cost["method"] == name]
        found = [(cost, comparison.point(name, cost["size"])) for cost in costs]
        shown = [(cost["learning_seconds"], 100 * point["mean"], cost["size"]) for cost, point in found if point]
        if not shown:
            continue
        axes.plot([each[0] for each in shown], [each[1] for each in shown], label=name, **style)
        for seconds, value, size in (shown[0], shown[-1])[: len(shown)]:
            axes.annotate(size, (seconds, value), textcoords="offset points", xytext=(4, 5), fontsize=7)
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda seconds, _: f"{seconds:g}"))
    axes.minorticks_off()
    axes.set_xlabel("seconds of learning on this machine")
    axes.set_ylabel(f"{comparison.metric} on test, percent")
    axes.set_title(f"{comparison.facts['task']}: smallest and largest size (rows per label) are named", fontsize=10)
    axes.grid(alpha=0.3)
    _name_lines(axes)
    return figure


def _name_lines(axes: Any) -> None:
    if axes.get_legend_handles_labels()[0]:  # where every cell failed there is none
        axes.legend(fontsize="small", loc="lower right")


def _figure() -> tuple[Any, Any]:
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtraError("Plots need matplotlib: pip install 'nlptl[plots]'") from error
    figure = Figure(figsize=(6.4, 4.2), layout="constrained")  # without pyplot: no window, no global state
    return figure, figure.add_subplot()


def _styles(comparison: Comparison) -> dict[str, Mapping[str, Any]]:
    """Colour, marker and line of each method; classical ones are dashed, from scratch is dotted."""
    return {
        method["name"]: {
            "color": COLOURS[place % len(COLOURS)],
            "marker": MARKERS[place % len(MARKERS)],
            "markersize": 4,
            "linestyle": LINES[method["kind"]],
        }
        for place, method in enumerate(comparison.facts["methods"])
    }
