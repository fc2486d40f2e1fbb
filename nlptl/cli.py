"""The command line: one thin command per verb; heavy imports happen inside the command that needs them."""

from __future__ import annotations

import logging
import os
import sys
import warnings
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from nlptl.config import load_config, parse_assignments, parse_label_map
from nlptl.errors import ConfigError, DataError, NlptlError
from nlptl.tasks import find_tasks, load_task

EXAMPLES = 3
app = typer.Typer(
    help="Transfer learning for text: tasks onto BERT-family checkpoints, fine-tuned in three modes.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)
tasks_app = typer.Typer(help="List, show and draft tasks.", invoke_without_command=True)
app.add_typer(tasks_app, name="tasks")
out = Console(soft_wrap=True)

TasksDir = Annotated[str | None, typer.Option(help="A folder with your own tasks; also the variable NLPTL_TASKS.")]
RunArgument = Annotated[Path, typer.Argument(metavar="RUN", help="A run folder.", show_default=False)]
LabelMap = Annotated[
    str | None,
    typer.Option(metavar="OLD=NEW,...", help="Labels of the data as the task names them: ham=legitimate,spam=fraud"),
]
TextColumn = Annotated[
    list[str] | None,
    typer.Option(metavar="COLUMN", help="Column with the texts; twice for a pair.", show_default=False),
]
LabelColumn = Annotated[str | None, typer.Option(metavar="COLUMN", help="Column with the labels.")]


@app.command(no_args_is_help=True)
def train(
    task: Annotated[str | None, typer.Argument(help="A task: see `nlptl tasks`.", show_default=False)] = None,
    mode: Annotated[str | None, typer.Option(help="full (default), lora or feature_extraction.")] = None,
    checkpoint: Annotated[
        str | None, typer.Option(metavar="NAME|ID|DIR", help="minilm (bundled), bert-base, ..., a Hub id, or a folder.")
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(
            metavar="FILE|DIR|HUB_ID",
            help="CSV, TSV, JSONL or Parquet; a folder of split files; a Hub id; "
            "or a data set the task names. Default: the task's bundled sample.",
        ),
    ] = None,
    validation: Annotated[str | None, typer.Option(metavar="FILE", help="Default: cut from train.")] = None,
    test: Annotated[
        str | None, typer.Option(metavar="FILE", help="Default: the data's own, else cut from train.")
    ] = None,
    text_column: TextColumn = None,
    label_column: LabelColumn = None,
    label_map: LabelMap = None,
    shots: Annotated[int | None, typer.Option(help="Use this many training rows per label.")] = None,
    seed: Annotated[
        int | None, typer.Option(help="Of splits, shots, initialisation, order, dropout. Default 0.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with an unfinished run.")] = False,
    epochs: Annotated[int | None, typer.Option(help="Default: the task's or the mode's.")] = None,
    learning_rate: Annotated[float | None, typer.Option(help="Default: the task's or the mode's.")] = None,
    output: Annotated[
        str | None, typer.Option(metavar="DIR", help="The run folder. Default: runs/TASK-MODE-TIME")
    ] = None,
    config: Annotated[
        Path | None, typer.Option(metavar="YAML", help="Start from a file, such as RUN/run.yaml.")
    ] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="SECTION.KEY=VALUE", help="Any other setting; can be repeated.")
    ] = None,
    tasks_dir: TasksDir = None,
) -> None:
    """Train a classifier and save it as a run.

    Examples:

      nlptl train sentiment

      nlptl train fraud-text --mode lora --data sms.csv --text-column message --label-map ham=legitimate,spam=fraud

      accelerate launch -m nlptl train chatbot-intent --data banking77/
    """
    chosen: dict[str, Any] = {
        "task": task,
        "mode": mode,
        "checkpoint": checkpoint,
        "seed": seed,
        "output": output,
        "tasks_dir": tasks_dir,
        "data.source": data,
        "data.validation": validation,
        "data.test": test,
        "data.text_columns": text_column or None,
        "data.label_column": label_column,
        "data.label_map": parse_label_map(label_map) if label_map else None,
        "data.shots": shots,
        "training.epochs": epochs,
        "training.learning_rate": learning_rate,
    }
    flags = {key: value for key, value in chosen.items() if value is not None}
    resolved = load_config(config, **{**parse_assignments(settings or []), **flags})
    load_task(resolved.task, resolved.tasks_dir)  # a mistyped name is answered before torch is loaded
    from nlptl.api import train_config

    run = train_config(resolved, resume=resume)
    if int(os.environ.get("RANK", "0")) == 0:
        _show_run(run)


@app.command(no_args_is_help=True)
def evaluate(
    run: RunArgument,
    data: Annotated[Path, typer.Option(metavar="FILE", help="A labelled file.")],
    text_column: TextColumn = None,
    label_column: LabelColumn = None,
    label_map: LabelMap = None,
    output: Annotated[Path | None, typer.Option(metavar="FILE", help="Also write the numbers as JSON.")] = None,
) -> None:
    """Measure a run on a labelled file."""
    from nlptl.api import load
    from nlptl.artifacts import write_json
    from nlptl.reports.tables import per_class_table, results_table

    report = load(run).evaluate(data, _data_config(text_column, label_column, label_map))
    out.print(results_table({"test": report}))
    out.print(per_class_table(report))
    for name, count in report["audit"].items():
        out.print(f"{name.replace('_', ' ')}: {count}")
    if output is not None:
        write_json(output, {"data": str(data), "test": report})
        out.print(f"Written to {output}")


@app.command(no_args_is_help=True)
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
    format: Annotated[str, typer.Option(help="For texts: table, json (one object a line) or tsv.")] = "table",
) -> None:
    """Predict labels: for texts, standard input, or file to file."""
    if (input is None) != (output is None) or (input is not None and texts):
        raise ConfigError("Give texts, or --input FILE together with --output FILE.")
    if format not in ("table", "json", "tsv"):
        raise ConfigError(f"Unknown format {format!r}. Available: json, table, tsv.")
    from nlptl.api import load

    opened = load(run)
    if input is not None and output is not None:
        columns = _data_config(text_column, None, None)
        rows = opened.predict_file(input, output, all_scores, decision, columns)
        out.print(f"{rows} predictions written to {output}")
        return
    asked: list[Any] = list(texts) if texts else [line.rstrip("\r\n") for line in sys.stdin]
    if len(opened.artifact.task.text_columns) == 2:
        asked = list(zip(asked[::2], asked[1::2], strict=False))
    _print_predictions(opened, asked, all_scores, decision, format)


@app.command(no_args_is_help=True)
def merge(run: RunArgument, output: Annotated[Path, typer.Option(metavar="DIR", help="The new run folder.")]) -> None:
    """Fold a run's adapter and its checkpoint into weights that stand alone."""
    from nlptl.artifacts import merge_artifact

    out.print(f"Merged run written to {merge_artifact(run, output)}")


@tasks_app.callback()
def tasks(context: typer.Context, tasks_dir: TasksDir = None) -> None:
    """List the tasks."""
    context.obj = tasks_dir
    if context.invoked_subcommand is not None:
        return
    registry = find_tasks(tasks_dir)
    table = Table("task", "labels", "metric", "data sets", "description")
    for name in registry:
        task = registry.get(name)
        labels = "from data" if isinstance(task.labels, str) else str(len(task.labels))
        table.add_row(name, labels, task.metric, ", ".join(task.data), task.description)
    out.print(table)


@tasks_app.command("show", no_args_is_help=True)
def show_task(
    context: typer.Context, name: Annotated[str, typer.Argument(help="The task.")], tasks_dir: TasksDir = None
) -> None:
    """Show everything a task says."""
    import yaml

    task = load_task(name, tasks_dir or context.obj)
    print(yaml.safe_dump(task.model_dump(mode="json", exclude_none=True), sort_keys=False, allow_unicode=True), end="")


@tasks_app.command("new", no_args_is_help=True)
def new_task(
    name: Annotated[str, typer.Argument(help="Lower-case name for the task.")],
    data: Annotated[Path, typer.Option(metavar="FILE", help="Labelled texts: CSV, TSV, JSONL or Parquet.")],
    text_column: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="Default: the one with the longest texts.")
    ] = None,
    label_column: LabelColumn = None,
    tasks_dir: Annotated[Path, typer.Option(help="Where the task's folder goes.")] = Path("tasks"),
) -> None:
    """Draft a task folder from a file of labelled texts; it trains at once."""
    from nlptl.data.drafting import draft_task

    if name in find_tasks():
        raise ConfigError(f"There is a task {name!r} already. Choose another name.")
    task = draft_task(name, data, tasks_dir, text_column, label_column)
    out.print(
        f"Wrote {tasks_dir / name}/task.yaml: text {task.text_columns[0]!r}, label {task.label_column!r}, labels:"
    )
    out.print("  " + ", ".join(task.label_list()), highlight=False)
    out.print(f"Train it: nlptl train {name} --tasks-dir {tasks_dir}")


@app.command()
def checkpoints() -> None:
    """List the checkpoints known by name."""
    from nlptl.checkpoints import CHECKPOINTS

    table = Table("name", "Hub id", "pooling", "description")
    for name in CHECKPOINTS:
        known = CHECKPOINTS.get(name)
        table.add_row(name, known.hub_id, known.pooling, known.description)
    out.print(table)


@app.command()
def configs(name: Annotated[str | None, typer.Argument(help="Print this one's path.")] = None) -> None:
    """List the accelerate configs, or print one's path: accelerate launch --config_file $(nlptl configs cpu) ..."""
    from nlptl.errors import unknown
    from nlptl.resources import bundled

    known = {path.stem: path for path in sorted(bundled("accelerate_configs").glob("*.yaml"))}
    if name is not None and name not in known:
        raise ConfigError(unknown("accelerate config", name, known))
    if name is not None:
        print(known[name])
        return
    for stem, path in known.items():
        first = path.read_text(encoding="utf-8").splitlines()[0].lstrip("# ")
        out.print(f"{stem:16} {first}", highlight=False)


@app.command()
def env() -> None:
    """Print what a bug report needs."""
    import platform

    import torch

    from nlptl.artifacts import environment
    from nlptl.resources import bundled, cache_dir
    from nlptl.training.runtime import local_runtime

    runtime = local_runtime()
    facts = {
        **environment(),
        "platform": platform.platform(),
        "processor": torch.cpu.get_capabilities().get("cpu_name") or platform.processor(),
        "threads": torch.get_num_threads(),
        "gpus": ", ".join(torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())) or "none",
        "device and precision chosen": f"{runtime.device.type}, {runtime.precision}",
        "feature cache": cache_dir(),
        "tasks": bundled("tasks"),
        **{
            name: os.environ[name]
            for name in ("NLPTL_TASKS", "NLPTL_CACHE", "HF_HOME", "HF_HUB_OFFLINE")
            if name in os.environ
        },
    }
    for key, value in facts.items():
        print(f"{key}: {value}")


@app.command()
def version() -> None:
    """Print the version."""
    from importlib.metadata import version as installed

    print(installed("nlptl"))


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
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(130)


def _configure_output(debug: bool) -> None:
    """The package's own messages on standard output; other libraries' only when they are errors, or with --debug."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(logging.Formatter("%(message)s"))
    log = logging.getLogger("nlptl")
    log.setLevel(logging.INFO if int(os.environ.get("RANK", "0")) == 0 else logging.ERROR)
    log.addHandler(handler)
    log.propagate = False
    if not debug:
        warnings.filterwarnings("ignore", category=FutureWarning)
        warnings.filterwarnings("ignore", category=UserWarning)


def _data_config(text_column: list[str] | None, label_column: str | None, label_map: str | None) -> Any:
    values: dict[str, Any] = {
        "data.text_columns": text_column or None,
        "data.label_column": label_column,
        "data.label_map": parse_label_map(label_map) if label_map else None,
    }
    return load_config(task="-", **values).data


def _show_run(run: Any) -> None:
    from nlptl.reports.tables import results_table, time_table

    out.print(results_table(run.metrics))
    out.print(time_table(run.metrics))
    out.print(f"Run folder: {run.folder}", highlight=False)
    out.print("Three predictions on test rows:")
    from nlptl.data.files import read_chunks

    chunk = next(read_chunks(run.folder / "predictions.csv", rows=EXAMPLES))
    columns = [name for name in ("text", "text_pair") if name in chunk]
    texts = [row if len(columns) == 2 else row[0] for row in chunk[columns].itertuples(index=False, name=None)]
    _print_predictions(run, texts, False, None, "table", gold=list(chunk["label"]))
    out.print(f'Try: nlptl predict {run.folder} "your text"', highlight=False)


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
            table.add_row(_escape(shown), _escape(str(prediction.label)), f"{prediction.score:.4f}", *extra)
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


def _escape(text: str) -> str:
    from rich.markup import escape

    return escape(text)
