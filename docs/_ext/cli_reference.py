"""The reference of the command line, made from the commands themselves, as `--help` shows them."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

import typer
from markup import code, entry, plain

from nlptl.cli import app
from nlptl.cli.help import filled

ARGUMENTS, OPTIONS = "Arguments", "Options"


def markdown() -> str:
    """A list of the commands, then a section for each in the order of `nlptl --help`, nested ones in their group."""
    root: Any = typer.main.get_command(app)
    context = root.context_class(root, info_name="nlptl")
    names = _shown(root, context)
    links = (_link(root.get_command(context, name), name) for name in names)
    sections = (section for name in names for section in _command(root, context, name, 2))
    return "\n".join([*links, "", *_panels(root, context), *sections])


def _link(command: Any, name: str) -> str:
    return f"- [`nlptl {name}`](#nlptl-{name}): {plain(inspect.cleandoc(command.help or '').partition(chr(10))[0])}"


def _shown(group: Any, context: Any) -> list[str]:
    return [name for name in group.list_commands(context) if not group.get_command(context, name).hidden]


def _command(group: Any, above: Any, name: str, depth: int) -> Iterator[str]:
    command = group.get_command(above, name)
    context = command.context_class(command, info_name=name, parent=above)
    yield f"{'#' * depth} {context.command_path}\n"
    yield _description(command.help or "")
    usage = " ".join([context.command_path, *command.collect_usage_pieces(context)])
    yield f"```text\n{usage}\n```\n"
    yield from _panels(command, context)
    for inner in _shown(command, context) if hasattr(command, "commands") else ():
        yield from _command(command, context, inner, depth + 1)


def _description(help: str) -> str:
    """A command's docstring: its paragraphs, and its examples as one block."""
    text, _, examples = inspect.cleandoc(help).replace("\b", "").partition("Examples:")
    said = "\n\n".join(plain(paragraph) for paragraph in text.strip().split("\n\n"))
    shown = "\n".join(line.strip() for line in examples.splitlines() if line.strip())
    return f"{said}\n" + (f"\n```sh\n{shown}\n```\n" if shown else "")


def _panels(command: Any, context: Any) -> Iterator[str]:
    """Arguments first, then options by panel; each as `--help` shows it, with its choices and default."""
    panels: dict[str, list[str]] = {ARGUMENTS: []}
    for parameter in command.get_params(context):
        record = parameter.get_help_record(context)
        if record is None or parameter.name == "help":
            continue
        kind = ARGUMENTS if parameter.param_type_name == "argument" else OPTIONS
        title = getattr(parameter, "rich_help_panel", None) or kind
        panels.setdefault(title, []).append(entry(code(record[0]), plain(filled(record[1]))))
    for title, entries in panels.items():
        if entries:
            yield f"**{title}**\n"
            yield from entries
