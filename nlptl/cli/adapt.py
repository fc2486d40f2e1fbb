"""The command that carries a classifier from one domain to another."""

from __future__ import annotations

import os
from typing import Annotated, Any

import typer

from nlptl.cli.help import DATA, HOW, WHERE, is_verbose
from nlptl.cli.loose_words import listed, refuse_loose_words
from nlptl.cli.options import (
    BatchSize,
    CheckpointOption,
    ConfigFile,
    Delimiter,
    Epochs,
    LabelColumn,
    LabelMap,
    LearningRate,
    Mode,
    Resume,
    Seed,
    Settings,
    Shots,
    TaskArgument,
    TasksDir,
    TextColumn,
    configured,
    data_settings,
    option,
    out,
)
from nlptl.cli.runs import show_folder
from nlptl.errors import ConfigError


def adapt(
    context: typer.Context,
    task: TaskArgument = None,
    words: Annotated[list[str] | None, typer.Argument(hidden=True)] = None,
    tasks_dir: TasksDir = None,
    source: Annotated[
        str | None, option(panel=DATA, metavar="FILE|DIR", help="Labelled rows of the first domain.")
    ] = None,
    target: Annotated[
        str | None,
        option(panel=DATA, metavar="FILE|DIR", help="Texts of the other domain. Labels there, if any, only report."),
    ] = None,
    target_test: Annotated[
        str | None,
        option(
            panel=DATA,
            metavar="FILE",
            help="Labelled target rows to report on. Default: cut from a labelled --target.",
        ),
    ] = None,
    domains: Annotated[
        list[str] | None,
        option(
            "--domain",
            "--domains",
            panel=DATA,
            metavar="FILE[,FILE...]",
            help="Labelled files, one per domain: adapt from each to each other. Can be repeated.",
        ),
    ] = None,
    text_column: TextColumn = None,
    label_column: LabelColumn = None,
    label_map: LabelMap = None,
    delimiter: Delimiter = None,
    shots: Shots = None,
    method: Annotated[
        str | None,
        option(
            panel=HOW,
            among="adaptations",
            help="none: the source only. Default: coral_self_training in mode feature_extraction, self_training in "
            "full and lora.",
        ),
    ] = None,
    mode: Mode = None,
    checkpoint: CheckpointOption = None,
    oracle: Annotated[
        bool | None,
        option(
            "--oracle/--no-oracle",
            panel=HOW,
            help="Also train on the target's labels, to compare. Default: yes; with --domains a matrix needs none.",
        ),
    ] = None,
    epochs: Epochs = None,
    learning_rate: LearningRate = None,
    batch_size: BatchSize = None,
    seed: Seed = None,
    config: ConfigFile = None,
    settings: Settings = None,
    output: Annotated[
        str | None, option(panel=WHERE, metavar="DIR", help="The run folder; with --domains, a folder of runs.")
    ] = None,
    resume: Resume = False,
) -> None:
    """Train on one domain's labels for another domain whose texts are at hand without labels.

    Reports the model of the source alone, the adapted one and, where the target has labels, one trained on them (the
    oracle); says when adapting hurt, and warns of signs of harm where there are no labels. The adapted model is a run
    like any other: nlptl predict, nlptl evaluate.

    Examples:

      nlptl adapt sentiment --source books.csv --target kitchen.csv --mode feature_extraction

      nlptl adapt fraud-text --source sms.csv --target emails.csv --target-test labelled_emails.csv --method coral

      nlptl adapt sentiment --mode feature_extraction --output matrix --domains books.csv,dvd.csv,kitchen.csv
    """
    chosen: dict[str, Any] = {
        "task": task,
        "strategy": "domain_adaptation",
        "mode": mode,
        "checkpoint": checkpoint,
        "seed": seed,
        "output": output,
        "tasks_dir": tasks_dir,
        **data_settings(source, None, None, text_column, label_column, label_map, shots, delimiter),
        "training.epochs": epochs,
        "training.learning_rate": learning_rate,
        "training.batch_size": batch_size,
        "data.target": target,
        "data.target_test": target_test,
        "adaptation.method": method,
        "adaptation.oracle": oracle,
    }
    named = listed(domains)
    refuse_loose_words("nlptl adapt", "--domains", named, [*([task] if task else []), *(words or [])], tasks_dir)
    resolved = configured(config, settings, chosen, crosses_domains=bool(named))
    if named:
        _cross(resolved, named)
        return
    if resolved.data.source is None or resolved.data.target is None:
        raise ConfigError("Name both domains: --source FILE --target FILE (or several: --domains FILE,FILE,...).")
    from nlptl.inference.predictor import load
    from nlptl.verbs.train import train_folder

    folder = train_folder(resolved, resume=resume)
    if int(os.environ.get("RANK", "0")) == 0:
        _show(load(folder, resolved.runtime.precision, resolved.runtime.progress), is_verbose(context))


def _cross(config: Any, files: list[str]) -> None:
    if config.data.source or config.data.target:
        raise ConfigError("--domains takes the place of --source and --target; give one or the other.")
    if config.output is None:
        raise ConfigError("--domains writes many runs: say where with --output DIR.")
    from nlptl.verbs.adapt import cross_config

    matrix = cross_config(config, files, config.output)
    if int(os.environ.get("RANK", "0")) == 0:
        out.print(matrix.markdown(), markup=False, highlight=False)
        out.print(f"Runs, matrix.md and matrix.json: {matrix.folder}", highlight=False)


def _show(run: Any, verbose: bool) -> None:
    from nlptl.evaluation.wording import adaptation_sentence
    from nlptl.reports.adaptation import adaptation_table
    from nlptl.reports.tables import time_table

    facts = run.metrics["adaptation"]
    out.print(adaptation_table(facts))
    if verbose:
        out.print(time_table(run.metrics))
    for doubt in facts["doubts"]:
        out.print(f"Sign of harm, seen without labels: {doubt}", markup=False)
    out.print(adaptation_sentence(facts), markup=False)
    show_folder(run)
