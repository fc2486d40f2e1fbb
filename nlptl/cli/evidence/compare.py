"""The command that compares methods at several numbers of labels."""

from __future__ import annotations

import os
import textwrap
from typing import Annotated, Any

import typer

from nlptl.cli.help import HOW, WHERE, is_verbose
from nlptl.cli.options import (
    CheckpointOption,
    Data,
    Delimiter,
    LabelColumn,
    LabelMap,
    Seed,
    Settings,
    TaskArgument,
    TasksDir,
    Test,
    TextColumn,
    Validation,
    assigned,
    data_settings,
    option,
    out,
)
from nlptl.cli.runs import MOST_COLUMNS
from nlptl.errors import ConfigError


def compare(
    context: typer.Context,
    task: TaskArgument = None,
    tasks_dir: TasksDir = None,
    data: Data = None,
    validation: Validation = None,
    test: Test = None,
    text_column: TextColumn = None,
    label_column: LabelColumn = None,
    label_map: LabelMap = None,
    delimiter: Delimiter = None,
    methods: Annotated[
        str | None,
        option(
            panel=HOW,
            among="methods",
            metavar="NAME,NAME,...",
            help="tfidf (the best classical model on validation), a classical model by its name, scratch (random "
            "weights), a mode, or a strategy. Default: tfidf,feature_extraction,lora,full.",
        ),
    ] = None,
    sizes: Annotated[
        str | None,
        option(
            panel=HOW, metavar="N,N,...,all", help="Rows per label that are learned from. Default: 8,32,128,512,all."
        ),
    ] = None,
    seeds: Annotated[
        int,
        option(panel=HOW, metavar="N", help="Draws of the rows, each trained once. From 3 on differences are tested."),
    ] = 3,
    target: Annotated[
        str | None,
        option(panel=HOW, metavar="METRIC=VALUE", help="Also tell how many labels this takes, such as accuracy=0.9."),
    ] = None,
    price_per_hour: Annotated[
        float | None,
        option(panel=HOW, metavar="PRICE", help="Of this machine: then a thousand predictions have a price too."),
    ] = None,
    checkpoint: CheckpointOption = None,
    seed: Seed = None,
    settings: Settings = None,
    output: Annotated[
        str | None,
        option(
            panel=WHERE,
            metavar="DIR",
            help="For comparison.json, figures and runs. Default: in comparisons/, the same for the same command.",
        ),
    ] = None,
    cells: Annotated[
        str | None,
        option(panel=WHERE, metavar="DIR", help="For the runs, so that comparisons share them. Default: DIR/cells."),
    ] = None,
) -> None:
    """Compare methods at several numbers of labels, on the same rows: who wins where, and at what cost.

    Each method is trained at each size with each seed, as an ordinary run; what is finished is never repeated, so that
    the same command goes on where it was stopped. Differences are tested in pairs over seeds and test rows, corrected
    for their number. It also tells where transfer loses to a classical model, and what each method costs.

    Examples:

      nlptl compare sentiment --sizes 8,32,all

      nlptl compare chatbot-intent --data banking77/ --methods tfidf,scratch,full --target accuracy=0.9

      nlptl compare fraud-text --data sms.csv --methods naive_bayes,linear_svm,feature_extraction --seeds 5

      accelerate launch -m nlptl compare chatbot-intent --data banking77/ --output banking
    """
    if task is None:
        raise ConfigError("Name a task: nlptl compare TASK. `nlptl tasks` lists them.")
    values, faults = assigned(settings)
    chosen: dict[str, Any] = {
        "task": task,
        "checkpoint": checkpoint,
        "seed": seed,
        "tasks_dir": tasks_dir,
        **data_settings(data, validation, test, text_column, label_column, label_map, None, delimiter),
    }
    values |= {key: value for key, value in chosen.items() if value is not None}
    from nlptl.verbs.compare import plan_of, run_plan

    plan = plan_of(
        values,
        methods=methods,
        sizes=sizes,
        seeds=seeds,
        target=target,
        price_per_hour=price_per_hour,
        output=output,
        cells=cells,
        faults=faults,
    )
    comparison = run_plan(plan)
    if comparison is not None and int(os.environ.get("RANK", "0")) == 0:
        _show(comparison, is_verbose(context))
        comparison.raise_failures()


def _show(comparison: Any, verbose: bool) -> None:
    """Tables, verdicts, figures and where they lie.

    Args:
        comparison: a `Comparison`.
        verbose: also every pair without a clear difference.
    """
    from nlptl.reports.comparison import costs_table, curves_table

    out.print(curves_table(comparison))
    out.print(costs_table(comparison))
    for sentence in comparison.verdicts(every_pair=verbose):
        out.print(textwrap.fill(sentence, min(MOST_COLUMNS, out.width), subsequent_indent="  "), highlight=False)
    out.print(f"Comparison: {comparison.folder / 'comparison.json'}, figures beside it", highlight=False)
