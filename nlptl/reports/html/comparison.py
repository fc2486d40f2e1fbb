"""The page of a comparison: what it comes to, learning curves, numbers and costs."""

from __future__ import annotations

import shlex

from nlptl.evaluation.wording import titled
from nlptl.reports.facts.comparison import EVERY, VERDICTS, ComparisonFacts, Point, is_number
from nlptl.reports.figures.kept import Drawings
from nlptl.reports.figures.learning import MOST_LINES, learning_curves
from nlptl.reports.html.markup import Content, Html, element, facts_list, joined, listed, named, table
from nlptl.reports.html.measures import ranged
from nlptl.reports.html.page import Section, figure, note
from nlptl.reports.html.summary import tile

MOST_SENTENCES, MOST_METHODS, MOST_SIZES = 100, 40, 20
PAIRS = "pairs"
_COSTS = {
    "learning_seconds": ("Seconds of learning, mean over seeds", 1.0, ",.1f"),
    "seconds_per_thousand": ("Seconds for a thousand predictions", 1.0, ",.2f"),
    "bytes_with_checkpoint": ("Megabytes on disk, with the checkpoint", 1e-6, ",.1f"),
    "price_per_thousand": ("Price of a thousand predictions", 1.0, ",.6f"),
}
"""What `costs` may hold: its title, a factor, and how it is written."""


def header(facts: ComparisonFacts) -> Html:
    """What is compared, and the highest mean at the largest size."""
    size = facts.sizes[-1]
    there = {method: facts.points[method, size] for method in facts.methods if (method, size) in facts.points}
    highest = max(there, key=lambda method: there[method].mean)
    trained = sum(point.seeds or 0 for point in facts.points.values())
    tiles = [
        tile(f"Highest {titled(facts.metric)}, {_size(size)}", f"{there[highest].mean:.3f}", named(highest)),
        tile("Methods", len(facts.methods), f"at {len(facts.sizes)} sizes"),
        tile("Trainings", f"{trained:,}", "the same rows at each size and seed"),
    ]
    said = f"{titled(facts.metric)} on test rows, by method and by how much was learned from."
    return element(
        "header",
        element("p", "Comparison of methods", class_="kicker"),
        element("h1", named(facts.task)),
        element("p", said, class_="lead"),
        element("dl", *tiles, class_="tiles"),
        class_="top",
    )


def sections(facts: ComparisonFacts, drawings: Drawings) -> list[Section]:
    """Everything below the header."""
    drawn = drawings.inline("learning-curves", learning_curves(facts), "Learning curves; the table has the numbers.")
    caption = "Mean over seeds; bands hold it for other seeds and test rows, 95 %. The axis is logarithmic."
    if len(facts.methods) > MOST_LINES:
        caption += f" The first {MOST_LINES} of {len(facts.methods)} methods are drawn."
    return [
        Section("summary", "In short", _short(facts)),
        Section("curves", "Learning curves", element("div", figure(Html(drawn), caption), class_="wide")),
        Section("numbers", "Numbers", _numbers(facts)),
        Section("verdicts", "Every pair", _pairs(facts)),
        Section("cost", "Time and size", _costs(facts)),
        Section("repeat", "How to repeat it", _repeat(facts)),
    ]


def _size(size: str) -> str:
    return "all rows" if size == EVERY else f"size {size}"


def _short(facts: ComparisonFacts) -> Html:
    said = [sentence for name in VERDICTS if name != PAIRS for sentence in facts.sentences[name]]
    failed = f"{facts.failed} trainings failed and are missing below." if facts.failed else ""
    none = element("p", "No crossover, no negative transfer, and no number of labels was asked for; see every pair.")
    return joined(
        note(failed) if failed else "", listed([one[:800] for one in said[:MOST_SENTENCES]]) if said else none
    )


def _pairs(facts: ComparisonFacts) -> Html:
    found = facts.sentences[PAIRS]
    if not found:
        return element("p", "The comparison holds no paired tests; read the numbers with their bands.")
    more = f" The first {MOST_SENTENCES} of {len(found)}." if len(found) > MOST_SENTENCES else ""
    said = f"Paired tests on the same rows and seeds, corrected for all of them (Holm).{more}"
    return joined(element("p", said, class_="quiet"), listed([one[:800] for one in found[:MOST_SENTENCES]]))


def _numbers(facts: ComparisonFacts) -> Html:
    sizes = facts.sizes[-MOST_SIZES:]
    lines: list[list[Content]] = [
        [named(method), *(_cell(facts.points.get((method, size))) for size in sizes)]
        for method in facts.methods[:MOST_METHODS]
    ]
    caption = f"{titled(facts.metric)} on test: mean over seeds, with its 95 % band"
    return table(caption, ["method", *map(_size, sizes)], lines)


def _cell(point: Point | None) -> Content:
    if point is None:
        return "-"
    few = " (1 seed)" if point.seeds == 1 else ""
    return joined(ranged(point.mean, point.band), few)


def _costs(facts: ComparisonFacts) -> Html:
    sizes, shown = facts.sizes[-MOST_SIZES:], []
    for name, (title, factor, form) in _COSTS.items():
        lines: list[list[Content]] = []
        for method in facts.methods[:MOST_METHODS]:
            values = [facts.costs.get((method, size), {}).get(name) for size in sizes]
            if any(map(is_number, values)):
                cells = [
                    f"{float(value) * factor:{form}}" if value is not None and is_number(value) else "-"
                    for value in values
                ]
                lines.append([named(method), *cells])
        if lines:
            shown.append(table(title, ["method", *map(_size, sizes)], lines))
    return joined(*shown) if shown else element("p", "The comparison holds no costs.")


def _repeat(facts: ComparisonFacts) -> Html:
    sizes = shlex.quote(",".join(facts.sizes))
    command = (
        f"nlptl compare {shlex.quote(facts.task)} --methods {shlex.quote(','.join(facts.methods))} --sizes {sizes}"
    )
    return joined(
        element("pre", element("code", command[:2000]), tabindex=0, aria_label="Command"),
        facts_list([("File", str(facts.path)[-200:])]),
    )
