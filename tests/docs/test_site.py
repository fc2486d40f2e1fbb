"""The built site: no warning, nothing left out, nothing fetched from elsewhere, and pages that fit a screen."""

from __future__ import annotations

import functools
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from sphinx.util.inventory import InventoryFile

import nlptl
from nlptl.errors import NlptlError
from tests.docs.commands import verbs
from tests.docs.pages import DOCS, README, ROOT, pages

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
FLAGS += ["--disable-component-update", "--disable-sync"]
SCREENSHOTS = os.environ.get("NLPTL_SCREENSHOTS")
"""A folder where the browser's pages are drawn; unset: none are."""
SCREENS = {"wide": (1280, 900), "narrow": (390, 844)}
SHOWN = (
    "index",
    "tasks/sentiment",
    "concepts/modes",
    "notebooks/02_modes",
    "reference/cli",
    "reference/settings",
    "reference/api",
)
ELSEWHERE = re.compile(
    r"<(?:script|img|iframe|source|video)\b[^>]*\bsrc=\"(?:https?:)?//[^\"]*\""
    r"|<link\b(?![^>]*rel=\"(?:canonical|license)\")[^>]*\bhref=\"(?:https?:)?//[^\"]*\""
    r"|url\([\"']?(?:https?:)?//[^)]*\)|@import [\"'](?:https?:)?//"
)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built as `make docs` does; once, as it takes its time."""
    folder = tmp_path_factory.mktemp("site")
    options = ["-W", "--keep-going", "-q", "-b", "html", "-d", str(folder / "doctrees")]
    call = [sys.executable, "-m", "sphinx", *options, str(DOCS), str(folder / "html")]
    done = subprocess.run(call, capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "html"


def test_make_builds_it_in_the_same_way() -> None:
    plan = subprocess.run(["make", "-n", "docs"], capture_output=True, text=True, cwd=ROOT, check=True).stdout
    assert "-m sphinx -E -W --keep-going -b html docs docs/_build/html" in plan


def test_every_page_is_built(site: Path) -> None:
    sources = [path.relative_to(DOCS) for path in pages() if path != README]
    sources += [Path("notebooks", path.name) for path in (ROOT / "notebooks").glob("*.ipynb")]
    assert [path for path in sources if not (site / path).with_suffix(".html").is_file()] == []


def test_a_notebook_is_shown_with_its_outputs(site: Path) -> None:
    for page in (site / "notebooks").glob("0*.html"):
        assert "cell_output" in page.read_text(encoding="utf-8"), page.name


def test_every_command_has_a_section_in_the_reference(site: Path) -> None:
    html = (site / "reference" / "cli.html").read_text(encoding="utf-8")
    sections = set(re.findall(r'<section id="(nlptl-[\w-]+)">', html))
    assert sections == {"-".join(["nlptl", *verb]) for verb in verbs()}


def test_every_public_name_has_an_entry(site: Path) -> None:
    inventory = InventoryFile.loads((site / "objects.inv").read_bytes(), uri="").data
    entries = {name for kind, names in inventory.items() if kind.startswith("py:") for name in names}
    errors = {f"{e.__module__}.{e.__name__}" for e in _subclasses(NlptlError)}
    assert {f"nlptl.{name}" for name in nlptl.__all__} | errors - entries - {"nlptl.errors.NlptlError"} <= entries


def test_every_setting_has_an_entry(site: Path) -> None:
    from nlptl.config.overrides import dotted_keys

    html = (site / "reference" / "settings.html").read_text(encoding="utf-8")
    entries = re.findall(r'<dt><code[^>]*><span class="pre">([\w.]+)</span></code>', html)
    assert sorted(entries) == sorted(dotted_keys())


def test_no_page_asks_for_anything_elsewhere(site: Path) -> None:
    files = [path for path in site.rglob("*") if path.suffix in (".html", ".css")]
    found = {str(p.relative_to(site)): hits for p in files if (hits := ELSEWHERE.findall(p.read_text("utf-8")))}
    assert files
    assert found == {}


def test_a_request_elsewhere_would_be_found() -> None:
    assert ELSEWHERE.search('<script defer src="https://cdn.example/x.js">')
    assert ELSEWHERE.search('<link rel="stylesheet" href="//fonts.example/x.css">')
    assert ELSEWHERE.search("@font-face { src: url(https://fonts.example/x.woff) }")
    assert not ELSEWHERE.search('<a href="https://example.org">a link</a>')


def _subclasses(error: type[Exception]) -> Iterator[type[Exception]]:
    for inner in error.__subclasses__():
        if inner.__module__ == "nlptl.errors":
            yield inner
            yield from _subclasses(inner)


@dataclass
class Opened:
    """A page in the browser, and what it did."""

    page: Any
    address: str
    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)


@pytest.fixture(scope="module")
def address(site: Path) -> Iterator[str]:
    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(site)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    if CHROMIUM is None:
        pytest.skip("Chromium is not installed: apt-get install chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield started
        started.close()


@pytest.fixture
def opened(browser: Any, address: str, request: pytest.FixtureRequest) -> Iterator[Opened]:
    """An empty page of the size and colours that the test asks for."""
    width, height = getattr(request, "param", SCREENS["wide"])
    page = browser.new_page(viewport={"width": width, "height": height})
    page.set_default_timeout(120_000)  # of a busy machine
    found = Opened(page, address)
    page.on("request", lambda sent: found.requests.append(sent.url))
    page.on("requestfailed", lambda sent: found.complaints.append(f"failed: {sent.url}"))
    page.on("response", lambda got: found.complaints.append(f"{got.status}: {got.url}") if got.status >= 400 else None)
    page.on("console", lambda said: found.complaints.append(said.text) if said.type == "error" else None)
    page.on("pageerror", lambda error: found.complaints.append(str(error)))
    yield found
    page.close()


@pytest.mark.parametrize("opened", SCREENS.values(), ids=SCREENS.keys(), indirect=True)
@pytest.mark.parametrize("name", SHOWN)
def test_page_fits_the_screen_and_asks_only_this_server(opened: Opened, name: str) -> None:
    for colours in ("light", "dark"):
        opened.page.emulate_media(color_scheme=colours)
        opened.page.goto(f"{opened.address}/{name}.html", wait_until="networkidle")
        width = opened.page.viewport_size["width"]
        assert opened.page.evaluate("document.documentElement.scrollWidth") <= width
        if SCREENSHOTS:
            file = f"{name.replace('/', '-')}-{width}-{colours}.png"
            opened.page.screenshot(path=Path(SCREENSHOTS) / file, full_page=name in ("index", "notebooks/02_modes"))
    assert [url for url in opened.requests if not url.startswith((opened.address, "data:"))] == []
    assert opened.complaints == []
    assert opened.page.inner_text("h1").strip()


def test_the_search_answers(opened: Opened) -> None:
    opened.page.goto(f"{opened.address}/search.html?q=lora")
    opened.page.wait_for_selector("#search-results li a")
    assert "LoRA" in opened.page.inner_text("#search-results") or "lora" in opened.page.inner_text("#search-results")
    assert opened.complaints == []
    if SCREENSHOTS:
        opened.page.screenshot(path=Path(SCREENSHOTS) / "search.png")
