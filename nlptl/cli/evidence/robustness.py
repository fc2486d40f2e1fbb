"""`nlptl robustness`: what a run loses to texts that are written to get past it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from nlptl.cli.help import DATA, HOW, WHERE
from nlptl.cli.options import (
    Delimiter,
    LabelColumn,
    LabelMap,
    RunArgument,
    Seed,
    TaskName,
    TextColumn,
    data_settings,
    option,
    out,
)
from nlptl.cli.predictions import is_first_process
from nlptl.config.overrides import load_config


def robustness(
    run: RunArgument,
    data: Annotated[
        str | None,
        option(
            panel=DATA,
            metavar="FILE|DIR|NAME",
            help="Labelled rows, as `nlptl evaluate` takes them. Default: the run's own test rows.",
        ),
    ] = None,
    task: TaskName = None,
    text_column: TextColumn = None,
    label_column: LabelColumn = None,
    label_map: LabelMap = None,
    delimiter: Delimiter = None,
    rows: Annotated[
        int, option(panel=DATA, metavar="N", min=10, help="Rows that are used at most, drawn with the seed.")
    ] = 2000,
    attacks: Annotated[
        list[str] | None,
        option(
            "--attack", panel=HOW, among="attacks", help="Can be repeated: <attacks>. Default: all.", show_default=False
        ),
    ] = None,
    normaliser: Annotated[
        str | None,
        option(
            panel=HOW,
            among="normalisers",
            help="What the run is asked through besides, as it is; none: nothing. Default: confusables.",
        ),
    ] = None,
    seed: Seed = None,
    output: Annotated[Path | None, option(panel=WHERE, metavar="FILE", help="Also write the numbers as JSON.")] = None,
    plot: Annotated[
        Path | None, option(panel=WHERE, metavar="FILE", help="Draw it: png, svg or pdf (extra `plots`).")
    ] = None,
) -> None:
    """Attack the texts of a run's test rows, and say what it loses.

    Of a task with a positive label, such as fraud, its rows alone are attacked: nobody hides an honest message. Points
    lost are of 100, with the half width of a paired 95 % interval.

    Examples:

      nlptl robustness RUN

      nlptl robustness RUN --data new.csv --attack spacing --attack homoglyphs --plot robustness.svg
    """
    if not is_first_process("robustness"):
        return
    from nlptl.attacks.report import measure_robustness
    from nlptl.inference.predictor import load
    from nlptl.reports.robustness import plot_robustness, robustness_table
    from nlptl.storage.json_files import write_json

    chosen = data_settings(None, None, None, text_column, label_column, label_map, None, delimiter)
    named = {key: value for key, value in chosen.items() if value is not None}
    reading = load_config(None, **{"task": "-", **named}).data if named else None
    report = measure_robustness(load(run), data, task, attacks, normaliser, rows, seed or 0, reading)
    out.print(robustness_table(report))
    for sentence in report.sentences:
        out.print(sentence, highlight=False)
    if output is not None:
        write_json(output, report.to_json())
        out.print(f"Written to {output}")
    if plot is not None:
        plot_robustness(report, plot)
        out.print(f"Drawn to {plot}")
