"""The top of a run's page: what it is, its main numbers, and what they come to."""

from __future__ import annotations

from nlptl.evaluation.wording import (
    adaptation_sentence,
    comparison_sentences,
    forgetting_sentences,
    titled,
    via_sentences,
)
from nlptl.reports.facts.curves import Reliability
from nlptl.reports.facts.rows import TestRows
from nlptl.reports.facts.run import Part, RunFacts
from nlptl.reports.facts.words import found_sentences, look_sentences, shown3
from nlptl.reports.html.markup import Content, Html, element, joined, listed, named


def header(facts: RunFacts) -> Html:
    """Name, description and the main numbers of every task."""
    title = " + ".join(part.task.name for part in facts.parts)
    tiles = [tile for part in facts.parts[:6] for tile in _tiles(part, len(facts.parts) > 1)]
    seconds = facts.metrics.get("time", {}).get("total_seconds")
    if seconds is not None:
        tiles.append(tile("Time to train", f"{seconds:,.0f} s", facts.metrics.get("runtime", {}).get("device", "")))
    lead = facts.parts[0].task.description if len(facts.parts) == 1 else "One encoder, a head for each task."
    return element(
        "header",
        element("p", f"Run report · {method_of(facts)}", class_="kicker"),
        element("h1", named(title)),
        element("p", lead[:500], class_="lead"),
        element("dl", *tiles, class_="tiles"),
        class_="top",
    )


def method_of(facts: RunFacts) -> str:
    """How the run was made, in a few words."""
    model = facts.metrics["model"]
    if "baseline" in model:
        return f"baseline {model['baseline']} on TF-IDF"
    return f"{facts.config.mode} on {model['checkpoint']['name'][-60:]}"


def tile(term: Content, number: Content, more: Content = "") -> Html:
    """A number that stands out."""
    said = element("dd", element("span", number, class_="big"), element("span", more, class_="small"))
    return element("div", element("dt", term), said)


def _tiles(part: Part, several: bool) -> list[Html]:
    metric, test = part.task.metric, part.report["test"]
    interval = part.intervals["test"].get(metric)
    term = joined(named(part.task.name), f": {titled(metric)}") if several else f"{titled(metric)} on test"
    tiles = [tile(term, shown3(test[metric]), f"95 % interval {interval}" if interval else "")]
    if not several:
        kept = part.report["data"]
        tiles.append(tile("Test rows", f"{test['rows']:,}", f"{kept['train']:,} to learn from"))
    return tiles


def summary(facts: RunFacts, part: Part, rows: TestRows | None, reliability: Reliability | None) -> Html:
    """What was found of a task, and what to look at."""
    further = []
    if len(facts.parts) == 1:
        metrics = facts.metrics
        further += [comparison_sentences(metrics["comparison"])] if "comparison" in metrics else []
        further += [adaptation_sentence(metrics["adaptation"])] if "adaptation" in metrics else []
        further += [via_sentences(metrics["via"])] if "comparison" in metrics.get("via", {}) else []
        further += [forgetting_sentences(metrics["forgetting"])] if "forgetting" in metrics else []
    note = part.report["test"].get("decided", {}).get("note")
    looks = look_sentences(part, reliability)
    looks += [str(note)] if note else []
    return joined(
        listed([*found_sentences(part, rows, reliability), *further]),
        element("h3", "What to look at"),
        listed(looks) if looks else element("p", "Nothing stands out."),
        element(
            "p",
            "Intervals are over test rows alone: another seed, or texts of another kind, may give other numbers. "
            "The test split only reports; everything was chosen on validation.",
            class_="quiet",
        ),
    )
