"""A robustness report as a table and as a figure."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rich.table import Table

from nlptl.attacks.report import RobustnessReport
from nlptl.errors import MissingExtraError

SHOWN = {
    "accuracy": "accuracy",
    "macro_f1": "macro F1",
    "recall": "recall",
    "recall_at_1_percent": "recall at 1 %",
}


def robustness_table(report: RobustnessReport) -> Table:
    """Points lost per attack by the run as it is and, beside it, with a normaliser in front."""
    whose = "all rows" if report.positive is None else f"rows of {report.positive!r}"
    title = f"Points lost, {report.rows_attacked} attacked ({whose}) of {report.rows_measured} rows"
    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    measures = [name for name in SHOWN if name in report.rows[0]]
    table.add_column("attack", no_wrap=True, overflow="fold")
    table.add_column("changed", justify="right")
    for name in measures:
        table.add_column(SHOWN[name], justify="right")
    if report.beside is not None:
        table.add_column(f"with {report.beside}", justify="right")
    beside = {row["attack"]: row for row in report.rows if row["normaliser"] == report.beside}
    for row in report.rows:
        if row["normaliser"] != report.normaliser:
            continue
        first = row is report.rows[0]
        cells = [f"{row[name]['value']:.4f}" if first else _lost(row[name]) for name in measures]
        if report.beside is not None:
            cells.append(_lost(beside[row["attack"]][report.measure]))
        table.add_row(row["attack"], "" if first else f"{row['changed']:.0%}", *cells)
    return table


def _lost(measure: dict[str, Any]) -> str:
    margin = "" if measure["margin"] is None else f" ± {measure['margin']:.1f}"
    return f"{measure['lost'] + 0.0:.1f}{margin}"


def plot_robustness(report: RobustnessReport, path: Path | None = None) -> Any:
    """Draw the points lost per attack with 95 % intervals, the worst at the top; beside them those with a normaliser.

    Args:
        report: the result of `nlptl.robustness`.
        path: a file that the figure is also written to; its suffix says the format (png, svg, pdf).

    Returns:
        The matplotlib Figure.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtraError("Plots need matplotlib: pip install 'nlptl[plots]'") from error
    forms = [report.normaliser, *([report.beside] if report.beside else [])]
    own = [row for row in report.rows[1:] if row["normaliser"] == report.normaliser]
    order = [row["attack"] for row in sorted(own, key=lambda row: row[report.measure]["lost"])]
    figure = Figure(figsize=(6.8, 0.9 + 0.36 * len(order)), layout="constrained")
    axes = figure.add_subplot()
    height = 0.8 / len(forms)
    for number, form in enumerate(forms):
        rows = {row["attack"]: row[report.measure] for row in report.rows if row["normaliser"] == form}
        axes.barh(
            [place + height * (len(forms) / 2 - 0.5 - number) for place in range(len(order))],
            [rows[attack]["lost"] for attack in order],
            height,
            xerr=[rows[attack]["margin"] or 0.0 for attack in order],
            label="as trained" if not number else f"{form} in front",
            color=f"C{number}",
        )
    axes.set_yticks(range(len(order)), [attack.replace("_", " ") for attack in order])
    axes.set_xlabel(f"points of {SHOWN[report.measure]} lost (95 % interval)")
    axes.axvline(0.0, color="black", linewidth=0.8)
    axes.legend(fontsize="small", loc="lower right")
    if path is not None:
        figure.savefig(path)
    return figure
