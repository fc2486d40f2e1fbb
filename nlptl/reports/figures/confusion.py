"""The confusion matrix as a heat map."""

from __future__ import annotations

from typing import Any

import numpy as np

from nlptl.reports.facts.confusions import most_confused
from nlptl.reports.figures.style import ACCENT, INK, MUTED, PAPER, SECOND, drawn, short_label

MOST_LABELS = 40
"""Of a heat map; of more labels those with the most mistakes are drawn."""
WITH_NUMBERS = 12
FAINTEST = 0.08


def confusion(matrix: np.ndarray, labels: list[str]) -> str:
    """Each row's shares: of the rows of a label, how many were answered as which.

    Args:
        matrix: (C, C) counts; rows: gold, columns: predicted.
        labels: C names.
    """
    ids = most_confused(matrix, MOST_LABELS)
    shown, names = matrix[np.ix_(ids, ids)], [short_label(labels[i]) for i in ids]
    shares = shown / np.maximum(matrix.sum(1)[ids], 1)[:, None]

    def draw(figure: Any) -> None:
        axes = figure.add_subplot()
        axes.grid(False)
        for (row, column), share in np.ndenumerate(shares):
            if share > 0:
                _cell(axes, row, column, float(share))
            if len(ids) <= WITH_NUMBERS:
                strong = share > 0.5
                colour = PAPER if strong else INK if shown[row, column] else MUTED
                axes.text(column, row, f"{shown[row, column]:,}", ha="center", va="center", color=colour, fontsize=9)
        axes.set(xlim=(-0.5, len(ids) - 0.5), ylim=(len(ids) - 0.5, -0.5), aspect="equal")
        axes.set_xticks(range(len(ids)), names, rotation=90 if len(ids) > 4 else 0, fontsize=_size(len(ids)))
        axes.set_yticks(range(len(ids)), names, fontsize=_size(len(ids)))
        axes.set(xlabel="answered", ylabel="gold label")
        axes.tick_params(length=0)

    side = float(np.clip(2.2 + 0.34 * len(ids), 3.2, 8.5))
    return drawn(draw, side + 0.8, side)


def _size(labels: int) -> float:
    return 10 if labels <= 12 else 8 if labels <= 25 else 6.5


def _cell(axes: Any, row: int, column: int, share: float) -> None:
    from matplotlib.patches import Rectangle

    colour = ACCENT if row == column else SECOND
    strength = FAINTEST + (1 - FAINTEST) * share
    corner = (column - 0.48, row - 0.48)
    axes.add_patch(Rectangle(corner, 0.96, 0.96, facecolor=colour, alpha=strength, linewidth=0))
