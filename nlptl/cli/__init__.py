"""The command line: one thin command per verb; heavy imports happen inside the command that needs them."""

from __future__ import annotations

import logging
import os
import sys
import warnings
from collections.abc import Callable
from typing import Annotated

import typer

from nlptl.cli.about import checkpoints, configs, env, version
from nlptl.cli.adapt import adapt
from nlptl.cli.baselines import baseline
from nlptl.cli.cache import cache_app
from nlptl.cli.discover import discover
from nlptl.cli.help import ChoicesCommand
from nlptl.cli.insight import probe, rank
from nlptl.cli.predictions import evaluate, predict
from nlptl.cli.pretrain import pretrain
from nlptl.cli.runs import merge, train
from nlptl.cli.tasks import tasks_app
from nlptl.errors import NlptlError
from nlptl.storage.secrets import RedactSecrets, redact

app = typer.Typer(
    help="Transfer learning for text: tasks onto BERT-family checkpoints, fine-tuned in three modes.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)
WITH_ARGUMENTS: tuple[Callable[..., None], ...] = (
    train,
    adapt,
    baseline,
    evaluate,
    predict,
    merge,
    pretrain,
    discover,
    probe,
    rank,
)
WITHOUT: tuple[Callable[..., None], ...] = (checkpoints, configs, env, version)
for verb in WITH_ARGUMENTS:
    app.command(cls=ChoicesCommand, no_args_is_help=True)(verb)
app.add_typer(tasks_app, name="tasks")
app.add_typer(cache_app, name="cache")
for verb in WITHOUT:
    app.command()(verb)


def _print_version(asked: bool) -> None:
    if asked:
        version()
        raise typer.Exit


@app.callback()
def nlptl(
    show_version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
    debug: Annotated[
        bool, typer.Option("--debug", help="Show where an error arose, and other libraries' warnings; anywhere.")
    ] = False,
) -> None:
    """Transfer learning for text: tasks onto BERT-family checkpoints, fine-tuned in three modes."""


def main() -> None:
    """Run the command line; a user's mistake ends with one message and exit code 2, not a traceback."""
    debug = "--debug" in sys.argv
    arguments = [argument for argument in sys.argv[1:] if argument != "--debug"]
    _configure_output(debug)
    try:
        app(args=arguments, prog_name="nlptl")
    except NlptlError as error:
        if debug:
            raise
        _tell(str(error))
        sys.exit(error.exit_code)
    except BrokenPipeError:  # the reader of a pipe, such as `head`, has had enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        sys.exit(1)
    except OSError as error:  # no room, no permission, a name too long: the system's refusal, not a fault of the code
        if debug:
            raise
        where = f" ({error.filename})" if error.filename else ""
        _tell(f"The system refused: {error.strerror or error}{where}. --debug shows at which step.")
        sys.exit(NlptlError.exit_code)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(130)


def _tell(message: str) -> None:
    """One message, without secrets, and without letters that a terminal would act upon or cannot print."""
    shown = "".join(c if c.isprintable() or c in "\n\t" else repr(c)[1:-1] for c in redact(message))
    print(f"error: {shown}", file=sys.stderr)


def _configure_output(debug: bool) -> None:
    """The package's own messages on standard output; other libraries' only when they are errors, or with --debug."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(logging.Formatter("%(message)s"))
    handler.addFilter(RedactSecrets())
    log = logging.getLogger("nlptl")
    log.setLevel(logging.INFO if int(os.environ.get("RANK", "0")) == 0 else logging.ERROR)
    log.addHandler(handler)
    log.propagate = False
    if not debug:
        warnings.filterwarnings("ignore", category=FutureWarning)
        warnings.filterwarnings("ignore", category=UserWarning)
