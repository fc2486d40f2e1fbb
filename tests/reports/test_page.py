"""The page in a browser: no request, no complaint, everybody can read it, and the slider counts right."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import nlptl
from nlptl.reports.facts.run import read_run
from nlptl.runs.answers import SplitAnswers, read_answers, write_answers
from nlptl.storage.json_files import read_json, write_json
from tests.reports.conftest import HOSTILE, made_up

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
FLAGS += ["--disable-component-update", "--disable-sync"]
SCREENSHOTS = os.environ.get("NLPTL_SCREENSHOTS")
"""A folder where the pages are drawn; unset: none are."""
MOST_BYTES = 2_000_000
SECTIONS = ["In short", "What this run is", "Data", "Metrics", "Labels", "Confusions", "Curves", "Decision"]
SECTIONS += ["Parts of the test rows", "Worst mistakes", "Time and memory", "How to repeat it"]


@pytest.fixture(scope="module")
def hostile(fraud, with_rows, tmp_path_factory) -> Path:
    """A report on rows that would break a page: markup, right-to-left texts, a megabyte; all answered wrong."""
    texts = [*HOSTILE, "z" * 1_000_000, *(f"harmless {i}" for i in range(60))]
    targets, logits = made_up(len(texts))
    targets[: len(HOSTILE) + 1] = 1
    right = np.eye(2)[targets] * 8
    right[: len(HOSTILE) + 1] *= -1
    folder = with_rows(fraud, texts, targets, right + logits / 9, labels=["</script>", "<!-- مرحبا & $x$"])
    return Path(nlptl.report(folder, tmp_path_factory.mktemp("report") / "hostile.html"))


@pytest.fixture(scope="module")
def comparison(tmp_path_factory) -> Path:
    random, folder = np.random.default_rng(0), tmp_path_factory.mktemp("comparison")
    curves = [
        {"method": method, "size": size, "rows": rows, "mean": mean, "low": mean - 0.1, "high": mean + 0.1}
        for method in ("tfidf", "knn", "</script>", "lora", "full")
        for size, rows in (("8", 80), ("32", 320), ("128", 1280), ("all", 1300))
        for mean in random.random(1)
    ]
    costs = [{"method": "lora", "size": size, "learning_seconds": 3.0} for size in ("8", "all")]
    said = {"pairs": [{"sentence": "& <b>"}], "negative_transfer": ["none"], "costs": costs}
    write_json(folder / "comparison.json", {"task": "<!--", "metric": "accuracy", "curves": curves, **said})
    return Path(nlptl.report(folder))


@pytest.fixture(scope="module")
def report(fraud, tmp_path_factory) -> Path:
    return Path(nlptl.report(fraud, tmp_path_factory.mktemp("report") / "report.html"))


class Tags(HTMLParser):
    """What a browser would find in a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def test_the_policy_names_the_one_style_and_the_one_script(report):
    page = report.read_text(encoding="utf-8")
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]+)"', page)[1].replace("&#x27;", "'")
    assert policy.startswith("default-src 'none'; ")
    for kind, tag in (("style-src", "style"), ("script-src", "script")):
        (content,) = re.findall(rf"<{tag}>(.*?)</{tag}>", page, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert f"{kind} 'sha256-{digest}';" in policy
    assert "unsafe" not in policy
    assert "http" not in policy


def test_nothing_in_the_page_points_elsewhere(report):
    tags = Tags(report.read_text(encoding="utf-8")).found
    pointing = [(tag, value) for tag, given in tags for name, value in given.items() if name in ("src", "href")]
    assert [(tag, value) for tag, value in pointing if not value.startswith("#")] == [("link", "data:,")]
    assert not [given for _, given in tags if "style" in given or any(name.startswith("on") for name in given)]
    ids = [given["id"] for _, given in tags if "id" in given]
    assert len(ids) == len(set(ids))
    assert {value.removeprefix("#") for _, value in pointing if value.startswith("#")} <= set(ids)


def test_every_section_is_there_and_numbers_are_those_of_the_run(report, fraud):
    page = report.read_text(encoding="utf-8")
    assert re.findall(r"<h2[^>]*>(.*?)</h2>", page) == SECTIONS
    test = read_run(fraud).metrics["test"]
    assert f'<span class="big">{test["macro_f1"]:.3f}</span>' in page
    for name in ("accuracy", "average_precision", "roc_auc"):
        assert f">{test[name]:.3f} <span" in page
    assert "nlptl train --config" in page


def test_texts_of_users_stay_texts(hostile):
    page = hostile.read_text(encoding="utf-8")
    assert len(page.encode()) < MOST_BYTES
    tags = Tags(page).found
    assert [given for tag, given in tags if tag == "script"] == [
        {"type": "application/json", "id": "cuts"},
        {},
    ]
    assert not [tag for tag, _ in tags if tag in ("img", "b")]
    assert "z" * 401 not in page
    assert "z" * 400 in page


def test_without_texts_there_is_none(hostile, fraud, with_rows, tmp_path):
    texts = [f"secret{i:04d}word and more" for i in range(300)]
    targets, logits = made_up(300)
    folder = with_rows(fraud, texts, targets, logits)
    kept = nlptl.report(folder, tmp_path / "kept.html").read_text(encoding="utf-8")
    assert re.search(r"secret\d{4}word", kept)
    left_out = nlptl.report(folder, tmp_path / "out.html", texts=False, figures=tmp_path / "figures")
    page = left_out.read_text(encoding="utf-8")
    assert "test row " in page
    assert not re.search(r"secret\d{4}|and more", page)
    for text in pd.read_csv(fraud / "predictions.csv")["text"]:
        assert text not in page
    assert not [path for path in (tmp_path / "figures").iterdir() if "secret" in path.read_text(encoding="utf-8")]


def test_a_million_rows_fit(fraud, with_rows, tmp_path):
    """A thousand rows a thousand times, with scores of their own."""
    targets, logits = made_up(1000)
    folder, times = with_rows(fraud, [f"text {i}" for i in range(1000)], targets, logits), 1000
    answers, random = read_answers(folder), np.random.default_rng(0)
    many = np.tile(logits, (times, 1)) + random.normal(scale=1e-3, size=(1000 * times, 2))
    write_answers(folder, {**answers, "test": SplitAnswers(many.astype(np.float32), np.tile(targets, times))})
    head, _, body = (folder / "predictions.csv").read_text(encoding="utf-8").partition("\n")
    (folder / "predictions.csv").write_text(f"{head}\n{body * times}", encoding="utf-8")
    metrics = read_json(folder / "metrics.json")
    metrics["test"]["rows"] *= times
    metrics["test"]["confusion_matrix"] = (times * np.array(metrics["test"]["confusion_matrix"])).tolist()
    write_json(folder / "metrics.json", metrics)
    page = nlptl.report(folder, tmp_path / "rows.html").read_text(encoding="utf-8")
    assert len(page.encode()) < MOST_BYTES / 10
    assert "1,000,000 test rows" in page
    assert re.search(r"\d{3} of \d{3},\d{3} thresholds are drawn", page)
    assert re.search(r"30 of \d{2,3},000 mistakes", page)


def test_many_labels_and_long_texts_fit(fraud, with_rows, tmp_path):
    labels = [f"label {i} {'with a long name ' * 20}" for i in range(200)]
    targets, logits = made_up(2_000, 200)
    folder = with_rows(fraud, [f"{i} " * 9_000 for i in range(2_000)], targets, logits, labels)
    page = nlptl.report(folder, tmp_path / "labels.html")
    assert page.stat().st_size < MOST_BYTES / 3
    assert "the 150 weakest of 200" in page.read_text(encoding="utf-8")


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
def opened(browser: Any) -> Iterator[Any]:
    """Opens a report, and at the end wants no complaint and no request but for the file itself."""
    pages, requests, complaints = [], [], []

    def open_page(path: Path, colours: str = "light", width: int = 1280) -> Any:
        page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=colours)
        pages.append(page)
        page.set_default_timeout(120_000)  # of a busy machine
        page.on("request", lambda sent: requests.append(sent.url))
        page.on("console", lambda said: complaints.append(said.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("dialog", lambda dialog: complaints.append(dialog.message))
        page.goto(path.as_uri())
        return page

    yield open_page
    for page in pages:
        page.close()
    assert complaints == []
    assert {url for url in requests if not url.startswith("data:")} == {
        page_url for page_url in requests if "file://" in page_url
    }


@pytest.mark.parametrize("colours", ["light", "dark"])
@pytest.mark.parametrize("name", ["report", "hostile", "comparison"])
def test_everybody_can_read_it(opened, request, name, colours):
    from axe_playwright_python.sync_playwright import Axe

    page = opened(request.getfixturevalue(name), colours)
    found = Axe().run(page).response["violations"]
    assert [(each["id"], each["nodes"][0]["html"]) for each in found] == []
    inks = {page.evaluate(f"getComputedStyle(document.body).{part}") for part in ("color", "backgroundColor")}
    assert len(inks) == 2
    dark = page.evaluate("parseInt(getComputedStyle(document.body).backgroundColor.slice(4))") < 128
    assert dark == (colours == "dark")
    if SCREENSHOTS:
        page.screenshot(path=Path(SCREENSHOTS) / f"run-{name}-{colours}.png", full_page=True)


@pytest.mark.parametrize("name", ["report", "hostile", "comparison"])
def test_it_fits_a_phone(opened, request, name):
    page = opened(request.getfixturevalue(name), width=390)
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    if SCREENSHOTS:
        page.screenshot(path=Path(SCREENSHOTS) / f"run-{name}-phone.png", full_page=True)


def test_figures_are_seen_and_change_with_the_colours(opened, report):
    def ink(page: Any) -> str:
        return page.evaluate("getComputedStyle(document.querySelector('#curves svg text')).fill")

    light, dark = opened(report), opened(report, "dark")
    assert ink(light) == "rgb(31, 41, 51)"
    assert ink(dark) == "rgb(228, 233, 238)"
    boxes = light.evaluate("[...document.querySelectorAll('svg')].map(s => s.getBoundingClientRect().height)")
    assert len(boxes) == 4
    assert min(boxes) > 150


def test_the_slider_counts_by_keyboard(opened, report, fraud):
    page = opened(report)
    part = read_run(fraud).parts[0]
    scores, wanted = part.probabilities[:, part.positive], part.targets == part.positive

    def shown() -> dict[str, str]:
        return {e.get_attribute("data-said"): e.inner_text() for e in page.query_selector_all("[data-said]")}

    def counted(threshold: float) -> dict[str, str]:
        flagged = scores >= np.float32(threshold) - 1e-6
        hits, count = int((flagged & wanted).sum()), int(flagged.sum())
        return {
            "hits": str(hits),
            "alarms": str(count - hits),
            "missed": str(int(wanted.sum()) - hits),
            "precision": f"{hits / count:.3f}",
            "recall": f"{hits / wanted.sum():.3f}",
            "alerts": f"{1000 * count / len(scores):.1f}",
        }

    before = shown()
    assert float(before["threshold"]) == pytest.approx(part.threshold, abs=6e-4)
    assert counted(part.threshold).items() <= before.items()
    cuts = json.loads(page.evaluate("document.getElementById('cuts').textContent"))[0]["cuts"]
    slider = page.locator("input[type=range]")
    slider.focus()
    for key, step in (("ArrowRight", 5), ("ArrowLeft", 9), ("ArrowRight", 40)):
        for _ in range(step):
            page.keyboard.press(key)
        threshold = cuts[int(slider.input_value())][0]
        assert counted(threshold).items() <= shown().items()
    assert shown() != before
    assert f"recall {shown()['recall']}" in slider.get_attribute("aria-valuetext")
    page.keyboard.press("Home")
    assert (shown()["alerts"], shown()["precision"], shown()["threshold"]) == ("0.0", "-", "above every score")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert shown() == before


def test_numbers_without_a_script_are_those_that_it_shows(opened, report, browser):
    plain = browser.new_context(java_script_enabled=False).new_page()
    plain.goto(report.as_uri())
    texts = [page.locator("[data-said]").all_inner_texts() for page in (plain, opened(report))]
    plain.context.close()
    assert texts[0] == texts[1]
    assert len(texts[0]) == 12


def test_paper_has_everything_in_black_on_white(opened, report):
    page = opened(report, "dark")
    page.emulate_media(media="print", color_scheme="dark")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert not page.locator("nav").is_visible()
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.evaluate("[...document.querySelectorAll('details')].every(each => each.open)")
    assert page.pdf()[:5] == b"%PDF-"


def test_a_change_of_the_script_would_be_refused(browser, report, tmp_path):
    """The policy holds: a page whose script was changed runs nothing, and says so."""
    changed = tmp_path / "changed.html"
    changed.write_text(report.read_text(encoding="utf-8").replace('"use strict";', '"use strict"; alert(1);', 1))
    page, said = browser.new_page(), []
    page.on("console", lambda line: said.append(line.text))
    page.on("dialog", lambda dialog: said.append("dialog"))
    page.goto(changed.as_uri())
    page.evaluate("fetch('https://example.org/x').catch(() => 0)")
    page.close()
    assert "dialog" not in said
    assert sum("Content Security Policy" in line for line in said) >= 2
