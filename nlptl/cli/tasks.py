"""`nlptl tasks`: list, show and draft tasks."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from nlptl.cli.options import LabelColumn, TasksDir, out
from nlptl.errors import ConfigError
from nlptl.tasks import find_tasks, load_task

tasks_app = typer.Typer(help="List, show and draft tasks.", invoke_without_command=True)


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


@tasks_app.command("show", no_args_is_help=True)
def show_task(
    context: typer.Context, name: Annotated[str, typer.Argument(help="The task.")], tasks_dir: TasksDir = None
) -> None:
    """Show everything a task says."""
    import yaml

    task = load_task(name, tasks_dir or context.obj)
    print(yaml.safe_dump(task.model_dump(mode="json", exclude_none=True), sort_keys=False, allow_unicode=True), end="")


@tasks_app.command("new", no_args_is_help=True)
def new_task(
    name: Annotated[str, typer.Argument(help="Lower-case name for the task.")],
    data: Annotated[Path, typer.Option(metavar="FILE", help="Labelled texts: CSV, TSV, JSONL or Parquet.")],
    text_column: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="Default: the one with the longest texts.")
    ] = None,
    label_column: LabelColumn = None,
    tasks_dir: Annotated[Path, typer.Option(help="Where the task's folder goes.")] = Path("tasks"),
) -> None:
    """Draft a task folder from a file of labelled texts; it trains at once."""
    from nlptl.data.drafting import draft_task

    if name in find_tasks():
        raise ConfigError(f"There is a task {name!r} already. Choose another name.")
    task = draft_task(name, data, tasks_dir, text_column, label_column)
    out.print(
        f"Wrote {tasks_dir / name}/task.yaml: text {task.text_columns[0]!r}, label {task.label_column!r}, labels:"
    )
    out.print("  " + ", ".join(task.label_list()), highlight=False)
    out.print(f"Train it: nlptl train {name} --tasks-dir {tasks_dir}")
