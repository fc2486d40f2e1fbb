"""The report of a run or a comparison: facts gathered, figures drawn, one page written."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from nlptl.errors import ArtifactError
from nlptl.reports.facts.comparison import is_comparison, read_comparison
from nlptl.reports.facts.curves import Cuts, Reliability, cuts_of, reliability_of
from nlptl.reports.facts.rows import read_rows
from nlptl.reports.facts.run import Part, RunFacts, read_run
from nlptl.reports.figures.kept import Drawings
from nlptl.reports.html import about, comparison, hardening, measures, policy, summary, test_rows
from nlptl.reports.html.markup import Html, element, joined
from nlptl.reports.html.page import Section, page

MOST_TASKS = 4
"""Of a run whose tasks have figures and rows; of further ones the numbers are told."""
MOST_SLIDERS = 20
"""Labels with a slider, where a text may have several; the most frequent ones."""


def report_of(source: Path, texts: bool) -> tuple[str, Drawings]:
    """The page of a finished run, or of a comparison, and its figures.

    Args:
        source: a run folder; the folder of a comparison, or its `comparison.json`.
        texts: whether texts of rows may stand in it.

    Raises:
        NlptlError: the source cannot be read, or matplotlib is not installed.
    """
    return report_of_comparison(source) if is_comparison(source) else report_of_run(source, texts)


def report_of_comparison(path: Path) -> tuple[str, Drawings]:
    """The page of a comparison, and its figures; it holds no texts.

    Raises:
        NlptlError: the comparison cannot be read, or matplotlib is not installed.
    """
    facts, drawings = read_comparison(path), Drawings()
    sections = comparison.sections(facts, drawings)
    footer = "Made by nlptl from comparison.json alone; the page asks for nothing. No text of a row is in this file."
    return page(f"{facts.task[:80]}: comparison", comparison.header(facts), sections, element("span", footer)), drawings


def report_of_run(folder: Path, texts: bool) -> tuple[str, Drawings]:
    """The page of a finished run, and its figures.

    Args:
        folder: of the run.
        texts: whether texts of rows may stand in it.

    Raises:
        NlptlError: the run cannot be read, or matplotlib is not installed.
    """
    facts, drawings = read_run(folder), Drawings()
    several = len(facts.parts) > 1
    sections = [Section("about", "What this run is", about.about(facts))]
    for place, part in enumerate(facts.parts, 1):
        prefix = f"task-{place}-" if several else ""
        if several:
            sections.append(
                Section(f"task-{place}", f"Task {part.task.name[:60]}", element("p", part.task.description[:500]))
            )
        if place <= MOST_TASKS:
            sections += _of_task(facts, part, drawings, texts, prefix, 3 if several else 2)
        else:
            sections.append(Section(f"{prefix}metrics", "Metrics", measures.metrics(part), 3))
    if not several:  # what it comes to stands above what it is
        sections.insert(0, sections.pop(1))
    attacked = hardening.robustness(facts.robustness) if facts.robustness is not None else None
    sections += [Section("robustness", "Robustness", attacked)] if attacked is not None else []
    sections += [
        Section("cost", "Time and memory", about.cost(facts)),
        Section("repeat", "How to repeat it", about.repeat(facts)),
    ]
    title = f"{' + '.join(part.task.name for part in facts.parts)[:80]}: run report"
    return page(title, summary.header(facts), sections, _footer(facts, texts)), drawings


def _of_task(facts: RunFacts, part: Part, drawings: Drawings, texts: bool, prefix: str, level: int) -> list[Section]:
    rows = read_rows(part, texts)
    reliability = _reliability(part)
    cuts = _cuts(part)
    own = cuts[0][1] if cuts and not part.several_labels else None
    training = facts.metrics.get("training", {}) if len(facts.parts) == 1 else {}
    shown: list[tuple[str, str, Html | None]] = [
        ("summary", "In short", summary.summary(facts, part, rows, next(iter(reliability.values()), None))),
        ("data", "Data", about.data(facts, part)),
        ("metrics", "Metrics", measures.metrics(part)),
        ("labels", "Labels", measures.labels(part)),
        ("confusion", "Confusions", measures.confusions(part, drawings, prefix)),
        ("curves", "Curves", measures.curves(part, training, own, reliability, drawings, prefix)),
        ("decision", "Decision", policy.policy(part, cuts, prefix)),
        ("scope", "Out of scope", hardening.out_of_scope(part)),
        ("slices", "Parts of the test rows", test_rows.slices(part, rows)),
        ("mistakes", "Worst mistakes", test_rows.mistakes(rows, texts)),
    ]
    return [Section(f"{prefix}{name}", title, body, level) for name, title, body in shown if body is not None]


def _reliability(part: Part) -> dict[str, Reliability]:
    """Of the most probable label; of several labels at once, of every label of every row."""
    probabilities, targets = part.probabilities, part.targets
    if probabilities is None or targets is None or not len(targets):
        return {}
    if part.calibration.method == "none" or part.plain is None:
        return {"not calibrated": reliability_of(probabilities, targets)}
    found = {"calibrated": probabilities, "before calibration": part.plain}
    return {name: reliability_of(each, targets) for name, each in found.items()}


def _cuts(part: Part) -> list[tuple[str, Cuts, float | None]]:
    """The label, its thresholds and the fitted one: of the positive label, or of each of several labels."""
    probabilities, targets = part.probabilities, part.targets
    if probabilities is None or targets is None or not len(targets):
        return []
    if part.several_labels:
        order = (-targets.sum(0)).argsort(kind="stable")[:MOST_SLIDERS]
        own = part.decision.get("thresholds") or {}
        fitted = [(i, own.get(part.labels[i], part.decision.get("threshold"))) for i in order]
        return [(part.labels[i], cuts_of(probabilities[:, i], targets[:, i] > 0.5, cut), cut) for i, cut in fitted]
    if part.positive is None:
        return []
    cut = part.threshold
    label = part.labels[part.positive]
    return [(label, cuts_of(probabilities[:, part.positive], targets == part.positive, cut), cut)]


def _footer(facts: RunFacts, texts: bool) -> Html:
    version = facts.metrics.get("versions", {}).get("nlptl", "")
    kept = (
        "Texts of rows stand in this file: treat it as you treat the data."
        if texts
        else "No text of a row is in this file."
    )
    return joined(f"Made by nlptl {version} from the files of the run folder alone; the page asks for nothing. ", kept)


def write_page(content: str, path: Path) -> None:
    """Write a page aside and rename it.

    Raises:
        ArtifactError: the system refuses.
    """
    aside = path.with_name(f"{path.name}.part")
    try:
        aside.write_text(content, encoding="utf-8")
        aside.replace(path)
    except OSError as error:
        with suppress(OSError):
            aside.unlink(missing_ok=True)
        raise ArtifactError(f"Cannot write {path}: {error.strerror or error}.") from error
