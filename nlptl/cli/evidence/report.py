"""`nlptl report`: what a run or a comparison has to say, as one HTML file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nlptl.cli.choices import completing
from nlptl.cli.help import WHERE
from nlptl.cli.options import option, out


def report(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="RUN|COMPARISON",
            help="A run folder, or the folder of a comparison (`nlptl compare`).",
            show_default=False,
            autocompletion=completing("runs"),
        ),
    ],
    output: Annotated[
        Path | None,
        option(panel=WHERE, metavar="FILE", help="The HTML file. Default: report.html in the folder of the source."),
    ] = None,
    figures: Annotated[
        Path | None, option(panel=WHERE, metavar="DIR", help="Also write each figure alone, as SVG.")
    ] = None,
    no_texts: Annotated[
        bool, option("--no-texts", panel=WHERE, help="Leave out every text of a row: they may be personal data.")
    ] = False,
) -> None:
    """Write a report: one HTML file that anybody can open, and that asks for nothing from elsewhere.

    What the run is, its numbers with intervals, confusions, curves, what other thresholds would give, parts of the
    test rows, and the worst mistakes. Needs the extra `plots`; the model is not opened.

    Examples:

      nlptl report runs/my-run

      nlptl report runs/my-run --no-texts --output for-the-board.html --figures figures
    """
    from nlptl.verbs.report import report as write_report

    path = write_report(source, output, texts=not no_texts, figures=figures)
    out.print(f"Report: {path} ({path.stat().st_size / 1e3:,.0f} kB)", highlight=False)
    if figures is not None:
        out.print(f"Figures: {figures}", highlight=False)
    if not no_texts:
        out.print("Texts of test rows stand in it; --no-texts leaves them out.", highlight=False)
