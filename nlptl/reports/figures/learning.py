"""The learning curves of a comparison."""

from __future__ import annotations

import math
from typing import Any

from nlptl.evaluation.wording import titled
from nlptl.reports.facts.comparison import ComparisonFacts
from nlptl.reports.figures.style import DASHES, MARKS, SERIES, drawn, short_label

MOST_LINES = 12
CLOSEST = 0.6
"""Of two sizes on the axis."""


def learning_curves(facts: ComparisonFacts) -> str:
    """The metric on test against training rows, one line per method; bands are 95 % intervals over seeds."""

    def draw(figure: Any) -> None:
        axes = figure.add_subplot()
        places = _places(facts)
        for number, method in enumerate(facts.methods[:MOST_LINES]):
            cells = [facts.cells[method, size] for size in facts.sizes if (method, size) in facts.cells]
            x, colour = [places[cell.size] for cell in cells], SERIES[number % len(SERIES)]
            style = {"color": colour, "marker": MARKS[number % len(MARKS)], "markersize": 4, "linewidth": 1.5}
            dashes = DASHES[number % len(DASHES)]
            axes.plot(x, [cell.mean for cell in cells], label=short_label(method), linestyle=dashes, **style)
            bounds = [cell.interval or (cell.mean, cell.mean) for cell in cells]
            low, high = zip(*bounds, strict=True)
            axes.fill_between(x, low, high, color=colour, alpha=0.12, linewidth=0)
        axes.set_xticks(list(places.values()), list(places), fontsize=9)
        axes.set(xlabel="size (training rows, or rows per label)", ylabel=f"{titled(facts.metric)} on test")
        axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))

    return drawn(draw, 7.2, 4.2)


def _places(facts: ComparisonFacts) -> dict[str, float]:
    """Size -> its place on a logarithmic axis, where their names have room; unknown rows follow, a step apart."""
    places: dict[str, float] = {}
    for size in facts.sizes:
        rows = min(cell.rows for (_, each), cell in facts.cells.items() if each == size)
        last = max(places.values(), default=-math.inf)
        known = math.isfinite(rows)
        places[size] = max(math.log2(max(rows, 1.0)) if known else max(last, 0.0), last + (CLOSEST if known else 1.0))
    return places
