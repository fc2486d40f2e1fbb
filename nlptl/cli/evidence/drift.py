"""`nlptl drift`: are new texts still like those that a run was measured on?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nlptl.cli.help import DATA, HOW, WHERE
from nlptl.cli.options import (
    Delimiter,
    Encoding,
    LabelMap,
    RunArgument,
    TaskName,
    TextColumn,
    option,
    out,
)
from nlptl.cli.predictions import Precision, is_first_process
from nlptl.config.overrides import parse_label_map
from nlptl.errors import DataError

DRIFTED = 1
"""The exit code with --fail-on-drift; a mistake's is 2."""


def drift(
    run: RunArgument,
    input: Annotated[
        Path, option("--input", panel=DATA, metavar="FILE", help="The new texts: CSV, TSV, JSONL or Parquet.")
    ],
    task: TaskName = None,
    reference: Annotated[
        Path | None,
        option(
            panel=DATA,
            metavar="FILE",
            help="Held-out rows to compare with, none that the run learned from. Default: its own test rows.",
        ),
    ] = None,
    text_column: TextColumn = None,
    label_column: Annotated[
        str | None,
        option(panel=DATA, metavar="COLUMN", help="Labels of the new texts: also measure the accuracy on them."),
    ] = None,
    label_map: LabelMap = None,
    encoding: Encoding = None,
    delimiter: Delimiter = None,
    rows: Annotated[
        int, option(panel=DATA, metavar="N", help="Rows of each side that are compared, drawn with the seed.")
    ] = 5000,
    smallest_auc: Annotated[
        float,
        option(panel=HOW, metavar="AUC", help="Of new texts against the reference, from where on they differ."),
    ] = 0.6,
    smallest_change: Annotated[
        float,
        option(panel=HOW, metavar="SHARE", help="Of scores and of the shares of labels, from where on they moved."),
    ] = 0.1,
    permutations: Annotated[int, option(panel=HOW, metavar="N", help="Of each permutation test.")] = 999,
    precision: Precision = None,
    seed: Annotated[int, option(panel=HOW, metavar="N", help="Of draws, folds and permutations.")] = 0,
    output: Annotated[
        Path | None, option(panel=WHERE, metavar="FILE", help="Also write what was found as JSON, with ten texts.")
    ] = None,
    plot: Annotated[
        Path | None,
        option(panel=WHERE, metavar="FILE", help="Draw both samples: png, svg or pdf (extra `plots`)."),
    ] = None,
    fail_on_drift: Annotated[
        bool, option("--fail-on-drift", panel=WHERE, help="End with exit code 1 where there is drift, for cron.")
    ] = False,
) -> None:
    """Compare new texts with the run's held-out rows: do texts differ, have scores moved?

    The reference is the run's test rows; the rows that it learned from would look different from any new text. A
    difference counts where p < 0.05 after correction for all tests, and the effect reaches its floor.

    Examples:

      nlptl drift RUN --input june.csv

      nlptl drift RUN --input june.csv --label-column intent --plot june.svg

      nlptl drift RUN --input today.csv --output today.json --fail-on-drift
    """
    for written in (output, plot):
        if written is not None and written.exists() and input.exists() and written.samefile(input):
            raise DataError(f"{written} is the input itself. Choose another file.")
    if not is_first_process("drift"):
        return
    from nlptl.reports.drift import check_plot, facts_table, furthest_table, plot_drift, tests_table
    from nlptl.storage.json_files import write_json
    from nlptl.verbs.drift import drift as compare

    check_plot(plot)
    report = compare(
        run,
        input,
        reference=reference,
        task=task,
        text_column=text_column or None,
        label_column=label_column,
        label_map=parse_label_map(label_map) if label_map else None,
        encoding=encoding,
        delimiter=delimiter,
        rows=rows,
        permutations=permutations,
        smallest_auc=smallest_auc,
        smallest_change=smallest_change,
        precision=precision,
        seed=seed,
    )
    out.print(
        f"{report.new['compared']} new rows beside {report.reference['compared']} of {report.reference['origin']}"
    )
    out.print(tests_table(report))
    out.print(facts_table(report))
    if report.drifted and report.furthest:
        out.print(furthest_table(report))
    for said in report.sentences:
        out.print(said, highlight=False)
    out.print(f"Verdict: {report.verdict}", highlight=False)
    if output is not None:
        write_json(output, report.to_json())
        out.print(f"Written to {output}")
    if plot is not None:
        plot_drift(report, plot)
        out.print(f"Drawn to {plot}")
    if fail_on_drift and report.drifted:
        raise typer.Exit(DRIFTED)
