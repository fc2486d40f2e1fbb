"""The learning curves of a comparison."""

from __future__ import annotations

import math
from typing import Any

from nlptl.evaluation.wording import titled
from nlptl.reports.facts.comparison import EVERY, ComparisonFacts
from nlptl.reports.figures.style import DASHES, MARKS, SERIES, drawn, short_label

MOST_LINES = 12
CLOSEST = 0.6
"""Of two sizes on the axis, where two labelled rows for one are 1."""


def learning_curves(facts: ComparisonFacts) -> str:
    """The metric on test against labelled rows, one line per method, with its bands."""

    def draw(figure: Any) -> None:
        axes = figure.add_subplot()
        places = _places(facts)
        for number, method in enumerate(facts.methods[:MOST_LINES]):
            found = [(places[size], facts.points[method, size]) for size in places if (method, size) in facts.points]
            x, colour = [place for place, _ in found], SERIES[number % len(SERIES)]
            style = {"color": colour, "marker": MARKS[number % len(MARKS)], "markersize": 4, "linewidth": 1.5}
            dashes = DASHES[number % len(DASHES)]
            axes.plot(x, [point.mean for _, point in found], label=short_label(method), linestyle=dashes, **style)
            low, high = zip(*(point.band or (point.mean, point.mean) for _, point in found), strict=True)
            axes.fill_between(x, low, high, color=colour, alpha=0.12, linewidth=0)
        axes.set_xticks(list(places.values()), [_shown(facts, size) for size in places], fontsize=9)
        axes.set(xlabel="labelled rows", ylabel=f"{titled(facts.metric)} on test")
        axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))

    return drawn(draw, 7.2, 4.2)


def _rows(facts: ComparisonFacts, size: str) -> float:
    return min(point.rows for (_, each), point in facts.points.items() if each == size)


def _places(facts: ComparisonFacts) -> dict[str, float]:
    """Size -> its place on a logarithmic axis, moved on where two names would have no room."""
    places: dict[str, float] = {}
    for size in facts.sizes:
        last = max(places.values(), default=-math.inf)
        places[size] = max(math.log2(max(_rows(facts, size), 1.0)), last + CLOSEST)
    return places


def _shown(facts: ComparisonFacts, size: str) -> str:
    return f"{_rows(facts, size):,.0f}" + (f"\n({EVERY})" if size == EVERY else "")
