"""Each figure of the documentation is drawn by its script, as it stands there, and described where it is shown."""

from __future__ import annotations

import re
import runpy
import sys
from pathlib import Path

import pytest

pytest.importorskip("matplotlib", reason="figures need the extra plots")
ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
FIGURES = DOCS / "figures"
SHARED = "drawing"
"""What the scripts share; it draws nothing by itself."""
SCRIPTS = sorted(path for path in FIGURES.glob("*.py") if path.stem != SHARED)
SHOWN = re.compile(r"!\[(?P<described>[^\]]*)\]\((?P<path>[^)\s]+\.svg)\)")
WORDS = re.compile(r"<!-- (.+?) -->", re.DOTALL)
"""Letters are drawn as paths; matplotlib notes above them what they spell."""
MADE_BY = re.compile(r"Matplotlib v[\d.]+")


def figure_of(script: Path) -> str:
    return f"{script.stem.replace('_', '-')}.svg"


def test_each_figure_has_its_script_and_each_script_its_figure() -> None:
    assert SCRIPTS
    assert {figure_of(script) for script in SCRIPTS} == {path.name for path in FIGURES.glob("*.svg")}


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_a_script_draws_what_stands_there(script: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [str(FIGURES), *sys.path])
    monkeypatch.setattr(sys, "argv", [str(script), "--output", str(tmp_path)])
    runpy.run_path(str(script), run_name="__main__")
    drawn, there = ((folder / figure_of(script)).read_text(encoding="utf-8") for folder in (tmp_path, FIGURES))
    # The same version of matplotlib draws the same file; another one may set a line a little differently.
    if MADE_BY.findall(drawn) != MADE_BY.findall(there):
        drawn, there = (" ".join(WORDS.findall(one)) for one in (drawn, there))
    assert drawn == there, f"{figure_of(script)} is not what its script and numbers give now: draw it again"


def test_each_figure_is_shown_with_a_description() -> None:
    shown: dict[Path, list[str]] = {}
    for page in (ROOT / "README.md", *DOCS.rglob("*.md")):
        for found in SHOWN.finditer(page.read_text(encoding="utf-8")):
            shown.setdefault((page.parent / found["path"]).resolve(), []).append(found["described"])
    assert not [path for path in shown if not path.is_file()]
    for figure in FIGURES.glob("*.svg"):
        assert figure in shown, f"no page shows {figure.name}"
        assert all(len(described.split()) >= 5 for described in shown[figure]), f"{figure.name} is not described"
