"""Plots; they need matplotlib, which the extra `plots` installs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nlptl.errors import MissingExtraError
from nlptl.explore.layers import LayerReport


def plot_layers(report: LayerReport, path: Path | None = None) -> Any:
    """Plot the metric of a linear probe over the layers of an encoder, one line per pooling.

    For a run there are also the lines after fine-tuning, and the similarity (CKA) of each layer before and after.

    Args:
        report: the result of `nlptl.probe`.
        path: a file that the plot is also written to; its suffix says the format (png, svg, pdf).

    Returns:
        The matplotlib Figure.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtraError("Plots need matplotlib: pip install 'nlptl[plots]'") from error
    figure = Figure(figsize=(6.4, 4.0), layout="constrained")  # without pyplot: no window, no global state
    axes = figure.add_subplot()
    for place, pooling in enumerate(dict.fromkeys(row["pooling"] for row in report.rows)):
        rows = [row for row in report.rows if row["pooling"] == pooling]
        layers, colour = [row["layer"] for row in rows], f"C{place}"
        axes.plot(layers, [row["validation"] for row in rows], "o--", color=colour, label=f"{pooling}, checkpoint")
        if report.run:
            axes.plot(layers, [row["validation_after"] for row in rows], "o-", color=colour, label=f"{pooling}, run")
            axes.plot(layers, [row["cka"] for row in rows], ":", color=colour, label=f"{pooling}, CKA with before")
    axes.set_xlabel("layer (0: embeddings)")
    axes.set_ylabel(f"{report.metric} of a linear probe on validation")
    axes.set_xticks(layers)
    axes.legend(fontsize="small")
    if path is not None:
        figure.savefig(path)
    return figure
