"""Parts of the test rows, and the worst mistakes."""

from __future__ import annotations

from nlptl.evaluation.significance import ALPHA, WORSE, p_text
from nlptl.reports.facts.rows import Mistake, TestRows
from nlptl.reports.facts.run import Part
from nlptl.reports.facts.slices import Slice, label_slices, length_slices
from nlptl.reports.facts.words import shown3
from nlptl.reports.html.markup import Content, Html, element, joined, named, table
from nlptl.reports.html.measures import ranged
from nlptl.reports.html.page import note

NO_ROWS = "predictions.csv is not in the run folder, and the test rows with it."
MOST_LABELS = 10
OPEN = 10
"""Mistakes that are seen at once."""


def slices(part: Part, rows: TestRows | None) -> Html:
    """By the length of the text, and the labels that do worse than the rest."""
    if rows is None:
        return note(NO_ROWS)
    by_length = length_slices(rows.characters, rows.right)
    parts: list[Content] = [_table("By length of the text", by_length)]
    if part.targets is not None:
        found = label_slices(part.targets, rows.right, part.labels)
        worse = [each for each in found if each.difference is not None and each.difference.outcome == WORSE]
        worse = sorted(worse, key=lambda each: each.right / each.rows)[:MOST_LABELS]
        said = "No label with enough rows is answered worse than the rest, beyond chance."
        parts.append(_table("Labels that are answered worse than the rest", worse) if worse else element("p", said))
    parts.append(
        element(
            "p",
            f"Right as decided. A part is called better or worse than the rest where p is below {ALPHA} by Fisher's "
            "exact test, after Holm's correction over the parts of its table.",
            class_="quiet",
        )
    )
    return joined(*parts)


def _table(caption: str, found: list[Slice]) -> Html:
    lines = [
        [named(each.name), f"{each.rows:,}", ranged(each.right / each.rows, each.interval), _verdict(each)]
        for each in found
    ]
    return table(caption, ["part", "rows", "share right", "against the rest"], lines, ("against the rest",))


def _verdict(each: Slice) -> str:
    found = each.difference
    if found is None:
        return "too few rows to say"
    evidence = f", {p_text(found.p)}" if found.p is not None else ""
    return f"{found.outcome} ({100 * found.mean:+.1f} points{evidence})"


def mistakes(rows: TestRows | None, texts: bool) -> Html:
    """The worst mistakes, with texts where they may stand here."""
    if rows is None:
        return note(NO_ROWS)
    if not rows.mistakes:
        return element("p", "No test row is answered wrongly.")
    known = rows.mistakes[0].probability is not None
    order = "the less probable the model held the right answer" if known else "the more probable it held the wrong one"
    left_out = "" if texts else " Texts are left out; rows are counted from 1."
    intro = f"{len(rows.mistakes)} of {rows.wrong:,} mistakes; {order}, the further up.{left_out}"
    first, others = rows.mistakes[:OPEN], rows.mistakes[OPEN:]
    more = element("details", element("summary", f"{len(others)} more"), _list(others)) if others else ""
    return joined(element("p", intro), _list(first), more)


def _list(found: list[Mistake]) -> Html:
    return element("ol", *(element("li", _mistake(each)) for each in found), class_="mistakes")


def _mistake(each: Mistake) -> Html:
    quoted = [element("blockquote", text, dir="auto") for text in each.texts]
    held = f" (probability {each.probability:.3f})" if each.probability is not None else ""
    return joined(
        *quoted,
        element(
            "p",
            "Gold ",
            element("strong", named(each.gold)),
            held,
            ", answered ",
            element("strong", named(each.predicted)),
            f" ({shown3(each.score)}). ",
            element("span", f"{each.place[-120:]}; {each.characters:,} characters", class_="quiet"),
        ),
    )
