"""`nlptl baseline`: classical models as controls."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from nlptl.cli.choices import EVERY
from nlptl.cli.help import HOW, WHERE, is_verbose
from nlptl.cli.options import (
    ConfigFile,
    Data,
    Delimiter,
    LabelColumn,
    LabelMap,
    Seed,
    Settings,
    Shots,
    Split,
    TaskArgument,
    TasksDir,
    Test,
    TextColumn,
    Validation,
    configured,
    data_settings,
    option,
    out,
)
from nlptl.cli.runs import show_run

DEFAULT = "logistic_regression"


def baseline(
    context: typer.Context,
    task: TaskArgument = None,
    tasks_dir: TasksDir = None,
    model: Annotated[
        str | None,
        option(panel=HOW, among="baselines-or-all", help="<baselines-or-all>. Default: logistic_regression."),
    ] = None,
    data: Data = None,
    validation: Validation = None,
    test: Test = None,
    text_column: TextColumn = None,
    label_column: LabelColumn = None,
    label_map: LabelMap = None,
    delimiter: Delimiter = None,
    split: Split = None,
    shots: Shots = None,
    seed: Seed = None,
    config: ConfigFile = None,
    settings: Settings = None,
    output: Annotated[
        str | None,
        option(panel=WHERE, metavar="DIR", help="The run folder; with all, the folder of the runs. Default: in runs/"),
    ] = None,
) -> None:
    """Train a classical model on TF-IDF vectors: what transfer learning has to beat on your data.

    Features and settings are tuned on validation. The run is one like any other: `nlptl predict`, `nlptl evaluate`.

    Examples:

      nlptl baseline sentiment

      nlptl baseline fraud-text --model all --data sms.csv --label-map ham=legitimate,spam=fraud
    """
    chosen = {
        "task": task,
        "seed": seed,
        "output": output,
        "tasks_dir": tasks_dir,
        "baseline.model": None if model == EVERY else model,
        **data_settings(data, validation, test, text_column, label_column, label_map, shots, delimiter, split),
    }
    resolved = configured(config, settings, chosen, baseline=DEFAULT)
    from nlptl.verbs.train import train_config

    if model != EVERY:
        show_run(train_config(resolved), is_verbose(context))
        return
    from nlptl.evaluation.wording import shown
    from nlptl.registry import BASELINES

    table = Table("baseline", "validation", "test", "features", "seconds", title_justify="left")
    folders: list[str] = []
    for name in BASELINES:
        one = resolved.with_baseline(name)
        if output is not None:
            one = one.model_copy(update={"output": str(Path(output) / name)})
        run = train_config(one)
        metric, metrics = run.artifact.task.metric, run.metrics
        table.title = f"{metric} of each baseline"
        values = (shown(metrics[split][metric]) for split in ("validation", "test"))
        table.add_row(name, *values, metrics["training"]["features"], f"{metrics['time']['total_seconds']:.1f}")
        folders.append(str(run.folder))
    out.print(table)
    out.print("Run folders:", *folders, sep="\n", highlight=False)
    out.print("Choose by validation; the test split only reports.")
