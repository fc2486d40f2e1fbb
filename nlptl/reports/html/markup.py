"""HTML as values: what is not markup already is escaped, so that no text of a user can become any."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Sequence
from typing import Any

_NOT_IN_HTML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff\ufffe\uffff]")
_VOID = ("meta", "link", "input", "br", "hr", "col")
_IN_SCRIPT = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}
LONGEST_NAME = 80
"""Characters of a label, a path or another name that is shown."""


class Html(str):
    """Markup that may stand in a page as it is."""

    __slots__ = ()


Content = str | int | float | None
"""Html stands as it is; texts and numbers are escaped; None is nothing."""


def escaped(text: str) -> Html:
    """Text as markup that shows it; characters that HTML cannot hold become U+FFFD."""
    return Html(html.escape(_NOT_IN_HTML.sub("\ufffd", text)))


def joined(*parts: Content) -> Html:
    """Parts one after another."""
    return Html("".join(_markup(part) for part in parts))


def element(name: str, /, *content: Content, **attributes: str | int | float | bool | None) -> Html:
    """An element.

    Args:
        name: of its tag.
        content: what is in it.
        attributes: an underscore stands for a hyphen, and at the end for nothing (`class_`); True: without a value;
            False or None: left out.
    """
    given = "".join(_attribute(key.rstrip("_").replace("_", "-"), value) for key, value in attributes.items())
    start = f"<{name}{given}>"
    return Html(start if name in _VOID else f"{start}{joined(*content)}</{name}>")


def island(name: str, value: Any) -> Html:
    """Data for the page's script, as JSON that no text in it can end.

    Args:
        name: id of the element.
        value: plain values.
    """
    said = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    said = _NOT_IN_HTML.sub("\ufffd", said)
    inert = "".join(_IN_SCRIPT.get(letter, letter) for letter in said)
    return element("script", Html(inert), type="application/json", id=name)


def named(name: str) -> Html:
    """A name of the user's, such as a label: in its own direction, and shortened."""
    shown = name if len(name) <= LONGEST_NAME else f"{name[:LONGEST_NAME]}…"
    return element("bdi", shown or "(none)")


def listed(items: Sequence[Content], class_: str | None = None) -> Html:
    """A list; nothing without items."""
    if not items:
        return Html("")
    return element("ul", *(element("li", item) for item in items), class_=class_)


def facts_list(pairs: Sequence[tuple[Content, Content]]) -> Html:
    """Terms and what they are; a pair without the second part is left out."""
    rows = [element("div", element("dt", term), element("dd", said)) for term, said in pairs if said not in (None, "")]
    return element("dl", *rows, class_="facts")


def table(caption: str, head: Sequence[str], rows: Sequence[Sequence[Content]], texts: Sequence[str] = ()) -> Html:
    """A table that can be scrolled sideways where it does not fit; the first cell of a row is its head.

    Args:
        caption: what it shows.
        head: of the columns; their number is that of each row's cells.
        rows: cells.
        texts: heads of further columns that hold words; the first one does, and the others hold numbers.
    """
    wordy = [place == 0 or name in texts for place, name in enumerate(head)]
    heads = [
        element("th", name, scope="col", class_=None if w else "number") for name, w in zip(head, wordy, strict=True)
    ]
    lines = []
    for row in rows:
        cells = [element("th", row[0], scope="row")]
        cells += [
            element("td", cell, class_=None if w else "number") for cell, w in zip(row[1:], wordy[1:], strict=True)
        ]
        lines.append(element("tr", *cells))
    whole = element(
        "table",
        element("caption", caption),
        element("thead", element("tr", *heads)),
        element("tbody", *lines),
    )
    return element("div", whole, class_="scroll", tabindex=0, role="group", aria_label=caption)


def _markup(part: Content) -> str:
    if part is None:
        return ""
    return part if isinstance(part, Html) else escaped(str(part))


def _attribute(name: str, value: str | int | float | bool | None) -> str:
    if value is None or value is False:
        return ""
    return f" {name}" if value is True else f' {name}="{escaped(str(value))}"'
