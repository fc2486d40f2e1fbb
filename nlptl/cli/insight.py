"""`nlptl probe`, `rank` and `splits`: what is in an encoder, which one to pick, and what a random split flatters."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nlptl.cli.choices import completing
from nlptl.cli.help import DATA, HOW, LEARN, WHERE
from nlptl.cli.loose_words import listed, refuse_loose_words
from nlptl.cli.options import (
    CheckpointOption,
    Data,
    Delimiter,
    LabelColumn,
    LabelMap,
    Seed,
    Settings,
    Shots,
    Split,
    TaskArgument,
    TasksDir,
    TextColumn,
    assigned,
    configured,
    data_settings,
    option,
    out,
)
from nlptl.cli.predictions import is_first_process
from nlptl.errors import ConfigError

RowsOption = Annotated[
    int, option(panel=DATA, metavar="N", min=10, help="Rows of each split that are used, drawn with the seed.")
]
Output = Annotated[Path | None, option(panel=WHERE, metavar="FILE", help="Also write the numbers as JSON.")]


def probe(
    task: Annotated[
        str | None,
        typer.Argument(
            metavar="TASK",
            help="See `nlptl tasks`. Not needed with --run.",
            show_default=False,
            autocompletion=completing("tasks"),
            rich_help_panel=LEARN,
        ),
    ] = None,
    run: Annotated[
        Path | None,
        option(
            panel=DATA,
            among="runs",
            metavar="RUN",
            help="A run: its layers after training beside those before, on its own task and data.",
        ),
    ] = None,
    tasks_dir: TasksDir = None,
    data: Data = None,
    text_column: TextColumn = None,
    label_column: LabelColumn = None,
    label_map: LabelMap = None,
    delimiter: Delimiter = None,
    split: Split = None,
    shots: Shots = None,
    rows: RowsOption = 2000,
    checkpoint: CheckpointOption = None,
    seed: Seed = None,
    settings: Settings = None,
    output: Output = None,
    plot: Annotated[
        Path | None, option(panel=WHERE, metavar="FILE", help="Draw it: png, svg or pdf (extra `plots`).")
    ] = None,
) -> None:
    """Ask which layer knows a task: a linear probe on every layer's mean and first token.

    With --run: what fine-tuning changed, layer by layer. CKA is 1 where a layer stayed as it was but for rotation.

    Examples:

      nlptl probe sentiment

      nlptl probe --run runs/my-run --plot layers.png
    """
    from nlptl.verbs.look_request import LOOKED_AT, of_run

    asked = data_settings(data, None, None, text_column, label_column, label_map, shots, delimiter, split)
    chosen = {"task": task, "checkpoint": checkpoint, "seed": seed, "tasks_dir": tasks_dir, **asked}
    known, chosen = (None, chosen) if run is None else of_run(run, {**assigned(settings)[0], **chosen})
    config = configured(None, settings, chosen, known_task=known, reads=(*LOOKED_AT, "checkpoint"))
    from nlptl.explore.layers import probe_layers
    from nlptl.reports.plots import plot_layers
    from nlptl.reports.tables import rows_table
    from nlptl.storage.json_files import write_json

    report = probe_layers(config, None, run, rows)
    out.print(rows_table(report.rows, f"{report.metric} of a linear probe on each layer of {report.checkpoint}"))
    best = report.best
    out.print(f"Best on validation: layer {best['layer']}, {best['pooling']}. The test column only reports.")
    if output is not None:
        write_json(output, {"checkpoint": report.checkpoint, "metric": report.metric, "layers": report.rows})
        out.print(f"Written to {output}")
    if plot is not None:
        plot_layers(report, plot)
        out.print(f"Drawn to {plot}")


def rank(
    task: Annotated[
        str,
        typer.Argument(
            metavar="TASK",
            help="See `nlptl tasks`.",
            show_default=False,
            autocompletion=completing("tasks"),
            rich_help_panel=LEARN,
        ),
    ],
    words: Annotated[list[str] | None, typer.Argument(hidden=True)] = None,
    tasks_dir: TasksDir = None,
    data: Data = None,
    text_column: TextColumn = None,
    label_column: LabelColumn = None,
    label_map: LabelMap = None,
    delimiter: Delimiter = None,
    split: Split = None,
    shots: Shots = None,
    rows: RowsOption = 2000,
    checkpoints: Annotated[
        list[str] | None,
        option(
            "--checkpoint",
            "--checkpoints",
            panel=HOW,
            among="checkpoints",
            metavar="NAME|ID|DIR[,...]",
            help="The candidates: names, Hub ids or folders, also of finished runs. Can be repeated.",
        ),
    ] = None,
    sources: Annotated[
        list[str] | None,
        option(
            "--source",
            "--sources",
            panel=HOW,
            metavar="FILE|DIR[,...]",
            help="Other data that might be learned first (train --via), ranked by the nearness of their texts. Can be "
            "repeated.",
        ),
    ] = None,
    seed: Seed = None,
    settings: Settings = None,
    output: Output = None,
) -> None:
    """Rank checkpoints and other data for a task before training any, on frozen features.

    Checkpoints by a linear probe and LogME; other data by the nearness of their texts.

    Examples:

      nlptl rank sentiment --checkpoints minilm,bert-base,my-encoder/

      nlptl rank chatbot-intent --data mine/ --sources clinc150/,banking77/

      nlptl rank fraud-text --checkpoint minilm --checkpoint roberta-base --data sms.csv --label-map ham=legitimate
    """
    candidates, named = listed(checkpoints), listed(sources)
    refuse_loose_words("nlptl rank", "--checkpoints", candidates, [task, *(words or [])], tasks_dir)
    if not candidates and not named:
        raise ConfigError(
            "There is no checkpoint to rank. Write: nlptl rank TASK --checkpoints A,B,C (or --sources DATA,DATA)"
        )
    from nlptl.verbs.look_request import LOOKED_AT

    asked = data_settings(data, None, None, text_column, label_column, label_map, shots, delimiter, split)
    chosen = {"task": task, "seed": seed, "tasks_dir": tasks_dir, **asked}
    config = configured(None, settings, chosen, reads=(*LOOKED_AT, "model.pooling"))
    from nlptl.reports.tables import rows_table
    from nlptl.storage.json_files import write_json
    from nlptl.verbs.insight import rank_candidates

    ranking = rank_candidates(config, candidates, named, None, rows)
    if ranking.rows:
        out.print(rows_table(ranking.rows, f"Candidates, most promising first (probe: {ranking.metric} on validation)"))
    if ranking.sources:
        out.print(rows_table(ranking.sources, "Other data, the nearest texts first (cosine of the mean vectors)"))
    if output is not None:
        write_json(output, {"metric": ranking.metric, "candidates": ranking.rows, "sources": ranking.sources})
        out.print(f"Written to {output}")


def splits(
    task: TaskArgument = None,
    tasks_dir: TasksDir = None,
    data: Data = None,
    split: Split = None,
    text_column: TextColumn = None,
    label_column: LabelColumn = None,
    label_map: LabelMap = None,
    delimiter: Delimiter = None,
    model: Annotated[
        str | None, option(panel=HOW, among="baselines", help="<baselines>. Default: the head of a frozen encoder.")
    ] = None,
    seeds: Annotated[int, option(panel=HOW, metavar="N", min=1, help="Random splits that are averaged.")] = 3,
    seed: Seed = None,
    settings: Settings = None,
    output: Output = None,
) -> None:
    """Measure a model on random splits and along a column, and say what the random ones flatter.

    Rows of one campaign, customer or week on both sides of a random split make a model look better than it will be on
    new ones. The head of a frozen encoder is trained on both kinds of splits; no run is kept.

    Examples:

      nlptl splits fraud-text --data mails.csv --split time:received

      nlptl splits fraud-text --data mails.csv --split group:sender --model linear_svm
    """
    kind = {"baseline.model": model} if model is not None else {"mode": "feature_extraction"}
    asked = data_settings(data, None, None, text_column, label_column, label_map, None, delimiter, split)
    config = configured(None, settings, {"task": task, "seed": seed, "tasks_dir": tasks_dir, **kind, **asked})
    if not is_first_process("splits"):
        return
    from nlptl.reports.tables import rows_table
    from nlptl.storage.json_files import write_json
    from nlptl.verbs.splits import split_comparison

    found = split_comparison(config, None, seeds)
    out.print(rows_table(found.rows, f"{found.metric} of {found.model} on test (error: standard error over rows)"))
    out.print(found.sentence, highlight=False)
    if output is not None:
        write_json(output, found.to_json())
        out.print(f"Written to {output}")
