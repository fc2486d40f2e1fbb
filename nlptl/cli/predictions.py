"""Commands that ask a finished run: predict and evaluate."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from types import FrameType
from typing import Annotated, Any, NamedTuple

import typer

from nlptl.cli.choices import FORMATS
from nlptl.cli.given_texts import STANDARD_INPUT, given_texts, pairs_of
from nlptl.cli.help import DATA, HOW, WHERE, is_verbose
from nlptl.cli.options import (
    Delimiter,
    LabelColumn,
    LabelMap,
    RunArgument,
    Settings,
    TaskName,
    TextColumn,
    data_settings,
    option,
    out,
)
from nlptl.cli.printing import print_predictions
from nlptl.config.data import DataConfig
from nlptl.config.overrides import load_config, parse_assignments
from nlptl.errors import ConfigError, DataError, unknown

log = logging.getLogger("nlptl")
FEW_CHARACTERS = 2_000
"""Of texts that one thread predicts sooner than others are started."""
Encoding = Annotated[
    str | None,
    option(panel=DATA, metavar="NAME", help="Of CSV and JSONL files, such as cp1252. Default: as in training."),
]
Precision = Annotated[
    str | None,
    option(
        panel=HOW,
        among="precisions",
        help="auto: the fastest here. Default: the one that the run was trained in.",
    ),
]
# What has an effect on a run that is trained already.
_READ = ("data.text_columns", "data.encoding", "data.delimiter", "data.quotes")
_RUN = ("runtime.precision", "runtime.progress")
OF_PREDICT = (*_READ, *_RUN)
OF_EVALUATE = (*_READ, "data.label_column", "data.label_map", "data.bad_rows", *_RUN)


def predict(
    run: RunArgument,
    texts: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="TEXT",
            help="Texts; of a pair task two for each. None, or a single -: one a line from standard input (pairs with "
            "a tab between).",
            show_default=False,
        ),
    ] = None,
    task: TaskName = None,
    input: Annotated[
        Path | None, option(panel=DATA, metavar="FILE", help="A CSV, TSV, JSONL or Parquet file of any size.")
    ] = None,
    text_column: TextColumn = None,
    encoding: Encoding = None,
    delimiter: Delimiter = None,
    decision: Annotated[str | None, option(panel=HOW, among="decisions", help="<decisions>.")] = None,
    precision: Precision = None,
    settings: Settings = None,
    output: Annotated[
        Path | None, option(panel=WHERE, metavar="FILE", help="Where the predictions go, with --input.")
    ] = None,
    all_scores: Annotated[
        bool, option("--all-scores", panel=WHERE, help="Add the probability of every label.")
    ] = False,
    format: Annotated[str, option(panel=WHERE, among="formats", help="For texts: <formats>.")] = "table",
    safe_csv: Annotated[
        bool,
        option(
            "--safe-csv",
            panel=WHERE,
            help="For spreadsheets: an apostrophe before texts that would act as formulas.",
        ),
    ] = False,
) -> None:
    """Predict labels: for texts, standard input, or file to file.

    A file is read as the run's training data were: the same columns and encoding, unless an option says otherwise.

    Examples:

      nlptl predict RUN "Not half as bad as I feared."

      nlptl predict RUN - --format json < texts.txt

      nlptl predict RUN --input new.csv --output labelled.csv --all-scores
    """
    if (input is None) != (output is None) or (input is not None and texts):
        raise ConfigError("Give texts, or --input FILE together with --output FILE.")
    if str(input) == STANDARD_INPUT:
        raise ConfigError("--input takes a file. Texts from standard input, one a line: nlptl predict RUN -")
    if format not in FORMATS:
        raise ConfigError(unknown("format", format, FORMATS))
    if safe_csv and (output is None or output.suffix.lower() not in (".csv", ".tsv")):
        raise ConfigError("--safe-csv is for --output FILE.csv or FILE.tsv.")
    chosen = data_settings(None, None, None, text_column, None, None, None, delimiter)
    asked = _asked(OF_PREDICT, settings, chosen, encoding)
    if (text_column or delimiter) and input is None:
        raise ConfigError("--text-column and --delimiter are for --input FILE; other texts have no columns.")
    if not is_first_process("predict"):
        return
    if input is not None and output is not None:
        with _ending_in_order():
            opened = _open(run, task, precision, asked)
            rows = opened.predict_file(input, output, all_scores, decision, asked.data, safe_csv)
        out.print(f"{rows} predictions written to {output}")
        return
    messages_to_standard_error()
    given = given_texts(texts or [], asked.data.encoding)
    with _in_few_threads(sum(map(len, given.texts))):
        opened = _open(run, task, precision, asked)
        items = pairs_of(given) if opened.text_columns == 2 else given.texts
        print_predictions(opened, items, all_scores, decision, format)


def evaluate(
    context: typer.Context,
    run: RunArgument,
    data: Annotated[
        str,
        option(
            panel=DATA,
            metavar="FILE|DIR|NAME",
            help="A labelled file; or, for its test split, a folder, a Hub id, or a data set the task names.",
        ),
    ],
    task: TaskName = None,
    text_column: TextColumn = None,
    label_column: LabelColumn = None,
    label_map: LabelMap = None,
    encoding: Encoding = None,
    delimiter: Delimiter = None,
    bad_rows: Annotated[
        str | None,
        option(
            panel=DATA,
            among="bad-rows",
            help="Rows without text or label: stop, or drop (and count). Default: as in training.",
        ),
    ] = None,
    precision: Precision = None,
    settings: Settings = None,
    output: Annotated[Path | None, option(panel=WHERE, metavar="FILE", help="Also write the numbers as JSON.")] = None,
) -> None:
    """Measure a run on labelled data.

    They are read as the run's training data were: the same columns, label names and encoding, unless an option says
    otherwise.
    """
    chosen = data_settings(None, None, None, text_column, label_column, label_map, None, delimiter) | {
        "data.bad_rows": bad_rows
    }
    asked = _asked(OF_EVALUATE, settings, chosen, encoding)
    if output is not None and output.exists() and Path(data).exists() and output.samefile(data):
        raise DataError(f"{output} is the data itself. Choose another --output.")
    if not is_first_process("evaluate"):
        return
    from nlptl.reports.tables import per_class_table, results_table
    from nlptl.storage.json_files import write_json

    report = _open(run, task, precision, asked).evaluate(data, asked.data)
    out.print(results_table({"test": report}))
    out.print(per_class_table(report))
    for name, count in report["audit"].items():
        if count or is_verbose(context):
            out.print(f"{name.replace('_', ' ')}: {count}")
    if output is not None:
        write_json(output, {"data": data, "test": report})
        out.print(f"Written to {output}")


class _Asked(NamedTuple):
    """What options and `--set` ask for."""

    data: DataConfig
    precision: str | None
    progress: bool


def _asked(known: tuple[str, ...], settings: list[str] | None, chosen: dict[str, Any], encoding: str | None) -> _Asked:
    """Raises ConfigError for a setting that has no effect here."""
    values = parse_assignments(settings or [])
    for key in values:
        if key not in known:
            raise ConfigError(
                f"--set {key} has no effect on a run that is trained. Settings that have: {', '.join(known)}."
            )
    flags = {key: value for key, value in {**chosen, "data.encoding": encoding}.items() if value is not None}
    config = load_config(None, **{"task": STANDARD_INPUT, **values, **flags})
    precision = config.runtime.precision if "runtime.precision" in values else None
    return _Asked(config.data, precision, config.runtime.progress)


def _open(run: Path, task: str | None, precision: str | None, asked: _Asked) -> Any:
    from nlptl.inference.predictor import load

    opened = load(run, precision or asked.precision, asked.progress)
    return opened if task is None else opened.task(task)


def _in_few_threads(characters: int) -> AbstractContextManager[None]:
    """One thread for what one computes within a moment; as many as there are for more."""
    from nlptl.kernels.threads import one_thread

    return one_thread() if characters <= FEW_CHARACTERS else nullcontext()


def is_first_process(verb: str) -> bool:
    """Whether this process does the work: one alone, or the first of those that a launcher started together."""
    rank, launched = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
    if launched > 1 and rank == 0:
        log.warning(f"{launched} processes were launched, but `nlptl {verb}` runs in one: this one does all the work.")
    return rank == 0


@contextmanager
def _ending_in_order() -> Iterator[None]:
    """Let SIGTERM and SIGHUP end the command as Ctrl-C does, so that no half-written file stays behind."""

    def end(number: int, _: FrameType | None) -> None:
        raise SystemExit(128 + number)

    numbers = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    if threading.current_thread() is not threading.main_thread():
        numbers = []
    # One that is ignored, as under nohup, stays ignored.
    before = {n: signal.signal(n, end) for n in numbers if signal.getsignal(n) is signal.SIG_DFL}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def messages_to_standard_error() -> None:
    """Keep standard output for the predictions, which another program may read."""
    for handler in log.handlers:
        if isinstance(handler, logging.StreamHandler) and handler.stream is sys.stdout:
            handler.setStream(sys.stderr)
