"""What several commands share: option types, the console, and data options as a config section."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from nlptl.checkpoints import check_checkpoint
from nlptl.config import RunConfig, load_config, parse_label_map
from nlptl.errors import ConfigError, unknown
from nlptl.tasks import MODE_NAMES, load_task

# Without markup: names of labels, columns and files may hold square brackets.
out = Console(soft_wrap=True, markup=False)

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


def check_names(config: RunConfig) -> None:
    """Answer a mistyped task, mode or checkpoint before torch is loaded.

    Raises:
        NlptlError: names what there is, and the nearest.
    """
    task = load_task(config.task, config.tasks_dir)
    if config.mode not in MODE_NAMES:
        raise ConfigError(unknown("mode", config.mode, MODE_NAMES))
    check_checkpoint(config.checkpoint or task.checkpoint)


def data_config(text_column: list[str] | None, label_column: str | None, label_map: str | None) -> Any:
    """The data section that these options describe."""
    values: dict[str, Any] = {
        "data.text_columns": text_column or None,
        "data.label_column": label_column,
        "data.label_map": parse_label_map(label_map) if label_map else None,
    }
    return load_config(task="-", **values).data
