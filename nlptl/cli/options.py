"""What several commands share: option types, the console, and data options as a config section."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from nlptl.checkpoints import check_checkpoint
from nlptl.config.overrides import load_config, parse_assignments, parse_label_map
from nlptl.config.run import RunConfig
from nlptl.errors import ConfigError
from nlptl.registry import BASELINES, MODES
from nlptl.tasks import load_task, task_names

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
    str | None, typer.Option(metavar="NAME|ID|DIR", help="minilm (bundled), bert-base, ..., a Hub id, or a folder.")
]
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


def configured(
    file: Path | None, settings: list[str] | None, chosen: dict[str, Any], several: bool = False
) -> RunConfig:
    """The configuration of a file, `--set` and flags, the last ones first; a mistyped name is answered at once.

    Args:
        file: to start from.
        settings: of `--set`.
        chosen: by flags, under dotted keys; None where one was not given.
        several: whether the command takes several tasks as a+b+c.

    Raises:
        NlptlError: every fault of the settings, or a name that there is not.
    """
    flags = {key: value for key, value in chosen.items() if value is not None}
    resolved = load_config(file, **{**parse_assignments(settings or []), **flags})
    check_names(resolved, several)
    return resolved


def check_names(config: RunConfig, several: bool = False) -> None:
    """Answer a mistyped task, baseline, mode or checkpoint before torch is loaded.

    Raises:
        NlptlError: names what there is, and the nearest.
    """
    names = task_names(config.task)
    if len(names) > 1 and (config.baseline.model or not several):
        raise ConfigError(f"{config.task} names {len(names)} tasks; this takes one. Only `nlptl train` takes several.")
    tasks = [load_task(name, config.tasks_dir) for name in names]
    if config.baseline.model:
        BASELINES.check(config.baseline.model)
        return
    MODES.check(config.mode)
    for name in [config.checkpoint] if config.checkpoint else [task.checkpoint for task in tasks]:
        check_checkpoint(name)
