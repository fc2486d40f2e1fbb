"""Commands that make a run: train and merge."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

import typer

from nlptl.cli.options import (
    BatchSize,
    CheckpointOption,
    ConfigFile,
    DataByTask,
    Delimiter,
    Epochs,
    LabelColumn,
    LabelMap,
    LearningRate,
    Mode,
    RunArgument,
    Settings,
    Shots,
    TasksDir,
    Test,
    TextColumn,
    Validation,
    configured,
    data_settings,
    data_sources,
    out,
)
from nlptl.cli.predictions import is_first_process
from nlptl.cli.printing import print_predictions

EXAMPLES = 3


def train(
    task: Annotated[
        str | None,
        typer.Argument(help="A task: see `nlptl tasks`; or several as a+b+c on one encoder.", show_default=False),
    ] = None,
    mode: Mode = None,
    strategy: Annotated[
        str | None,
        typer.Option(
            help="How the labels are used: <strategies>. "
            "Default: fine_tune; in mode full with --shots up to 50, contrastive."
        ),
    ] = None,
    checkpoint: CheckpointOption = None,
    data: DataByTask = None,
    validation: Validation = None,
    test: Test = None,
    text_column: TextColumn = None,
    label_column: LabelColumn = None,
    label_map: LabelMap = None,
    delimiter: Delimiter = None,
    shots: Shots = None,
    seed: Annotated[
        int | None, typer.Option(help="Of splits, shots, initialisation, order, dropout. Default 0.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with an unfinished run.")] = False,
    compare: Annotated[
        bool, typer.Option("--compare", help="Several tasks: also train each alone, and report the differences.")
    ] = False,
    epochs: Epochs = None,
    learning_rate: LearningRate = None,
    batch_size: BatchSize = None,
    output: Annotated[
        str | None, typer.Option(metavar="DIR", help="The run folder. Default: runs/TASK-MODE-TIME")
    ] = None,
    config: ConfigFile = None,
    settings: Settings = None,
    tasks_dir: TasksDir = None,
) -> None:
    """Train a classifier and save it as a run.

    Examples:

      nlptl train sentiment

      nlptl train fraud-text --mode lora --data sms.csv --text-column message --label-map ham=legitimate,spam=fraud

      nlptl train sentiment+chatbot-intent+fraud-text --data fraud-text=sms.csv --compare

      nlptl train chatbot-intent --data banking77/ --shots 10 --strategy contrastive

      accelerate launch -m nlptl train chatbot-intent --data banking77/
    """
    chosen: dict[str, Any] = {
        "task": task,
        "mode": mode,
        "strategy": strategy,
        "checkpoint": checkpoint,
        "seed": seed,
        "output": output,
        "tasks_dir": tasks_dir,
        "multi_task.compare": compare or None,
        **data_settings(None, validation, test, text_column, label_column, label_map, shots, delimiter),
        "training.epochs": epochs,
        "training.learning_rate": learning_rate,
        "training.batch_size": batch_size,
    }
    from nlptl.verbs.request import asked_for_several

    sources = data_sources(data or [], asked_for_several(config, {"task": task}))
    resolved = configured(config, settings, {**chosen, **sources}, several=True)
    from nlptl.api import load, train_folder

    folder = train_folder(resolved, resume=resume)
    if int(os.environ.get("RANK", "0")) == 0:
        show_run(load(folder, resolved.runtime.precision, resolved.runtime.progress))


def merge(run: RunArgument, output: Annotated[Path, typer.Option(metavar="DIR", help="The new run folder.")]) -> None:
    """Fold a run's adapter and its checkpoint into weights that stand alone."""
    if not is_first_process("merge"):
        return
    from nlptl.api import merge as merged

    out.print(f"Merged run written to {merged(run, output)}")


def show_run(run: Any) -> None:
    """A fresh run's numbers, times and first predictions."""
    from nlptl.reports.tables import comparison_table, results_table, time_table

    out.print(results_table(run.metrics))
    if "tasks" in run.metrics:
        out.print(comparison_table(run.metrics["tasks"]))
    out.print(time_table(run.metrics))
    out.print(f"Run folder: {run.folder}", highlight=False)
    several = len(run.tasks) > 1
    for name in run.tasks:
        out.print(f"Three predictions on test rows{f' of {name}' if several else ''}:")
        _show_examples(run.task(name), run.folder / "heads" / name if several else run.folder)
    flag = f"--task {run.tasks[0]} " if several else ""
    out.print(f'Try: nlptl predict {run.folder} {flag}"your text"', highlight=False)


def _show_examples(run: Any, home: Path) -> None:
    from nlptl.data.files import read_chunks

    chunk = next(read_chunks(home / "predictions.csv", rows=EXAMPLES))
    columns = [name for name in ("text", "text_pair") if name in chunk]
    texts = [row if len(columns) == 2 else row[0] for row in chunk[columns].itertuples(index=False, name=None)]
    print_predictions(run, texts, False, None, "table", gold=list(chunk["label"]))
