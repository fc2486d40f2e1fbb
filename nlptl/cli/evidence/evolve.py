"""`nlptl evolve`: other labels for a run that is trained."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

import typer

from nlptl.cli.help import DATA, HOW, LEARN, WHERE
from nlptl.cli.options import Epochs, LabelColumn, LabelMap, RunArgument, TextColumn, option, out
from nlptl.errors import ConfigError

FELL = 3
"""Exit code of a run that was made, and whose old labels fell clearly."""


def evolve(
    run: RunArgument,
    rename: Annotated[
        list[str] | None,
        option(
            panel=LEARN, metavar="OLD=NEW", help="Give a label another name; nothing is trained.", show_default=False
        ),
    ] = None,
    merge: Annotated[
        list[str] | None,
        option(panel=LEARN, metavar="OLD,OLD=NEW", help="Make one label of several.", show_default=False),
    ] = None,
    add: Annotated[
        list[str] | None,
        option(
            panel=LEARN,
            metavar="LABEL[=FILE]",
            help="Add a label; its texts are in FILE, or its rows in --data. Each can be repeated.",
            show_default=False,
        ),
    ] = None,
    data: Annotated[
        str | None,
        option(panel=DATA, metavar="FILE", help="Labelled rows: of added labels, and more of the old ones."),
    ] = None,
    text_column: TextColumn = None,
    label_column: LabelColumn = None,
    label_map: LabelMap = None,
    training_data: Annotated[
        str | None,
        option(
            panel=DATA,
            metavar="FILE|DIR",
            help="Where the run's training data lie now. Default: where they lay in training.",
        ),
    ] = None,
    keep: Annotated[
        int | None,
        option(
            panel=HOW,
            metavar="N",
            min=1,
            help="Training rows of each old label that are learned again. Default: 50 where labels are added to a run "
            "whose encoder learns, else all.",
        ),
    ] = None,
    epochs: Epochs = None,
    output: Annotated[
        Path | None, option(panel=WHERE, metavar="DIR", help="The new run folder. Default: runs/TASK-evolved-TIME")
    ] = None,
) -> None:
    """Rename, merge or add labels of a trained run, and check what the old ones lose.

    The run stays; a new one is written. Its report compares the old labels' accuracy on the run's test rows before and
    after. Where one falls clearly, the command ends with exit code 3.

    Examples:

      nlptl evolve RUN --rename refund=money_back --output renamed

      nlptl evolve RUN --merge card_lost,card_stolen=card_gone --output merged

      nlptl evolve RUN --add gift_card=gift_cards.csv --output grown
    """
    from nlptl.config.overrides import parse_label_map
    from nlptl.verbs.evolve import evolve as evolved

    made = evolved(
        run,
        output,
        rename=_named("--rename", rename),
        merge={new: olds.split(",") for olds, new in _named("--merge", merge).items()},
        add=_added(add or []),
        data=data,
        keep=keep,
        training_data=training_data,
        epochs=epochs,
        text_column=text_column or None,
        label_column=label_column,
        label_map=parse_label_map(label_map) if label_map else None,
    )
    if int(os.environ.get("RANK", "0")) != 0:
        return
    facts = made.metrics["evolution"]
    if "regression" in facts:
        from nlptl.reports.tables import results_table

        out.print(results_table({split: made.metrics[split] for split in ("validation", "test")}))
    out.print(f"Run folder: {made.folder}", highlight=False)
    if facts.get("regression", {}).get("fell"):
        raise typer.Exit(FELL)


def _named(flag: str, given: list[str] | None) -> dict[str, str]:
    """`OLD=NEW` each; what stands before the last = is old."""
    found: dict[str, str] = {}
    for text in given or []:
        old, equals, new = text.rpartition("=")
        if not equals or not old or not new:
            raise ConfigError(f"{flag} {text}: write OLD=NEW.")
        if old in found:
            raise ConfigError(f"{flag} names {old} twice.")
        found[old] = new
    return found


def _added(given: list[str]) -> Any:
    """`LABEL=FILE` each, or names alone."""
    parts = [text.partition("=") for text in given]
    named = {label: file for label, equals, file in parts if equals}
    if len({label for label, _, _ in parts}) < len(parts):
        raise ConfigError("--add names a label twice.")
    if named and len(named) < len(parts):
        raise ConfigError("--add: give a file for each label, or for none and all rows with --data.")
    return named or [label for label, _, _ in parts] or None
