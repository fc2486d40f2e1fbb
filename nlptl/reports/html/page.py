"""The page around the sections: head, policy, contents, style and script."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from nlptl.reports.html.markup import Content, Html, element, joined

_HERE = Path(__file__).resolve().parent


@dataclass(frozen=True)
class Section:
    """A part of the page with a heading of its own."""

    name: str
    """Its id; no other section has it."""
    title: str
    body: Html
    level: int = 2
    """Of the heading."""


def page(title: str, header: Html, sections: Sequence[Section], footer: Content) -> str:
    """A whole page.

    Nothing may be loaded: the policy names the page's one style and one script by their digests, and allows no other
    source of anything.

    Args:
        title: of the window.
        header: above the sections, with the page's one `h1`.
        sections: in order.
        footer: below them.
    """
    style, script = (_part(name) for name in ("style.css", "page.js"))
    policy = (
        f"default-src 'none'; style-src '{_digest(style)}'; script-src '{_digest(script)}'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=policy),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("meta", name="referrer", content="no-referrer"),
        element("title", title),
        element("link", rel="icon", href="data:,"),
        element("style", Html(style)),
    )
    body = element(
        "body",
        element("a", "Skip to the content", class_="skip", href="#content"),
        element("div", _contents(sections), _main(header, sections), class_="page"),
        element("footer", footer),
        element("script", Html(script)),
    )
    return f"<!DOCTYPE html>\n{element('html', head, body, lang='en')}\n"


def _main(header: Html, sections: Sequence[Section]) -> Html:
    parts = [
        element(
            "section",
            element(f"h{each.level}", each.title, id=f"{each.name}-title"),
            each.body,
            id=each.name,
            aria_labelledby=f"{each.name}-title" if each.level == 2 else None,
            class_=None if each.level > 2 else "chapter",
        )
        for each in sections
    ]
    return element("main", header, *parts, id="content", tabindex=-1)


def _contents(sections: Sequence[Section]) -> Html:
    lines = [
        element("li", element("a", each.title, href=f"#{each.name}"), class_="deeper" if each.level > 2 else None)
        for each in sections
    ]
    return element("nav", element("ol", *lines), aria_label="Contents", class_="contents")


def _part(name: str) -> str:
    return (_HERE / name).read_text(encoding="utf-8")


def _digest(content: str) -> str:
    """The content's source expression in a Content-Security-Policy."""
    return f"sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()}"


def figure(drawing: Html, caption: Content) -> Html:
    """A figure with what it shows."""
    return element("figure", element("div", drawing, class_="drawing"), element("figcaption", caption))


def columns(*parts: Content) -> Html:
    """Parts side by side where there is room."""
    return element("div", *parts, class_="columns")


def note(*parts: Content) -> Html:
    """What a reader must know."""
    return element("p", joined(*parts), class_="note")
