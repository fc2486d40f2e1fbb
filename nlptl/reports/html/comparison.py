"""The page of a comparison: what it comes to, learning curves, numbers and times."""

from __future__ import annotations

from nlptl.evaluation.intervals import Interval
from nlptl.evaluation.wording import titled
from nlptl.reports.facts.comparison import FEWEST_SEEDS, Cell, ComparisonFacts
from nlptl.reports.figures.kept import Drawings
from nlptl.reports.figures.learning import MOST_LINES, learning_curves
from nlptl.reports.html.markup import Content, Html, element, facts_list, joined, listed, named, table
from nlptl.reports.html.measures import ranged
from nlptl.reports.html.page import Section, figure
from nlptl.reports.html.summary import tile

MOST_SENTENCES, MOST_METHODS, MOST_SIZES = 60, 40, 20


def header(facts: ComparisonFacts) -> Html:
    """What is compared, and the best of it at the largest size."""
    size = facts.sizes[-1]
    there = [facts.cells[method, size] for method in facts.methods if (method, size) in facts.cells]
    highest = max(there, key=lambda cell: cell.mean)
    tiles = [
        tile(f"Highest {titled(facts.metric)}, size {size}", f"{highest.mean:.3f}", named(highest.method)),
        tile("Methods", len(facts.methods), f"at {len(facts.sizes)} sizes"),
        tile(
            "Trainings",
            sum(len(cell.values) for cell in facts.cells.values()),
            "on the same rows at each size and seed",
        ),
    ]
    return element(
        "header",
        element("p", "Comparison of methods", class_="kicker"),
        element("h1", named(facts.task)),
        element(
            "p", f"{titled(facts.metric)} on test rows, by method and by how much was learned from.", class_="lead"
        ),
        element("dl", *tiles, class_="tiles"),
        class_="top",
    )


def sections(facts: ComparisonFacts, drawings: Drawings) -> list[Section]:
    """Everything below the header."""
    said = [sentence[:600] for sentence in facts.sentences[:MOST_SENTENCES]]
    short = (
        listed(said)
        if said
        else element("p", "The comparison holds no verdicts; read the numbers with their intervals.")
    )
    drawn = drawings.inline(
        "learning-curves", learning_curves(facts), "Learning curves; the table below has the numbers."
    )
    caption = (
        f"Learning curves; bands: 95 % intervals over {FEWEST_SEEDS} or more seeds; the axis of sizes is logarithmic."
    )
    if len(facts.methods) > MOST_LINES:
        caption += f" The first {MOST_LINES} of {len(facts.methods)} methods are drawn."
    return [
        Section("summary", "In short", short),
        Section("curves", "Learning curves", element("div", figure(Html(drawn), caption), class_="wide")),
        Section("numbers", "Numbers", _numbers(facts)),
        Section("cost", "Time", _times(facts)),
        Section("repeat", "How to repeat it", _repeat(facts)),
    ]


def _numbers(facts: ComparisonFacts) -> Html:
    sizes = facts.sizes[-MOST_SIZES:]
    lines: list[list[Content]] = [
        [named(method), *(_cell(facts.cells.get((method, size))) for size in sizes)]
        for method in facts.methods[:MOST_METHODS]
    ]
    caption = f"{titled(facts.metric)} on test: mean over seeds, with 95 % intervals over seeds"
    return joined(
        table(caption, ["method", *(f"size {size}" for size in sizes)], lines),
        element(
            "p",
            "Two intervals that overlap may still differ in paired tests, and the other way round: the verdicts say.",
            class_="quiet",
        ),
    )


def _cell(cell: Cell | None) -> Content:
    if cell is None:
        return "-"
    interval: Interval | None = cell.interval
    few = "" if len(cell.values) >= FEWEST_SEEDS else f" ({len(cell.values)} seed{'s' * (len(cell.values) != 1)})"
    return joined(ranged(cell.mean, interval), few)


def _times(facts: ComparisonFacts) -> Html:
    sizes = facts.sizes[-MOST_SIZES:]
    lines: list[list[Content]] = []
    for method in facts.methods[:MOST_METHODS]:
        cells = [facts.cells.get((method, size)) for size in sizes]
        if any(cell is not None and cell.seconds is not None for cell in cells):
            shown = ["-" if c is None or c.seconds is None else f"{c.seconds:,.1f}" for c in cells]
            lines.append([named(method), *shown])
    if not lines:
        return element("p", "The comparison holds no times.")
    return table("Seconds of training, mean over seeds", ["method", *(f"size {size}" for size in sizes)], lines)


def _repeat(facts: ComparisonFacts) -> Html:
    command = facts.command or f"nlptl compare {facts.task}"
    return joined(
        element("pre", element("code", command[:2000]), tabindex=0, aria_label="Command"),
        facts_list([("File", str(facts.path)[-200:])]),
    )
