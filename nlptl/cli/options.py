"""What several commands share: option types, the console, and data options as a config section."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from nlptl.cli.choices import completing
from nlptl.cli.help import DATA, HOW, LEARN, WHERE
from nlptl.config.overrides import parse_assignments, parse_label_map
from nlptl.config.records import Record
from nlptl.config.run import RunConfig
from nlptl.errors import ConfigError, NlptlError
from nlptl.tasks import TaskSpec

# Without markup: names of labels, columns and files may hold square brackets.
out = Console(soft_wrap=True, markup=False)


def option(
    *names: str, panel: str, help: str, among: str | None = None, metavar: str | None = None, **more: Any
) -> Any:
    """An option of a command.

    Args:
        names: such as `--set`; none: as the parameter is called.
        panel: of the help.
        help: one or two short sentences.
        among: a key of `CHOICES`: what it may be, shown in the help and completed by the shell.
        metavar: what stands for the value where it is no choice, or an open one that is only completed; a flag, whose
            names are given, has none.
        more: as `typer.Option`.
    """
    shown = metavar or (f"<{among}>" if among else "" if names else None)
    offered = completing(among) if among else None
    return typer.Option(*names, help=help, rich_help_panel=panel, metavar=shown, autocompletion=offered, **more)


TaskArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="TASK",
        help="See `nlptl tasks`.",
        show_default=False,
        autocompletion=completing("tasks"),
        rich_help_panel=LEARN,
    ),
]
RunArgument = Annotated[
    Path,
    typer.Argument(
        metavar="RUN",
        help="A run folder.",
        show_default=False,
        autocompletion=completing("runs"),
    ),
]
TasksDir = Annotated[
    str | None, option(panel=DATA, metavar="DIR", help="A folder with your own tasks; also the variable NLPTL_TASKS.")
]
TaskName = Annotated[str | None, option("--task", panel=HOW, metavar="NAME", help="Which task of a multi-task run.")]

LabelMap = Annotated[
    str | None,
    option(
        panel=DATA,
        metavar="OLD=NEW,...",
        help="Labels of the data as the task names them: ham=legitimate,spam=fraud; `3=` leaves its rows out.",
    ),
]
TextColumn = Annotated[
    list[str] | None,
    option(panel=DATA, metavar="COLUMN", help="Column with the texts; twice for a pair.", show_default=False),
]
LabelColumn = Annotated[str | None, option(panel=DATA, metavar="COLUMN", help="Column with the labels.")]
Data = Annotated[
    str | None,
    option(
        panel=DATA,
        metavar="FILE|DIR|HUB_ID",
        help="CSV, TSV, JSONL or Parquet; a folder of split files; a Hub id; "
        "or a data set the task names. Default: the task's bundled sample.",
    ),
]
DataByTask = Annotated[
    list[str] | None,
    option(
        panel=DATA,
        metavar="[TASK=]FILE|DIR|HUB_ID",
        help="CSV, TSV, JSONL or Parquet; a folder of split files; a Hub id; or a data set the task names. "
        "For several tasks: TASK=..., once for each. Default: the task's bundled sample.",
        show_default=False,
    ),
]
Validation = Annotated[str | None, option(panel=DATA, metavar="FILE", help="Default: cut from train.")]
Test = Annotated[str | None, option(panel=DATA, metavar="FILE", help="Default: the data's own, else cut from train.")]
Split = Annotated[
    str | None,
    option(
        panel=DATA,
        metavar="time:COLUMN|group:COLUMN",
        help="Test the latest rows, or whole groups, instead of rows at random.",
    ),
]
Shots = Annotated[int | None, option(panel=DATA, metavar="N", help="Use this many training rows per label.")]
Delimiter = Annotated[
    str | None,
    option(
        panel=DATA,
        metavar="CHARACTER",
        help="Between the columns of CSV and TSV files. Default: found in the file.",
    ),
]
Encoding = Annotated[
    str | None,
    option(panel=DATA, metavar="NAME", help="Of text and CSV files. Default: UTF-8, or what a byte order mark says."),
]
Quotes = Annotated[
    str | None,
    option(
        panel=DATA,
        among="quotes",
        help="How quote marks are used in CSV files; none: as letters. Default: found out from the file.",
    ),
]

CheckpointOption = Annotated[
    str | None,
    option(
        panel=HOW,
        among="checkpoints",
        metavar="NAME|ID|DIR",
        help="A name (see `nlptl checkpoints`), a Hub id, or a folder: also of a pre-training or a finished run, whose "
        "encoder it then is.",
    ),
]
# What stands in angle brackets is filled in when help is asked for: see `nlptl.cli.choices`.
Mode = Annotated[
    str | None, option(panel=HOW, among="modes", help="How much of the encoder learns: <modes>. Default: full.")
]
Epochs = Annotated[
    int | None,
    option(panel=HOW, metavar="N", help="Passes over the training rows. Default: the task's or the mode's."),
]
LearningRate = Annotated[
    float | None,
    option(panel=HOW, metavar="RATE", help="Highest one of the encoder. Default: the task's or the mode's."),
]
BatchSize = Annotated[
    int | None, option(panel=HOW, metavar="N", help="Rows per optimizer step. Default: the task's or the mode's.")
]
Seed = Annotated[int | None, option(panel=HOW, metavar="N", help="Decides everything that is random. Default 0.")]
ConfigFile = Annotated[Path | None, option(panel=HOW, metavar="YAML", help="Start from a file, such as RUN/run.yaml.")]
Settings = Annotated[
    list[str] | None,
    option("--set", panel=HOW, metavar="SECTION.KEY=VALUE", help="Any other setting; can be repeated."),
]
Resume = Annotated[bool, option("--resume", panel=WHERE, help="Go on with an unfinished run.")]


def data_settings(
    source: str | None,
    validation: str | None,
    test: str | None,
    text_column: list[str] | None,
    label_column: str | None,
    label_map: str | None,
    shots: int | None,
    delimiter: str | None = None,
    split: str | None = None,
) -> dict[str, Any]:
    """What the options about data say, by dotted key; None where one was not given."""
    return {
        "data.source": source,
        "data.validation": validation,
        "data.test": test,
        "data.text_columns": text_column or None,
        "data.label_column": label_column,
        "data.label_map": parse_label_map(label_map) if label_map else None,
        "data.shots": shots,
        "data.delimiter": delimiter,
        "data.split": split,
    }


def data_sources(data: list[str], several: bool) -> dict[str, Any]:
    """What `--data` says, as settings.

    Raises:
        ConfigError: one task with two sources, or several tasks and a source that names none of them.
    """
    if not several:
        if len(data) > 1:
            raise ConfigError("--data was given more than once; one task has one source.")
        return {"data.source": data[0]} if data else {}
    named = [part.partition("=") for part in data]
    bare = [source for source, equals, _ in named if not equals]
    if bare:
        raise ConfigError(f"--data {bare[0]} does not say which task it belongs to. Write --data TASK={bare[0]}")
    return {"multi_task.sources": {name: source for name, _, source in named}} if named else {}


def assigned(settings: list[str] | None, record: type[Record] = RunConfig) -> tuple[dict[str, Any], list[NlptlError]]:
    """What `--set` says, and what is wrong with it, to be told with the other faults of a command."""
    try:
        return parse_assignments(settings or [], record), []
    except ConfigError as error:
        return {}, [error]


def configured(
    file: Path | None,
    settings: list[str] | None,
    chosen: dict[str, Any],
    several: bool = False,
    known_task: TaskSpec | None = None,
    reads: Collection[str] | None = None,
    baseline: str | None = None,
    crosses_domains: bool = False,
) -> RunConfig:
    """The configuration of a file, `--set` and flags, the last ones first; every fault is told at once.

    Args:
        file: to start from.
        settings: of `--set`.
        chosen: by flags, under dotted keys; None where one was not given.
        several, known_task, reads, baseline, crosses_domains: as in `nlptl.verbs.request.checked_config`.

    Raises:
        NlptlError: every fault of the settings, and every name that there is not.
    """
    from nlptl.verbs.request import checked_config

    values, faults = assigned(settings)
    flags = {key: value for key, value in chosen.items() if value is not None}
    return checked_config(
        file,
        {**values, **flags},
        several=several,
        known_task=known_task,
        reads=reads,
        baseline=baseline,
        crosses_domains=crosses_domains,
        faults=faults,
    )
