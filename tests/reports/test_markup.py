"""No text becomes markup, and what goes into a figure keeps to the page's policy."""

from __future__ import annotations

import json
import re
import sys
from xml.etree import ElementTree

import numpy as np
import pytest

from nlptl.errors import ConfigError, MissingExtraError
from nlptl.reports.facts.curves import cuts_of
from nlptl.reports.figures.confusion import confusion
from nlptl.reports.figures.curves import precision_recall, roc
from nlptl.reports.figures.kept import Drawings
from nlptl.reports.figures.style import INKS, drawn, inlined
from nlptl.reports.html.markup import Html, element, escaped, facts_list, island, listed, named, table
from tests.reports.conftest import HOSTILE


@pytest.mark.parametrize("text", HOSTILE)
def test_texts_are_escaped(text):
    said = element("p", text, title=text, data_x=text)
    root = ElementTree.fromstring(said)
    shown = re.sub("[\x00\x07\ufffe]", "\ufffd", text)
    assert root.text == shown
    assert root.attrib == {"title": shown.replace("\n", " "), "data-x": shown}
    assert list(root) == []


@pytest.mark.parametrize("text", HOSTILE)
def test_no_text_ends_an_island(text):
    said = island("data", [text])
    inside = said.removeprefix('<script type="application/json" id="data">').removesuffix("</script>")
    assert not re.search("[<>&\u2028\u2029]", inside)
    assert json.loads(inside) == [text.replace("\ufffe", "\ufffd")]  # JSON writes control characters as letters


def test_an_island_has_no_number_that_json_has_not():
    with pytest.raises(ValueError, match="not JSON compliant"):
        island("data", [float("nan")])


def test_lone_surrogates_can_be_written():
    assert escaped("a\ud800b").encode() == "a\ufffdb".encode()


def test_markup_stays_and_nothing_is_nothing():
    assert element("p", Html("<b>x</b>"), None, 3, hidden=True, id=None) == "<p hidden><b>x</b>3</p>"
    assert listed([]) == ""
    assert "gone" not in facts_list([("gone", None), ("gone", ""), ("kept", 0)])
    assert named("x" * 500) == f"<bdi>{'x' * 80}…</bdi>"


def test_a_table_has_heads_a_caption_and_can_be_scrolled():
    root = ElementTree.fromstring(table("Rows", ["split", "rows"], [["train", "5"]]))
    assert root.attrib["tabindex"] == "0"
    assert root.find("table/caption").text == "Rows"
    assert [(e.text, e.get("scope")) for e in root.iter("th")] == [("split", "col"), ("rows", "col"), ("train", "row")]
    with pytest.raises(ValueError, match="zip"):
        table("Rows", ["split", "rows"], [["train"]])


def drawings():
    random = np.random.default_rng(0)
    cuts = cuts_of(random.random(100), random.random(100) < 0.5, 0.5)
    matrix = random.integers(0, 9, size=(3, 3))
    return [
        precision_recall(cuts, "</script> $x$", 0.5),
        roc(cuts, "مرحبا", 0.5),
        confusion(matrix, ["<b>&\x00", "$\\frac{a}$", "x" * 500]),
    ]


def test_figures_in_one_page_do_not_take_each_others_parts():
    """Drawn alike, so that their own ids are the same."""
    one, other = (inlined(drawings()[0], f"figure-{i}", "x") for i in (1, 2))
    ids = [set(re.findall(r' id="([^"]+)"', svg)) for svg in (one, other)]
    assert ids[0]
    assert not ids[0] & ids[1]
    for svg, own in zip((one, other), ids, strict=True):
        pointed = set(re.findall(r"#([\w.-]+)", svg))
        assert pointed == own


@pytest.mark.parametrize("svg", drawings(), ids=["pr", "roc", "confusion"])
def test_figures_keep_to_the_policy_and_follow_the_pages_colours(svg):
    inside = inlined(svg, "figure-1", 'say "<this>"')
    root = ElementTree.fromstring(inside)
    assert root.attrib["aria-label"] == 'say "<this>"'
    assert not [e.tag for e in root.iter() if "style" in e.attrib or e.tag in ("style", "script", "image", "metadata")]
    painted = {e.get(name) for e in root.iter() for name in ("fill", "stroke")} - {None, "none"}
    assert painted
    assert painted <= {f"var(--{name})" for name in INKS.values()}
    assert "http" not in inside


def test_a_figure_is_the_same_when_it_is_drawn_again():
    assert drawings() == drawings()


def test_long_and_odd_names_have_room():
    names = [e.text for e in ElementTree.fromstring(drawings()[2].encode()).iter("{http://www.w3.org/2000/svg}text")]
    assert "<b>& " in [name.rstrip("\xa0") for name in names] or "<b>& " in names
    assert "$\\frac{a}$" in names
    assert f"{'x' * 23}…" in names


def test_figures_are_saved_alone(tmp_path):
    kept = Drawings()
    for place, svg in enumerate(drawings()):
        kept.inline(f"figure {place}", svg, "x")
    paths = kept.save(tmp_path / "figures")
    assert [path.name for path in paths] == ["figure 0.svg", "figure 1.svg", "figure 2.svg"]
    for path in paths:
        root = ElementTree.parse(path).getroot()
        assert root.tag.endswith("svg")
        assert "var(" not in path.read_text(encoding="utf-8")
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="cannot be written"):
        kept.save(tmp_path / "file")


def test_without_matplotlib_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MissingExtraError, match=r"nlptl\[plots\]"):
        drawn(lambda figure: None)
