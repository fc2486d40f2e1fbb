"""What several commands share: option types, the console, and data options as a config section."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from nlptl.checkpoints import CHECKPOINTS
from nlptl.config.overrides import parse_assignments, parse_label_map
from nlptl.config.records import Record
from nlptl.config.run import RunConfig
from nlptl.errors import ConfigError, NlptlError
from nlptl.tasks import TaskSpec, find_tasks

# Without markup: names of labels, columns and files may hold square brackets.
out = Console(soft_wrap=True, markup=False)

TasksDir = Annotated[str | None, typer.Option(help="A folder with your own tasks; also the variable NLPTL_TASKS.")]
RunArgument = Annotated[Path, typer.Argument(metavar="RUN", help="A run folder.", show_default=False)]
TaskName = Annotated[str | None, typer.Option("--task", metavar="NAME", help="Which task of a multi-task run.")]
LabelMap = Annotated[
    str | None,
    typer.Option(metavar="OLD=NEW,...", help="Labels of the data as the task names them: ham=legitimate,spam=fraud"),
]
TextColumn = Annotated[
    list[str] | None,
    typer.Option(metavar="COLUMN", help="Column with the texts; twice for a pair.", show_default=False),
]
LabelColumn = Annotated[str | None, typer.Option(metavar="COLUMN", help="Column with the labels.")]
Data = Annotated[
    str | None,
    typer.Option(
        metavar="FILE|DIR|HUB_ID",
        help="CSV, TSV, JSONL or Parquet; a folder of split files; a Hub id; "
        "or a data set the task names. Default: the task's bundled sample.",
    ),
]
DataByTask = Annotated[
    list[str] | None,
    typer.Option(
        metavar="[TASK=]FILE|DIR|HUB_ID",
        help="CSV, TSV, JSONL or Parquet; a folder of split files; a Hub id; or a data set the task names. "
        "For several tasks: TASK=..., once for each. Default: the task's bundled sample.",
        show_default=False,
    ),
]
Validation = Annotated[str | None, typer.Option(metavar="FILE", help="Default: cut from train.")]
Test = Annotated[str | None, typer.Option(metavar="FILE", help="Default: the data's own, else cut from train.")]
Shots = Annotated[int | None, typer.Option(help="Use this many training rows per label.")]
Delimiter = Annotated[
    str | None,
    typer.Option(metavar="CHARACTER", help="Between the columns of CSV and TSV files. Default: found in the file."),
]
CheckpointOption = Annotated[
    str | None, typer.Option(metavar="NAME|ID|DIR", help="A name (see `nlptl checkpoints`), a Hub id, or a folder.")
]
# What stands in angle brackets is filled in when help is asked for: see `nlptl.cli.help`.
Mode = Annotated[str | None, typer.Option(help="How much of the encoder learns: <modes>. Default: full.")]
Epochs = Annotated[int | None, typer.Option(help="Passes over the training rows. Default: the task's or the mode's.")]
LearningRate = Annotated[
    float | None, typer.Option(help="Highest learning rate of the encoder. Default: the task's or the mode's.")
]
BatchSize = Annotated[int | None, typer.Option(help="Rows per optimizer step. Default: the task's or the mode's.")]
ConfigFile = Annotated[Path | None, typer.Option(metavar="YAML", help="Start from a file, such as RUN/run.yaml.")]
Settings = Annotated[
    list[str] | None, typer.Option("--set", metavar="SECTION.KEY=VALUE", help="Any other setting; can be repeated.")
]


def data_settings(
    source: str | None,
    validation: str | None,
    test: str | None,
    text_column: list[str] | None,
    label_column: str | None,
    label_map: str | None,
    shots: int | None,
    delimiter: str | None = None,
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
) -> RunConfig:
    """The configuration of a file, `--set` and flags, the last ones first; every fault is told at once.

    Args:
        file: to start from.
        settings: of `--set`.
        chosen: by flags, under dotted keys; None where one was not given.
        several, known_task, reads, baseline: as in `nlptl.verbs.request.checked_config`.

    Raises:
        NlptlError: every fault of the settings, and every name that there is not.
    """
    from nlptl.verbs.request import checked_config

    values, faults = assigned(settings)
    flags = {key: value for key, value in chosen.items() if value is not None}
    return checked_config(
        file, {**values, **flags}, several=several, known_task=known_task, reads=reads, baseline=baseline, faults=faults
    )


def listed(values: list[str] | None) -> list[str]:
    """The values of an option that is repeated or takes several with commas between them.

    A name with a comma in it is one value where such a file exists.
    """
    found: list[str] = []
    for value in values or []:
        parts = [value] if Path(value).exists() else value.split(",")
        found += [part.strip() for part in parts if part.strip()]
    return found


def refuse_loose_words(command: str, option: str, given: list[str], words: list[str], tasks_dir: str | None) -> None:
    """Refuse words behind an option that takes one value each time, and say how several are written.

    Args:
        command: such as `nlptl rank`.
        option: such as `--checkpoints`.
        given: the option's values.
        words: the command's arguments, of which one at most is the task.
        tasks_dir: where the user's own tasks are.

    Raises:
        ConfigError: there is more than one word, or the only one is no task while the option has a value.
    """
    known = find_tasks(tasks_dir)
    task = next((word for word in words if word in known), None)
    others = [word for word in words if word != task]
    if not others or (len(words) == 1 and not (given and _names_a_thing(words[0]))):
        return
    several = ",".join([*given, *others])
    raise ConfigError(
        f"{', '.join(map(repr, others))}: {option} takes several with commas between them, or is repeated. "
        f"Write: {command} {task or 'TASK'} {option} {several}"
    )


def _names_a_thing(word: str) -> bool:
    """Whether a word that is no task looks like a checkpoint or a file."""
    return word in CHECKPOINTS or Path(word).exists() or "/" in word or bool(Path(word).suffix)
