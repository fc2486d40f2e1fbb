"""Commands that make a run: train and merge."""

from __future__ import annotations

import os
import shlex
import textwrap
from pathlib import Path
from typing import Annotated, Any

import typer

from nlptl.cli.choices import completing
from nlptl.cli.console import program
from nlptl.cli.help import DATA, HOW, LEARN, WHERE, is_verbose
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
    Resume,
    RunArgument,
    Seed,
    Settings,
    Shots,
    Split,
    TasksDir,
    Test,
    TextColumn,
    Validation,
    configured,
    data_settings,
    data_sources,
    option,
    out,
)
from nlptl.cli.predictions import is_first_process
from nlptl.cli.printing import print_predictions

EXAMPLES = 3
MOST_COLUMNS = 100


def train(
    context: typer.Context,
    task: Annotated[
        str | None,
        typer.Argument(
            metavar="TASK",
            help="See `nlptl tasks`; or several as a+b+c on one encoder.",
            show_default=False,
            autocompletion=completing("tasks"),
            rich_help_panel=LEARN,
        ),
    ] = None,
    tasks_dir: TasksDir = None,
    data: DataByTask = None,
    validation: Validation = None,
    test: Test = None,
    text_column: TextColumn = None,
    label_column: LabelColumn = None,
    label_map: LabelMap = None,
    delimiter: Delimiter = None,
    split: Split = None,
    shots: Shots = None,
    via: Annotated[
        list[str] | None,
        option(
            panel=DATA,
            metavar="FILE|DIR|RUN",
            help="Other data with labels of its own that the encoder learns first, or a finished run; can be repeated. "
            "What it gave is compared with learning the task straight.",
            show_default=False,
        ),
    ] = None,
    mode: Mode = None,
    strategy: Annotated[
        str | None,
        option(
            panel=HOW,
            among="strategies",
            help="How the labels are used: <strategies>. "
            "Default: fine_tune; in mode full with --shots up to 50, contrastive.",
        ),
    ] = None,
    checkpoint: CheckpointOption = None,
    head: Annotated[
        str | None,
        option(
            panel=HOW,
            among="head-starts",
            help="What the head starts from: a linear probe, noise, or (keep) the head of the run that --checkpoint "
            "names, to train it on. Default: the mode's.",
        ),
    ] = None,
    epochs: Epochs = None,
    learning_rate: LearningRate = None,
    batch_size: BatchSize = None,
    seed: Seed = None,
    compare: Annotated[
        bool,
        option(
            "--compare",
            panel=HOW,
            help="Also fit the baselines on TF-IDF on the same rows, and report the difference to the best; of "
            "several tasks, also train each alone.",
        ),
    ] = False,
    config: ConfigFile = None,
    settings: Settings = None,
    output: Annotated[
        str | None, option(panel=WHERE, metavar="DIR", help="The run folder. Default: runs/TASK-MODE-TIME")
    ] = None,
    resume: Resume = False,
) -> None:
    """Train a classifier and save it as a run.

    Examples:

      nlptl train sentiment --compare

      nlptl train fraud-text --mode lora --data sms.csv --text-column message --label-map ham=legitimate,spam=fraud

      nlptl train sentiment+chatbot-intent+fraud-text --data fraud-text=sms.csv --compare

      nlptl train chatbot-intent --data banking77/ --shots 10 --via clinc150/

      nlptl train chatbot-intent --data new-rows.csv --checkpoint runs/last-year --head keep

      accelerate launch -m nlptl train chatbot-intent --data banking77/
    """
    chosen: dict[str, Any] = {
        "task": task,
        "mode": mode,
        "strategy": strategy,
        "checkpoint": checkpoint,
        "model.head_start": head,
        "seed": seed,
        "output": output,
        "tasks_dir": tasks_dir,
        **data_settings(None, validation, test, text_column, label_column, label_map, shots, delimiter, split),
        "via.sources": via or None,
        "training.epochs": epochs,
        "training.learning_rate": learning_rate,
        "training.batch_size": batch_size,
    }
    from nlptl.verbs.request import asked_for_several, comparing

    several = asked_for_several(config, {"task": task})
    chosen |= {comparing(several): compare or None, **data_sources(data or [], several)}
    resolved = configured(config, settings, chosen, several=True)
    from nlptl.inference.predictor import load
    from nlptl.verbs.train import train_folder

    folder = train_folder(resolved, resume=resume)
    if int(os.environ.get("RANK", "0")) == 0:
        show_run(load(folder, resolved.runtime.precision, resolved.runtime.progress), is_verbose(context))


def merge(
    run: RunArgument, output: Annotated[Path, option(panel=WHERE, metavar="DIR", help="The new run folder.")]
) -> None:
    """Fold a run's adapter and its checkpoint into weights that stand alone."""
    if not is_first_process("merge"):
        return
    from nlptl.verbs.train import merge as merged

    out.print(f"Merged run written to {merged(run, output)}")


def show_run(run: Any, verbose: bool = False) -> None:
    """A fresh run's numbers, first predictions, and what to do next.

    Args:
        run: a `Run`.
        verbose: also where its time went.
    """
    from nlptl.evaluation.wording import comparison_sentences, forgetting_sentences, via_sentences
    from nlptl.reports.tables import comparison_table, results_table, time_table

    out.print(results_table(run.metrics))
    if "tasks" in run.metrics:
        out.print(comparison_table(run.metrics["tasks"]))
    if verbose:
        out.print(time_table(run.metrics))
    several = len(run.tasks) > 1
    for name in run.tasks:
        out.print(f"Three predictions on test rows{f' of {name}' if several else ''}:")
        _show_examples(run.task(name), run.folder / "heads" / name if several else run.folder)
    if "comparison" in run.metrics:
        out.print(textwrap.fill(comparison_sentences(run.metrics["comparison"]), _width()), highlight=False)
    if "comparison" in run.metrics.get("via", {}):
        out.print(textwrap.fill(via_sentences(run.metrics["via"]), _width()), highlight=False)
    if "forgetting" in run.metrics:
        out.print(textwrap.fill(forgetting_sentences(run.metrics["forgetting"]), _width()), highlight=False)
    show_folder(run)


def show_folder(run: Any) -> None:
    """Where a fresh run lies, how long it took, and the commands that go on from it."""
    flag = f" --task {run.tasks[0]}" if len(run.tasks) > 1 else ""
    folder = shlex.quote(str(run.folder))
    out.print(f"Run folder: {run.folder} ({run.metrics['time']['total_seconds']:.0f} s)", highlight=False)
    nlptl = program()
    first = run.task(run.tasks[0])
    text = '"your text"' if first.text_columns == 1 else '"your text" "its partner"'
    out.print(f"Next: {nlptl} predict {folder}{flag} {text}", highlight=False)
    out.print(f"      {nlptl} evaluate {folder}{flag} --data FILE", highlight=False)
    is_control = "baseline" in run.metrics["model"]
    if not flag and not is_control and not {"comparison", "adaptation"} & run.metrics.keys():
        out.print(f"      {nlptl} train --config {folder}/run.yaml --output {folder} --compare", highlight=False)


def _width() -> int:
    """Columns for sentences and for texts that have one line each."""
    return min(MOST_COLUMNS, out.width)


def _show_examples(run: Any, home: Path) -> None:
    from nlptl.data.files import read_chunks

    chunk = next(read_chunks(home / "predictions.csv", rows=EXAMPLES))
    columns = [name for name in ("text", "text_pair") if name in chunk]
    texts = [row if len(columns) == 2 else row[0] for row in chunk[columns].itertuples(index=False, name=None)]
    print_predictions(run, texts, False, None, "table", gold=list(chunk["label"]), width=_width())
