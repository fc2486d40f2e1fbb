"""A drift check for people: a table of its tests, and a picture of both samples."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rich.table import Table

from nlptl.errors import DataError, MissingExtraError
from nlptl.evaluation.significance import p_text
from nlptl.evaluation.wording import shown
from nlptl.monitoring.report import DriftReport
from nlptl.reports.tables import rows_table

MEASURE_OF = {
    "classifier": ("classifier", "AUC"),
    "mmd": ("MMD", "witness AUC"),
    "scores": ("scores", "KS distance"),
    "labels": ("decided labels", "changed"),
    "accuracy": ("accuracy", "difference"),
}
"""Name of a test -> what it looks at, and its effect."""
LETTERS = 40
FORMATS = (".png", ".svg", ".pdf")


def tests_table(report: DriftReport) -> Table:
    """Each test with its effect, what chance gives, the floor, and p."""
    table = Table(title="Tests", title_justify="left", box=None, pad_edge=False)
    for column in ("test", "effect", "size", "chance", "floor", "p", "after Holm", "sign"):
        table.add_column(column, justify="left" if column in ("test", "effect", "sign") else "right")
    for one in report.tests:
        what, measure = MEASURE_OF[one.test.name]
        sizes = (one.test.effect, one.test.by_chance, _floor(report, one.test.name))
        p = (p_text(value).removeprefix("p ").removeprefix("= ") for value in (one.test.p, one.p))
        table.add_row(what, measure, *map(shown, sizes), *p, "yes" if one.counts else "no")
    return table


def facts_table(report: DriftReport) -> Table:
    """Plain facts about the texts of both sides; those that are zero on both are left out."""
    return rows_table([row for row in report.facts if row["reference"] or row["new"]], "Facts about the texts")


def furthest_table(report: DriftReport) -> Table:
    """The new texts that look least like the reference, the strangest first."""
    title = "New texts that look least like the reference"
    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    for column in ("row", "distance", "predicted", "score", "text"):
        right = column in ("row", "distance", "score")
        table.add_column(column, justify="right" if right else "left")
    for each in report.furthest:
        text = " ".join(each["text"].split())
        label = each["predicted"] if isinstance(each["predicted"], str) else ", ".join(each["predicted"]) or "(none)"
        shown_text = text if len(text) <= LETTERS else f"{text[: LETTERS - 3]}..."
        table.add_row(str(each["row"]), f"{each['distance']:.2f}", label, f"{each['score']:.4f}", shown_text)
    return table


def plot_drift(report: DriftReport, path: Path | None = None) -> Any:
    """Draw the scores of both samples as histograms, and their features in two dimensions (PCA).

    Args:
        report: of `nlptl.drift`.
        path: a file that the picture is also written to: png, svg or pdf.

    Returns:
        The matplotlib Figure.

    Raises:
        MissingExtraError: matplotlib is not installed.
        DataError: the file's ending is no format of pictures, or it cannot be written.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtraError("Plots need matplotlib: pip install 'nlptl[plots]'") from error
    check_plot(path)
    sides = (f"reference ({report.reference['compared']})", f"new ({report.new['compared']})")
    panels = 1 if report.projection is None else 2
    figure = Figure(figsize=(4.8 * panels, 3.8), layout="constrained")  # without pyplot: no window, no global state
    figure.suptitle(f"{report.task}: {report.verdict}", fontsize="medium")
    axes = figure.subplots(1, panels, squeeze=False)[0]
    for scores, name, colour in zip(report.scores, sides, ("C0", "C1"), strict=True):
        axes[0].hist(scores, bins=20, range=(0, 1), density=True, histtype="step", color=colour, label=name)
    axes[0].axvline(report.least_confident["cut"], color="0.5", linestyle=":", label="least confident 5 %")
    axes[0].set(xlabel="probability of the decided label", ylabel="density")
    axes[0].legend(fontsize="small", loc="upper left")
    if report.projection is not None:
        for plane, name, marker in zip(report.projection, sides, ("o", "x"), strict=True):
            axes[1].scatter(plane[:, 0], plane[:, 1], s=10, marker=marker, alpha=0.5, linewidths=0.8, label=name)
        axes[1].set(xlabel="first principal component", ylabel="second")
        axes[1].legend(fontsize="small")
    if path is not None:
        try:
            figure.savefig(path)
        except OSError as error:
            raise DataError(f"Cannot write {path}: {error.strerror or error}.") from error
    return figure


def check_plot(path: Path | None) -> None:
    """Raises DataError where a picture's ending is no format that can be drawn."""
    if path is not None and path.suffix.lower() not in FORMATS:
        raise DataError(f"{path}: unknown format {path.suffix!r} of a picture. Use one of {', '.join(FORMATS)}.")


def _floor(report: DriftReport, name: str) -> float:
    if name in ("classifier", "mmd"):
        return report.floors.auc
    return -report.floors.accuracy if name == "accuracy" else report.floors.change
