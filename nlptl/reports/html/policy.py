"""How scores become a label: the fitted policy, a slider on the threshold, and out-of-scope texts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from nlptl.evaluation.intervals import of_share
from nlptl.evaluation.wording import titled
from nlptl.reports.facts.curves import Cuts
from nlptl.reports.facts.run import Part
from nlptl.reports.facts.words import shown3
from nlptl.reports.html.markup import Content, Html, element, facts_list, island, joined, named
from nlptl.reports.html.summary import tile

HALF = 0.5
_TOLD_ELSEWHERE = ("policy", "note", "thresholds")


def policy(part: Part, cuts: Sequence[tuple[str, Cuts, float | None]], name: str) -> Html:
    """The decision policy; and for labels with scores, what each threshold on test would give.

    Args:
        part: the task.
        cuts: label, its thresholds, and the fitted one.
        name: prefix of ids.
    """
    decision = part.decision
    pairs: list[tuple[Content, Content]] = [("Policy", decision["policy"])]
    pairs += [(titled(key), _said(value)) for key, value in decision.items() if key not in _TOLD_ELSEWHERE]
    pairs.append(("Note", decision.get("note")))
    return joined(
        element("p", "Fitted on validation; the test split only reports what it gives."),
        facts_list(pairs),
        _slider(cuts, name) if cuts else "",
    )


def _said(value: Any) -> Content:
    if value is None or isinstance(value, dict | list):
        return None
    return shown3(value) if isinstance(value, float) else str(value)[:80]


def _slider(cuts: Sequence[tuple[str, Cuts, float | None]], name: str) -> Html:
    values = [_values(found, fitted) for _, found, fitted in cuts]
    several = len(cuts) > 1
    label, slider = f"{name}label", f"{name}threshold"
    options = [element("option", each[:60], selected=place == 0) for place, (each, _, _) in enumerate(cuts)]
    choice = [element("label", "Label", for_=label), element("select", *options, id=label, disabled=True)]
    first = values[0]
    of = joined(" of ", named(cuts[0][0])) if not several else ""
    return element(
        "div",
        element("h3", "What another threshold would give on test", id=f"{name}slider-title"),
        *(choice if several else ()),
        element("label", "Threshold on the probability", of, for_=slider),
        element(
            "input",
            type="range",
            id=slider,
            min=0,
            max=len(first["cuts"]) - 1,
            step=1,
            value=first["fitted"],
            disabled=True,
        ),
        element("div", element("span", "few alerts"), element("span", "many alerts"), class_="ends"),
        _numbers(cuts[0][1], first["fitted"]),
        element("button", "Back to the fitted threshold", type="button", hidden=True),
        element(
            "p",
            "A threshold chosen here, on test, would flatter itself: read what the choice costs, and fit it on "
            "validation.",
            class_="quiet",
        ),
        island(f"{name}cuts", values),
        class_="policy",
        role="group",
        aria_labelledby=f"{name}slider-title",
        data_cuts=f"{name}cuts",
    )


def _values(cuts: Cuts, fitted: float | None) -> dict[str, Any]:
    """What the page's script needs of a label."""
    columns = zip(cuts.thresholds.tolist(), cuts.hits.tolist(), cuts.alarms.tolist(), strict=True)
    wanted = HALF if fitted is None else fitted
    return {
        "cuts": [[round(threshold, 6), hits, alarms] for threshold, hits, alarms in columns],
        "fitted": int(np.abs(cuts.thresholds - wanted).argmin()),
        "positives": cuts.positives,
        "negatives": cuts.negatives,
    }


def _numbers(cuts: Cuts, place: int) -> Html:
    """The tiles that the script changes, as they are without it."""
    hits, alarms = int(cuts.hits[place]), int(cuts.alarms[place])
    flagged, rows = hits + alarms, cuts.positives + cuts.negatives
    f1 = 2 * hits / (flagged + cuts.positives) if flagged + cuts.positives else None

    def told(name: str, value: Content) -> Html:
        return element("span", value, data_said=name)

    def share(count: int, of: int) -> str:
        return shown3(count / of if of else None)

    return element(
        "dl",
        tile("Threshold", told("threshold", shown3(float(cuts.thresholds[place])))),
        tile(
            "Precision",
            told("precision", share(hits, flagged)),
            told("precision-range", of_share(hits, flagged) and str(of_share(hits, flagged))),
        ),
        tile(
            "Recall",
            told("recall", share(hits, cuts.positives)),
            told("recall-range", str(of_share(hits, cuts.positives) or "")),
        ),
        tile("F1", told("f1", shown3(f1))),
        tile(
            "Alerts per thousand",
            told("alerts", f"{1000 * flagged / max(rows, 1):.1f}"),
            told("alerts-range", f"{flagged:,} of {rows:,} rows"),
        ),
        tile("Flagged, rightly", told("hits", f"{hits:,}")),
        tile("Flagged, wrongly", told("alarms", f"{alarms:,}")),
        tile("Missed", told("missed", f"{cuts.positives - hits:,}")),
        tile("Passed, rightly", told("passed", f"{cuts.negatives - alarms:,}")),
        class_="tiles",
        aria_live="polite",
    )
