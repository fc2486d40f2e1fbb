"""What several commands share: option types, the console, and data options as a config section."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from nlptl.config import RunConfig, load_config, parse_assignments, parse_label_map
from nlptl.tasks import load_task

out = Console(soft_wrap=True)

TasksDir = Annotated[str | None, typer.Option(help="A folder with your own tasks; also the variable NLPTL_TASKS.")]
RunArgument = Annotated[Path, typer.Argument(metavar="RUN", help="A run folder.", show_default=False)]
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
Validation = Annotated[str | None, typer.Option(metavar="FILE", help="Default: cut from train.")]
Test = Annotated[str | None, typer.Option(metavar="FILE", help="Default: the data's own, else cut from train.")]
Shots = Annotated[int | None, typer.Option(help="Use this many training rows per label.")]
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
    }


def configured(file: Path | None, settings: list[str] | None, chosen: dict[str, Any]) -> RunConfig:
    """The configuration of a file, `--set` and flags, the last ones first; a mistyped task is answered at once."""
    flags = {key: value for key, value in chosen.items() if value is not None}
    resolved = load_config(file, **{**parse_assignments(settings or []), **flags})
    load_task(resolved.task, resolved.tasks_dir)
    return resolved


def data_config(text_column: list[str] | None, label_column: str | None, label_map: str | None) -> Any:
    """The data section that these options describe."""
    return load_config(task="-", **data_settings(None, None, None, text_column, label_column, label_map, None)).data
