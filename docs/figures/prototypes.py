"""The contrastive strategy, as a sketch: texts by their direction, before and after they are drawn to prototypes."""

from __future__ import annotations

from typing import Any

import numpy as np
from drawing import BLUE, GREEN, GREY, INK, ORANGE, canvas, main

LABELS = (("lost card", 8, BLUE), ("balance", 82, ORANGE), ("transfer", 150, GREEN))
SPREAD = np.array([-34.0, -21.0, -9.0, 2.0, 11.0, 22.0, 29.0])
"""Degrees between a text and its label's mean direction, before tuning."""
PANELS = (
    (2.1, "before", 1.0, "arrows: prototypes,\nthe mean directions of the labels' texts"),
    (6.2, "after", 0.22, "texts lie close to their own prototype;\nthe prototypes are the head"),
)
RADIUS = 1.25


def draw() -> Any:
    figure, axes = canvas(8.2, 3.15)
    for x, title, width, note in PANELS:
        centre = np.array([x, 1.12])
        arc = np.radians(np.linspace(-32, 186, 200))
        axes.plot(*(centre[:, None] + RADIUS * np.array([np.cos(arc), np.sin(arc)])), color="#d5dbe1", linewidth=1)
        for label, angle, colour in LABELS:
            where = np.radians(angle + SPREAD * width)
            axes.plot(
                *(centre[:, None] + RADIUS * np.array([np.cos(where), np.sin(where)])),
                "o",
                color=colour,
                markersize=6.5,
                markeredgecolor="white",
                markeredgewidth=0.6,
            )
            towards = np.array([np.cos(np.radians(angle)), np.sin(np.radians(angle))])
            axes.annotate(
                "",
                centre + 1.08 * towards,
                centre,
                arrowprops={"arrowstyle": "-|>", "color": colour, "linewidth": 1.8},
            )
            place = centre + np.array([1.42, 1.4]) * towards
            side = "left" if towards[0] > 0.3 else "right" if towards[0] < -0.3 else "center"
            axes.text(*place, label, ha=side, va="center", fontsize=9.5, color=colour)
        axes.text(x, 3.0, title, ha="center", va="center", fontsize=11, fontweight="bold", color=INK)
        axes.text(x, 0.22, note, ha="center", va="center", fontsize=8.8, color=GREY, linespacing=1.3)
    axes.annotate("", (4.42, 2.3), (3.72, 2.3), arrowprops={"arrowstyle": "-|>", "color": INK, "linewidth": 1.6})
    axes.text(4.07, 2.38, "tuning", ha="center", va="bottom", fontsize=9.5, color=INK)
    return figure


if __name__ == "__main__":
    main(draw, __file__)
