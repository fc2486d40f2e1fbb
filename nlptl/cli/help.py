"""Commands whose help shows the choices there are, in panels, and that take the options which every command takes."""

from __future__ import annotations

import logging
from importlib.metadata import version
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from nlptl.cli.choices import filled, metavar

log = logging.getLogger("nlptl")
# The panels of a command's options, in this order.
LEARN, DATA, HOW, WHERE, OTHER = "What to learn", "From which data", "How", "Where to", "This command"
ANYWHERE = "Every command"


def _print_version(asked: bool) -> None:
    if asked:
        print(version("nlptl"))
        raise typer.Exit


def _show_details(context: typer.Context, asked: bool) -> None:
    """Details of the log on the console too, and further tables."""
    if asked:
        context.meta["verbose"] = True
        for handler in log.handlers:
            handler.setLevel(logging.DEBUG)


def is_verbose(context: typer.Context) -> bool:
    """Whether `--verbose` was given, before the command's name or behind it."""
    return bool(context.meta.get("verbose"))


def _everywhere(
    verbose: Annotated[
        bool,
        typer.Option(
            "--verbose",
            metavar="",
            callback=_show_details,
            rich_help_panel=ANYWHERE,
            help="Also say what is done inside.",
        ),
    ] = False,
    debug: Annotated[
        bool,
        typer.Option(
            "--debug",
            metavar="",
            rich_help_panel=ANYWHERE,
            help="Show where an error arose, and other libraries' warnings.",
        ),
    ] = False,
    show_version: Annotated[
        bool,
        typer.Option(
            "--version",
            metavar="",
            callback=_print_version,
            is_eager=True,
            rich_help_panel=ANYWHERE,
            help="Print the version.",
        ),
    ] = False,
) -> None:
    """Options of every command; `--debug` is looked for by `nlptl.cli.main`."""


def _shared_options() -> list[Any]:
    """Parameters as typer makes them, which no command is told of."""
    app = typer.Typer(add_completion=False)
    app.command()(_everywhere)
    options = [option for option in typer.main.get_command(app).params if option.name != "help"]
    for option in options:
        option.expose_value = False
    return options


class _Helpful:
    """Fills in choices when help is asked for, and shows `--help` beside the options of every command."""

    params: list[Any]

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Replace `<modes>` and the like, then as typer does it."""
        for parameter in self.params:
            for name, fill in (("help", filled), ("metavar", metavar)):
                text = getattr(parameter, name, None)
                if text:
                    setattr(parameter, name, fill(text))
        super().format_help(ctx, formatter)  # type: ignore[misc]

    def get_help_option(self, ctx: Any) -> Any:
        """Typer's own, in its panel."""
        option = super().get_help_option(ctx)  # type: ignore[misc]
        if option is not None:
            option.rich_help_panel, option.metavar = ANYWHERE, ""
        return option


class Command(_Helpful, TyperCommand):
    """A command of nlptl."""

    def __init__(self, *arguments: Any, params: list[Any] | None = None, **settings: Any) -> None:
        super().__init__(*arguments, params=[*(params or []), *_shared_options()], **settings)


class Group(_Helpful, TyperGroup):
    """A command with commands below it."""

    def __init__(self, *arguments: Any, params: list[Any] | None = None, **settings: Any) -> None:
        super().__init__(*arguments, params=[*(params or []), *_shared_options()], **settings)
