"""What the figures share: colours, boxes, arrows, and how a figure is written. Each `NAME.py` here draws `NAME.svg`."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

HERE = Path(__file__).resolve().parent
INK, GREY, PALE = "#1f2933", "#7b8794", "#eef1f4"
BLUE, ORANGE, GREEN, RED = "#2563a8", "#c2570c", "#2f7d4f", "#b3261e"
LIGHT_BLUE, LIGHT_ORANGE, LIGHT_GREEN, LIGHT_RED = "#dbe8f6", "#fbe3cf", "#d9efe1", "#f8dcd9"
SETTINGS = {
    # Letters as paths: they look the same wherever no such font is installed. Without date and random ids, the same
    # drawing gives the same file.
    "svg.fonttype": "path",
    "svg.hashsalt": "nlptl",
    "font.family": "DejaVu Sans",
    "font.size": 10,
    "text.color": INK,
    "axes.edgecolor": GREY,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": INK,
    "ytick.color": INK,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
}


def main(draw: Callable[[], Figure], script: str) -> None:
    """The command line of a figure's script: write it as SVG, beside the script or into --output.

    Args:
        draw: makes the figure.
        script: its `__file__`.
    """
    parser = argparse.ArgumentParser(description="Draw a figure of the documentation.")
    parser.add_argument("--output", type=Path, default=HERE, metavar="DIR", help="default: beside the script")
    parser.add_argument("--png", action="store_true", help="as PNG, to look at")
    arguments = parser.parse_args()
    with mpl.rc_context(SETTINGS):
        figure = draw()
        name = Path(script).stem.replace("_", "-")
        if arguments.png:
            figure.savefig(arguments.output / f"{name}.png", dpi=110)
        else:
            figure.savefig(arguments.output / f"{name}.svg", metadata={"Date": None})


def canvas(width: float, height: float) -> tuple[Figure, Any]:
    """A figure of so many inches, and axes without frame in which one unit is one inch."""
    figure = Figure(figsize=(width, height))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, width), ylim=(0, height))
    axes.set_axis_off()
    return figure, axes


def box(
    axes: Any,
    centre: tuple[float, float],
    size: tuple[float, float],
    text: str = "",
    fill: str = PALE,
    edge: str = GREY,
    **style: Any,
) -> None:
    """A rounded box with text in its middle.

    Args:
        axes: to draw on.
        centre: x and y.
        size: width and height.
        text: one or several lines.
        fill: colour inside.
        edge: colour of its border.
        style: of the text; `dashed` for the border.
    """
    (x, y), (width, height) = centre, size
    line = "--" if style.pop("dashed", False) else "-"
    axes.add_patch(
        FancyBboxPatch(
            (x - width / 2, y - height / 2),
            width,
            height,
            boxstyle="round,pad=0,rounding_size=0.06",
            facecolor=fill,
            edgecolor=edge,
            linestyle=line,
            linewidth=1.1,
        )
    )
    axes.text(x, y, text, **{"ha": "center", "va": "center", "fontsize": 9, "linespacing": 1.3, **style})


def arrow(axes: Any, start: tuple[float, float], end: tuple[float, float], **style: Any) -> None:
    """An arrow from one point to another; `style` is the patch's, such as color or linestyle."""
    axes.add_patch(
        FancyArrowPatch(
            start,
            end,
            arrowstyle=style.pop("arrowstyle", "-|>"),
            mutation_scale=10,
            shrinkA=0,
            shrinkB=0,
            **{"color": INK, "linewidth": 1.1, **style},
        )
    )
