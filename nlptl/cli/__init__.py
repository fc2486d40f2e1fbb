"""The command line: one thin command per verb; heavy imports happen inside the command that needs them."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Callable

import typer

from nlptl.cli.about import checkpoints, configs, env, version
from nlptl.cli.adapt import adapt
from nlptl.cli.baselines import baseline
from nlptl.cli.cache import cache_app
from nlptl.cli.console import configure_output, tell_error
from nlptl.cli.discover import discover
from nlptl.cli.evidence.compare import compare
from nlptl.cli.evidence.decide import decide
from nlptl.cli.evidence.drift import drift
from nlptl.cli.evidence.evolve import evolve
from nlptl.cli.evidence.explain import explain
from nlptl.cli.evidence.quality import inspect
from nlptl.cli.evidence.report import report
from nlptl.cli.evidence.robustness import robustness
from nlptl.cli.help import Command, Group
from nlptl.cli.insight import probe, rank, splits
from nlptl.cli.predictions import evaluate, predict
from nlptl.cli.pretrain import pretrain
from nlptl.cli.runs import merge, train
from nlptl.cli.shipping.export import export
from nlptl.cli.tasks import tasks_app
from nlptl.errors import NlptlError

app = typer.Typer(
    cls=Group,
    help="Transfer learning for text: tasks onto BERT-family checkpoints, fine-tuned in three modes.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)
WITH_ARGUMENTS: tuple[Callable[..., None], ...] = (
    train,
    adapt,
    baseline,
    compare,
    evaluate,
    predict,
    explain,
    evolve,
    drift,
    decide,
    merge,
    export,
    pretrain,
    discover,
    probe,
    rank,
    inspect,
    report,
    robustness,
    splits,
)
WITHOUT: tuple[Callable[..., None], ...] = (checkpoints, configs, env, version)
for verb in WITH_ARGUMENTS:
    app.command(cls=Command, no_args_is_help=True)(verb)
app.add_typer(tasks_app, name="tasks")
app.add_typer(cache_app, name="cache")
for verb in WITHOUT:
    app.command(cls=Command)(verb)


@app.callback()
def nlptl() -> None:
    """Transfer learning for text: tasks onto BERT-family checkpoints, fine-tuned in three modes."""


def main() -> None:
    """Run the command line; a user's mistake ends with one message and exit code 2, not a traceback."""
    # Nearly all that imports make stays; looking again and again for the rest of it takes a tenth of a short call.
    gc.set_threshold(200_000, 50, 50)
    debug = "--debug" in sys.argv
    configure_output(debug)
    try:
        app(prog_name="nlptl")
    except NlptlError as error:
        if debug:
            raise
        tell_error(str(error))
        sys.exit(error.exit_code)
    except BrokenPipeError:  # the reader of a pipe, such as `head`, has had enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        sys.exit(1)
    except OSError as error:  # no room, no permission, a name too long: the system's refusal, not a fault of the code
        if debug:
            raise
        where = f" ({error.filename})" if error.filename else ""
        tell_error(f"The system refused: {error.strerror or error}{where}. --debug shows at which step.")
        sys.exit(NlptlError.exit_code)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(130)
