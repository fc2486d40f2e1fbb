"""`nlptl tasks`: list, show and draft tasks."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from nlptl.cli.choices import completing
from nlptl.cli.console import program
from nlptl.cli.help import DATA, LEARN, OTHER, WHERE, Command, Group
from nlptl.cli.options import Delimiter, Encoding, Quotes, TasksDir, option, out
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
        list[str] | None,
        option(
            panel=DATA,
            metavar="COLUMN",
            help="Twice for a pair. Default: the one with the longest texts.",
            show_default=False,
        ),
    ] = None,
    label_column: Annotated[
        list[str] | None,
        option(
            panel=DATA,
            metavar="COLUMN",
            help="The labels; several times for columns of 0 and 1, one for each label. Default: found in the file.",
            show_default=False,
        ),
    ] = None,
    label_separator: Annotated[
        str | None,
        option(
            panel=DATA, metavar="TEXT", help="Between several labels of a cell. Default: found in the file, else |."
        ),
    ] = None,
    kind: Annotated[
        str | None,
        option(panel=DATA, among="kinds", help="Labels a text: <kinds>. Default: what the label column shows."),
    ] = None,
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
    draft = draft_task(name, data, tasks_dir, text_column or (), label_column or (), dialect, kind, label_separator)
    out.print(f"Wrote {tasks_dir / name}/task.yaml: {draft.read_as}, labels:")
    out.print("  " + ", ".join(draft.task.label_list()), highlight=False)
    out.print(f"Train it: {program()} train {name} --tasks-dir {tasks_dir}")
