"""`nlptl tasks`: list, show and draft tasks."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from nlptl.cli.choices import completing
from nlptl.cli.console import program
from nlptl.cli.help import DATA, LEARN, OTHER, WHERE, Command, Group
from nlptl.cli.options import Delimiter, Encoding, LabelColumn, Quotes, TasksDir, option, out
from nlptl.config.data import DataConfig
from nlptl.config.records import validate
from nlptl.errors import ConfigError
from nlptl.tasks import find_tasks, load_task

tasks_app = typer.Typer(cls=Group, help="List, show and draft tasks.", invoke_without_command=True)


@tasks_app.callback()
def tasks(context: typer.Context, tasks_dir: TasksDir = None) -> None:
    """List the tasks."""
    context.obj = tasks_dir
    if context.invoked_subcommand is not None:
        return
    registry = find_tasks(tasks_dir)
    table = Table("task", "labels", "metric", "data sets", "description")
    for name in registry:
        task = registry.get(name)
        labels = "from data" if isinstance(task.labels, str) else str(len(task.labels))
        table.add_row(name, labels, task.metric, ", ".join(task.data), task.description)
    out.print(table)


@tasks_app.command("show", cls=Command, no_args_is_help=True)
def show_task(
    context: typer.Context,
    name: Annotated[
        str,
        typer.Argument(metavar="TASK", help="Which one.", autocompletion=completing("tasks"), rich_help_panel=OTHER),
    ],
    tasks_dir: TasksDir = None,
) -> None:
    """Show everything a task says."""
    import yaml

    task = load_task(name, tasks_dir or context.obj)
    print(yaml.safe_dump(task.model_dump(mode="json", exclude_none=True), sort_keys=False, allow_unicode=True), end="")


@tasks_app.command("new", cls=Command, no_args_is_help=True)
def new_task(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Lower-case name for the task.", rich_help_panel=LEARN)],
    data: Annotated[Path, option(panel=DATA, metavar="FILE", help="Labelled texts: CSV, TSV, JSONL or Parquet.")],
    text_column: Annotated[
        str | None, option(panel=DATA, metavar="COLUMN", help="Default: the one with the longest texts.")
    ] = None,
    label_column: LabelColumn = None,
    encoding: Encoding = None,
    delimiter: Delimiter = None,
    quotes: Quotes = None,
    tasks_dir: Annotated[Path, option(panel=WHERE, metavar="DIR", help="Where the task's folder goes.")] = Path(
        "tasks"
    ),
) -> None:
    """Draft a task folder from a file of labelled texts; it trains at once."""
    from nlptl.data.drafting import draft_task
    from nlptl.data.files import OPTIONS, Dialect

    if name in find_tasks():
        raise ConfigError(f"There is a task {name!r} already. Choose another name.")
    asked = validate(
        DataConfig, {"encoding": encoding, "delimiter": delimiter, "quotes": quotes}, "How the file is written"
    )
    dialect = Dialect(asked.encoding, asked.delimiter, asked.quotes, OPTIONS)
    task = draft_task(name, data, tasks_dir, text_column, label_column, dialect)
    out.print(
        f"Wrote {tasks_dir / name}/task.yaml: text {task.text_columns[0]!r}, label {task.label_column!r}, labels:"
    )
    out.print("  " + ", ".join(task.label_list()), highlight=False)
    out.print(f"Train it: {program()} train {name} --tasks-dir {tasks_dir}")
