"""What a run does with texts that it was not made for: other requests than its labels, and texts written to deceive."""

from __future__ import annotations

from typing import Any

from nlptl.evaluation.intervals import Interval, of_share
from nlptl.evaluation.wording import titled
from nlptl.reports.facts.run import Part
from nlptl.reports.html.markup import Content, Html, element, joined, listed, named, table
from nlptl.reports.html.measures import ranged

_BY_POLICY = {"in_scope_kept": "In-scope rows kept", "out_of_scope_recall": "Out-of-scope rows found"}
_NAMED = {
    "auroc": "AUROC",
    "aupr_in": "AUPR, in scope is positive",
    "aupr_out": "AUPR, out of scope is positive",
    "fpr_at_95_in_scope": "Out-of-scope rows kept where 95 % in scope are",
}
_ROADS = {"scorer": "the scorer alone", "class": "a label of its own", "both": "both"}
MOST_ROWS = 60


def out_of_scope(part: Part) -> Html | None:
    """How well texts out of scope are found, where the run has numbers of it."""
    test = part.report["test"]
    decided, label = test.get("decided", {}), str(part.decision.get("label"))
    outside = test["per_class"].get(label, {}).get("rows", 0)
    counts = {"in_scope_kept": test["rows"] - outside, "out_of_scope_recall": outside}
    lines: list[list[Content]] = []
    for name, title in _BY_POLICY.items():
        share, rows = decided.get(name), counts[name]
        if share is not None and rows:
            lines.append([title, ranged(share, of_share(share * rows, rows)), f"{rows:,}"])
    for name, found in (test.get("out_of_scope") or {}).items():
        if isinstance(found, dict) and isinstance(found.get("value"), int | float):
            interval = found.get("interval")
            value = ranged(float(found["value"]), Interval(*interval) if interval else None)
            lines.append([_NAMED.get(name, titled(name)), value, ""])
    if not lines:
        return None
    scorer = part.decision.get("scorer") or "probability of the most probable label"
    return joined(
        element("p", "Texts that fit none of the labels are answered ", named(label), f". Scorer: {scorer}."),
        table("On test, with 95 % intervals", ["measure", "value", "rows"], lines),
        _roads((test.get("out_of_scope") or {}).get("roads")),
    )


def _roads(roads: Any) -> Html:
    """The ways to send a text out of scope beside one another: by the scorer, by a label of its own, by both."""
    found = roads if isinstance(roads, dict) else {}
    columns = list(dict.fromkeys(name for each in found.values() if isinstance(each, dict) for name in each))
    lines: list[list[Content]] = []
    for road, each in found.items():
        shares = [each.get(name) if isinstance(each, dict) else None for name in columns]
        cells = [
            ranged(share["value"], Interval(*share["interval"])) if isinstance(share, dict) else "-" for share in shares
        ]
        lines.append([_ROADS.get(road, road), *cells])
    return table("Ways to send a text out of scope", ["way", *map(titled, columns)], lines) if lines else Html("")


def robustness(found: dict[str, Any]) -> Html | None:
    """Points lost per attack, as `nlptl robustness` measured them."""
    rows, measure = found.get("rows"), found.get("measure")
    if not isinstance(rows, list) or not isinstance(measure, str):
        return None
    lines = [line for row in rows[:MOST_ROWS] if (line := _attack(row, measure)) is not None]
    head = ["attack", "normaliser", "value", "points lost", "verdict"]
    return joined(
        listed([str(said)[:500] for said in found.get("sentences", [])[:10]]),
        table(f"{titled(measure)} on test under each attack", head, lines, ("normaliser", "verdict")),
        element("p", "Points lost are of 100, with half the width of a paired 95 % interval.", class_="quiet"),
    )


def _attack(row: Any, measure: str) -> list[Content] | None:
    if not isinstance(row, dict) or not isinstance(row.get(measure), dict):
        return None
    of = row[measure]
    margin = f" ± {of['margin']:.1f}" if isinstance(of.get("margin"), int | float) else ""
    value = of.get("value")
    lost = f"{of['lost']:.1f}{margin}" if isinstance(of.get("lost"), int | float) else "-"
    said = of.get("outcome") or ""
    shown = f"{value:.3f}" if isinstance(value, int | float) else "-"
    return [named(str(row.get("attack", ""))), str(row.get("normaliser", "")), shown, lost, str(said)]
