"""`nlptl splits`: what a random split would have flattered."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from nlptl.cli.help import HOW, WHERE
from nlptl.cli.options import (
    Data,
    Delimiter,
    LabelColumn,
    LabelMap,
    Seed,
    Settings,
    Split,
    TaskArgument,
    TasksDir,
    TextColumn,
    configured,
    data_settings,
    option,
    out,
)
from nlptl.cli.predictions import is_first_process


def splits(
    task: TaskArgument = None,
    tasks_dir: TasksDir = None,
    data: Data = None,
    split: Split = None,
    text_column: TextColumn = None,
    label_column: LabelColumn = None,
    label_map: LabelMap = None,
    delimiter: Delimiter = None,
    model: Annotated[
        str | None, option(panel=HOW, among="baselines", help="<baselines>. Default: the head of a frozen encoder.")
    ] = None,
    seeds: Annotated[int, option(panel=HOW, metavar="N", min=1, help="Random splits that are averaged.")] = 3,
    seed: Seed = None,
    settings: Settings = None,
    output: Annotated[Path | None, option(panel=WHERE, metavar="FILE", help="Also write the numbers as JSON.")] = None,
) -> None:
    """Measure a model on random splits and along a column, and say what the random ones flatter.

    Rows of one campaign, customer or week on both sides of a random split make a model look better than it will be on
    new ones. The head of a frozen encoder is trained on both kinds of splits; no run is kept.

    Examples:

      nlptl splits fraud-text --data mails.csv --split time:received

      nlptl splits fraud-text --data mails.csv --split group:sender --model linear_svm
    """
    kind = {"baseline.model": model} if model is not None else {"mode": "feature_extraction"}
    asked = data_settings(data, None, None, text_column, label_column, label_map, None, delimiter, split)
    config = configured(None, settings, {"task": task, "seed": seed, "tasks_dir": tasks_dir, **kind, **asked})
    if not is_first_process("splits"):
        return
    from nlptl.reports.tables import rows_table
    from nlptl.storage.json_files import write_json
    from nlptl.verbs.splits import split_comparison

    found = split_comparison(config, None, seeds)
    out.print(rows_table(found.rows, f"{found.metric} of {found.model} on test (error: standard error over rows)"))
    out.print(found.sentence, highlight=False)
    if output is not None:
        write_json(output, found.to_json())
        out.print(f"Written to {output}")
