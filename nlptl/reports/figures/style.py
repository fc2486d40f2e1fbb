"""Colours and SVG: one drawing serves a file of its own and a page in dark or light.

A figure is drawn in the colours of `INKS`. In a page they become CSS variables, which change with the page's colours;
style attributes become plain ones, as a strict Content-Security-Policy has it; and ids get a prefix, so that figures in
one page do not take each other's clip paths and markers.
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Callable
from typing import Any
from xml.etree import ElementTree

from nlptl.errors import MissingExtraError

INK, MUTED, LINE, PAPER = "#1f2933", "#57636f", "#d5dbe1", "#ffffff"
SERIES = ("#1d5fa8", "#b8500a", "#2f7d4f", "#7a3e9d", "#8a6d00", "#0f7b8a", "#a3336b", "#57636f")
"""Told apart by people who see colours otherwise too; lines differ in dashes and marks besides."""
ACCENT, SECOND, THIRD = SERIES[:3]
DASHES = ("-", (0, (5, 2)), (0, (1.5, 1.5)), (0, (7, 2, 1.5, 2)))
MARKS = "os^Dv*PX"
INKS = {INK: "ink", MUTED: "muted", LINE: "line", PAPER: "paper"} | {c: f"series-{i}" for i, c in enumerate(SERIES, 1)}
"""Colour -> the name of its CSS variable."""
LONGEST_LABEL = 24
SETTINGS = {
    # Letters stay letters: they can be read aloud and found, and the browser shapes scripts that matplotlib cannot.
    "svg.fonttype": "none",
    "svg.hashsalt": "nlptl",
    "text.parse_math": False,
    "font.family": "DejaVu Sans",
    "font.size": 10,
    "text.color": INK,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.facecolor": PAPER,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": LINE,
    "grid.linewidth": 0.7,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "legend.frameon": False,
    "legend.fontsize": 9,
    "figure.facecolor": PAPER,
    "savefig.facecolor": PAPER,
}
_SVG, _XLINK = "http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"
_KEPT = ("width", "height", "viewBox")


def drawn(draw: Callable[[Any], None], width: float = 4.6, height: float = 3.4) -> str:
    """An SVG document.

    Args:
        draw: draws on a matplotlib Figure of this many inches.
        width, height: of the figure.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    try:
        import matplotlib as mpl
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtraError("A report's figures need matplotlib: pip install 'nlptl[plots]'") from error
    with mpl.rc_context(SETTINGS), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing")  # only to measure a label; the browser has it
        figure = Figure(figsize=(width, height), layout="constrained")  # without pyplot: no window, no global state
        draw(figure)
        written = io.StringIO()
        figure.savefig(written, format="svg", metadata={"Date": None, "Creator": None})
    return written.getvalue()


def short_label(name: str) -> str:
    """A label's name as a figure has room for it."""
    plain = "".join(letter if letter.isprintable() else " " for letter in name)
    return plain if len(plain) <= LONGEST_LABEL else f"{plain[: LONGEST_LABEL - 1]}…"


def inlined(svg: str, prefix: str, description: str) -> str:
    """The figure as an element of a page.

    Args:
        svg: a document that `drawn` gave.
        prefix: of its ids; no other figure of the page has it.
        description: what it shows, for those who do not see it.
    """
    root = ElementTree.fromstring(svg.encode())
    used = set(re.findall(r"#([\w.-]+)", " ".join(v for e in root.iter() for v in e.attrib.values())))
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag in (f"{{{_SVG}}}metadata", f"{{{_SVG}}}style"):
                parent.remove(child)
    for element in root.iter():
        _settle(element, prefix, used)
    size = {name: root.attrib[name] for name in _KEPT}
    size |= {name: size[name].removesuffix("pt") for name in ("width", "height")}
    root.attrib.clear()
    root.attrib.update(size, role="img", **{"aria-label": description})
    root.attrib.update({"stroke-linejoin": "round", "stroke-linecap": "butt"})
    text = ElementTree.tostring(root, encoding="unicode")
    return re.sub(r"(?<=[ \d])\s*\n\s*|>\s+<", lambda found: "><" if found[0][0] == ">" else "", text)


def _settle(element: ElementTree.Element, prefix: str, used: set[str]) -> None:
    """Names without namespaces, style as plain attributes, colours as variables, ids with the prefix."""
    element.tag = element.tag.removeprefix(f"{{{_SVG}}}")
    values = dict(element.attrib)
    element.attrib.clear()
    for declaration in filter(None, values.pop("style", "").split(";")):
        name, _, value = declaration.partition(":")
        values[name.strip()] = value.strip()
    values.pop("font-family", None)
    for name, value in values.items():
        if name == "id":
            if value in used:
                element.set("id", f"{prefix}-{value}")
            continue
        pointed = re.sub(r"(^|url\()#(?=[\w.-]+\)?$)", rf"\1#{prefix}-", value) if name in _POINTING else value
        element.set(_PLAIN.get(name, name), f"var(--{INKS[value]})" if value in INKS else pointed)
    if element.text is not None and not element.text.strip():
        element.text = None
    element.tail = None


_PLAIN = {f"{{{_XLINK}}}href": "href"}
_POINTING = ("clip-path", f"{{{_XLINK}}}href")
