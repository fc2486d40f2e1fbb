"""`nlptl inspect`: what is wrong with labelled data, and what correcting it gives."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from nlptl.cli.help import DATA, HOW, WHERE
from nlptl.cli.options import (
    CheckpointOption,
    Data,
    Delimiter,
    Epochs,
    LabelColumn,
    LabelMap,
    Mode,
    Seed,
    Settings,
    TaskArgument,
    TasksDir,
    Test,
    TextColumn,
    Validation,
    configured,
    data_settings,
    option,
    out,
)
from nlptl.config.run import RunConfig
from nlptl.errors import ConfigError
from nlptl.quality.config import PROBE, check_folds_from

INSPECTED = "inspected"


def inspect(
    task: TaskArgument = None,
    tasks_dir: TasksDir = None,
    data: Data = None,
    validation: Validation = None,
    test: Test = None,
    text_column: TextColumn = None,
    label_column: LabelColumn = None,
    label_map: LabelMap = None,
    delimiter: Delimiter = None,
    slices: Annotated[
        list[str] | None,
        option(
            "--slice",
            panel=DATA,
            metavar="COLUMN",
            help="Also measure the groups of this column, beside length and script; can be repeated.",
            show_default=False,
        ),
    ] = None,
    folds_from: Annotated[
        str | None,
        option(
            panel=HOW,
            among="folds-from",
            help="What judges the rows of a fold. full and lora take five trainings, for tasks that a probe knows "
            "badly. Default: probe.",
        ),
    ] = None,
    checkpoint: CheckpointOption = None,
    apply: Annotated[
        Path | None,
        option(
            panel=HOW,
            metavar="FILE",
            help="Train with the corrections in this table, and without them, and report the gain.",
        ),
    ] = None,
    mode: Mode = None,
    epochs: Epochs = None,
    seed: Seed = None,
    settings: Settings = None,
    output: Annotated[
        str | None,
        option(
            panel=WHERE,
            metavar="DIR",
            help="For to-correct.csv and inspection.json; with --apply a new folder for both runs. Default: inspected, "
            "corrected.",
        ),
    ] = None,
) -> None:
    """Find likely wrong labels, near-duplicates, leaks, outliers and weak slices in labelled data.

    Fill in the column `corrected` of the table it writes (the right label, or `(drop)`), and --apply it: the gain is
    measured on the same test rows. Needs cleanlab (extra `evidence`).

    Examples:

      nlptl inspect chatbot-intent --data questions.csv --slice channel

      nlptl inspect sentiment --data reviews.csv --folds-from full

      nlptl inspect chatbot-intent --data questions.csv --apply inspected/to-correct.csv
    """
    chosen: dict[str, Any] = {
        "task": task,
        "tasks_dir": tasks_dir,
        "checkpoint": checkpoint,
        "seed": seed,
        **data_settings(data, validation, test, text_column, label_column, label_map, None, delimiter),
    }
    trained = {"mode": mode, "training.epochs": epochs}
    if apply is not None:
        _refuse({"--folds-from": folds_from, "--slice": slices}, "with --apply, which inspects nothing")
        _apply(configured(None, settings, {**chosen, **trained, "output": output}), apply)
        return
    _refuse({"--mode": mode}, "without --apply; what judges the folds is --folds-from")
    folds_from = folds_from or PROBE
    check_folds_from(folds_from)
    from nlptl.verbs.look_request import inspected_reads

    asked = chosen if folds_from == PROBE else {**chosen, "mode": folds_from}
    asked["training.epochs"] = epochs
    _inspect(configured(None, settings, asked, reads=inspected_reads(folds_from)), folds_from, slices or [], output)


def _inspect(config: RunConfig, folds_from: str, slices: list[str], output: str | None) -> None:
    from nlptl.quality.writing import FACTS, TO_CORRECT
    from nlptl.reports.quality import inspection_tables
    from nlptl.verbs.quality import inspect_and_write

    folder = output or INSPECTED
    found = inspect_and_write(config, None, folds_from, slices, folder)
    for table in inspection_tables(found):
        out.print(table)
    for said in found.sentences:
        out.print(said, highlight=False)
    out.print(f"Written to {folder}: {TO_CORRECT} ({len(found.findings)} rows), {FACTS}", highlight=False)
    out.print(
        f"Fill in its column corrected, then: nlptl inspect ... --apply {Path(folder) / TO_CORRECT}", highlight=False
    )


def _apply(config: RunConfig, corrections: Path) -> None:
    from nlptl.verbs.quality import apply_checked

    gain = apply_checked(config, corrections)
    out.print(gain.sentence, highlight=False)
    out.print(f"Run on the corrected rows: {gain.run}", highlight=False)


def _refuse(given: dict[str, Any], why: str) -> None:
    useless = [name for name, value in given.items() if value]
    if useless:
        raise ConfigError(f"{' and '.join(useless)} would have no effect {why}. Leave it out.")
