"""Commands around a run: train, evaluate, predict, merge."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from nlptl.cli.options import (
    CheckpointOption,
    ConfigFile,
    DataByTask,
    Delimiter,
    LabelColumn,
    LabelMap,
    RunArgument,
    Settings,
    Shots,
    TaskName,
    TasksDir,
    Test,
    TextColumn,
    Validation,
    configured,
    data_config,
    data_settings,
    data_sources,
    out,
)
from nlptl.config.overrides import load_config
from nlptl.errors import ConfigError, DataError
from nlptl.tasks import task_names

EXAMPLES = 3


def train(
    task: Annotated[
        str | None,
        typer.Argument(help="A task: see `nlptl tasks`; or several as a+b+c on one encoder.", show_default=False),
    ] = None,
    mode: Annotated[str | None, typer.Option(help="full (default), lora or feature_extraction.")] = None,
    strategy: Annotated[
        str | None,
        typer.Option(
            help="fine_tune, contrastive (few labels) or soup (average of seeds). "
            "Default: fine_tune; in mode full with --shots up to 50, contrastive."
        ),
    ] = None,
    checkpoint: CheckpointOption = None,
    data: DataByTask = None,
    validation: Validation = None,
    test: Test = None,
    text_column: TextColumn = None,
    label_column: LabelColumn = None,
    label_map: LabelMap = None,
    delimiter: Delimiter = None,
    shots: Shots = None,
    seed: Annotated[
        int | None, typer.Option(help="Of splits, shots, initialisation, order, dropout. Default 0.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with an unfinished run.")] = False,
    compare: Annotated[
        bool, typer.Option("--compare", help="Several tasks: also train each alone, and report the differences.")
    ] = False,
    epochs: Annotated[int | None, typer.Option(help="Default: the task's or the mode's.")] = None,
    learning_rate: Annotated[float | None, typer.Option(help="Default: the task's or the mode's.")] = None,
    output: Annotated[
        str | None, typer.Option(metavar="DIR", help="The run folder. Default: runs/TASK-MODE-TIME")
    ] = None,
    config: ConfigFile = None,
    settings: Settings = None,
    tasks_dir: TasksDir = None,
) -> None:
    """Train a classifier and save it as a run.

    Examples:

      nlptl train sentiment

      nlptl train fraud-text --mode lora --data sms.csv --text-column message --label-map ham=legitimate,spam=fraud

      nlptl train sentiment+chatbot-intent+fraud-text --data fraud-text=sms.csv --compare

      nlptl train chatbot-intent --data banking77/ --shots 10 --strategy contrastive

      accelerate launch -m nlptl train chatbot-intent --data banking77/
    """
    chosen: dict[str, Any] = {
        "task": task,
        "mode": mode,
        "strategy": strategy,
        "checkpoint": checkpoint,
        "seed": seed,
        "output": output,
        "tasks_dir": tasks_dir,
        "multi_task.compare": compare or None,
        **data_settings(None, validation, test, text_column, label_column, label_map, shots, delimiter),
        "training.epochs": epochs,
        "training.learning_rate": learning_rate,
    }
    asked = task or load_config(config, task=task).task
    sources = data_sources(data or [], len(task_names(asked)) > 1)
    resolved = configured(config, settings, {**chosen, **sources}, several=True)
    from nlptl.api import load, train_folder

    folder = train_folder(resolved, resume=resume)
    if int(os.environ.get("RANK", "0")) == 0:
        show_run(load(folder, resolved.runtime.precision, resolved.runtime.progress))


def evaluate(
    run: RunArgument,
    data: Annotated[Path, typer.Option(metavar="FILE", help="A labelled file.")],
    text_column: TextColumn = None,
    label_column: LabelColumn = None,
    label_map: LabelMap = None,
    output: Annotated[Path | None, typer.Option(metavar="FILE", help="Also write the numbers as JSON.")] = None,
    task: TaskName = None,
) -> None:
    """Measure a run on a labelled file."""
    from nlptl.api import load
    from nlptl.reports.tables import per_class_table, results_table
    from nlptl.storage.json_files import write_json

    opened = load(run) if task is None else load(run).task(task)
    report = opened.evaluate(data, data_config(text_column, label_column, label_map))
    out.print(results_table({"test": report}))
    out.print(per_class_table(report))
    for name, count in report["audit"].items():
        out.print(f"{name.replace('_', ' ')}: {count}")
    if output is not None:
        write_json(output, {"data": str(data), "test": report})
        out.print(f"Written to {output}")


def predict(
    run: RunArgument,
    texts: Annotated[
        list[str] | None,
        typer.Argument(metavar="[TEXT]...", help="Texts. None: one per line from standard input.", show_default=False),
    ] = None,
    input: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A CSV, TSV, JSONL or Parquet file of any size.")
    ] = None,
    output: Annotated[Path | None, typer.Option(metavar="FILE", help="Where the predictions go, with --input.")] = None,
    text_column: TextColumn = None,
    all_scores: Annotated[bool, typer.Option("--all-scores", help="Add the probability of every label.")] = False,
    decision: Annotated[
        str | None, typer.Option(help="argmax: the most probable label, instead of the run's own decision policy.")
    ] = None,
    safe_csv: Annotated[
        bool,
        typer.Option("--safe-csv", help="For spreadsheets: an apostrophe before texts that would act as formulas."),
    ] = False,
    format: Annotated[str, typer.Option(help="For texts: table, json (one object a line) or tsv.")] = "table",
    task: TaskName = None,
) -> None:
    """Predict labels: for texts, standard input, or file to file."""
    if (input is None) != (output is None) or (input is not None and texts):
        raise ConfigError("Give texts, or --input FILE together with --output FILE.")
    if format not in ("table", "json", "tsv"):
        raise ConfigError(f"Unknown format {format!r}. Available: json, table, tsv.")
    if safe_csv and (output is None or output.suffix.lower() not in (".csv", ".tsv")):
        raise ConfigError("--safe-csv is for --output FILE.csv or FILE.tsv.")
    from nlptl.api import load

    opened = load(run) if task is None else load(run).task(task)
    if input is not None and output is not None:
        columns = data_config(text_column, None, None)
        rows = opened.predict_file(input, output, all_scores, decision, columns, safe_csv)
        out.print(f"{rows} predictions written to {output}")
        return
    asked: list[Any] = list(texts) if texts else _standard_input()
    if opened.text_columns == 2:
        if len(asked) % 2:
            raise DataError(f"This run takes pairs of texts; {len(asked)} texts leave one without its partner.")
        asked = list(zip(asked[::2], asked[1::2], strict=True))
    _print_predictions(opened, asked, all_scores, decision, format)


def merge(run: RunArgument, output: Annotated[Path, typer.Option(metavar="DIR", help="The new run folder.")]) -> None:
    """Fold a run's adapter and its checkpoint into weights that stand alone."""
    from nlptl.api import merge as merged

    out.print(f"Merged run written to {merged(run, output)}")


def _standard_input() -> list[str]:
    try:
        return [line.rstrip("\r\n") for line in sys.stdin]
    except UnicodeDecodeError as error:
        raise DataError(f"Standard input is not valid {error.encoding}: {error.reason}. Convert it first.") from error


def show_run(run: Any) -> None:
    """A fresh run's numbers, times and first predictions."""
    from nlptl.reports.tables import comparison_table, results_table, time_table

    out.print(results_table(run.metrics))
    if "tasks" in run.metrics:
        out.print(comparison_table(run.metrics["tasks"]))
    out.print(time_table(run.metrics))
    out.print(f"Run folder: {run.folder}", highlight=False)
    several = len(run.tasks) > 1
    for name in run.tasks:
        out.print(f"Three predictions on test rows{f' of {name}' if several else ''}:")
        _show_examples(run.task(name), run.folder / "heads" / name if several else run.folder)
    flag = f"--task {run.tasks[0]} " if several else ""
    out.print(f'Try: nlptl predict {run.folder} {flag}"your text"', highlight=False)


def _show_examples(run: Any, home: Path) -> None:
    from nlptl.data.files import read_chunks

    chunk = next(read_chunks(home / "predictions.csv", rows=EXAMPLES))
    columns = [name for name in ("text", "text_pair") if name in chunk]
    texts = [row if len(columns) == 2 else row[0] for row in chunk[columns].itertuples(index=False, name=None)]
    _print_predictions(run, texts, False, None, "table", gold=list(chunk["label"]))


def _print_predictions(
    run: Any, texts: list[Any], all_scores: bool, decision: str | None, style: str, gold: list[str] | None = None
) -> None:
    import json

    if not texts:
        raise DataError("There is no text to predict: standard input was empty.")
    predictions = run.predict(texts, decision)
    scores = run.predict_proba(texts) if all_scores else None
    if style == "table":
        table = Table("text", "label", "score", *(["gold"] if gold else []), *(run.labels if all_scores else []))
        for i, (text, prediction) in enumerate(zip(texts, predictions, strict=True)):
            extra = [gold[i]] if gold else []
            extra += [f"{p:.4f}" for p in scores[i]] if scores is not None else []
            shown = str(text) if len(str(text)) <= 100 else str(text)[:97] + "..."
            table.add_row(shown, str(prediction.label), f"{prediction.score:.4f}", *extra)
        out.print(table)
        return
    for i, (text, prediction) in enumerate(zip(texts, predictions, strict=True)):
        record = {"text": text, "label": prediction.label, "score": round(prediction.score, 6)}
        if scores is not None:
            record["scores"] = {label: round(float(p), 6) for label, p in zip(run.labels, scores[i], strict=True)}
        print(
            json.dumps(record, ensure_ascii=False)
            if style == "json"
            else f"{record['label']}\t{record['score']}\t{text}"
        )
