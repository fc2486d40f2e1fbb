"""Inspecting labelled rows, and training on them once they are corrected."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from nlptl.config.keywords import settings_by_key, suggests
from nlptl.config.run import RunConfig
from nlptl.data.given import data_of_one_task
from nlptl.errors import LaunchError
from nlptl.quality.config import PROBE, check_folds_from
from nlptl.quality.gain import Gain, apply_config
from nlptl.quality.inspection import Inspection, inspect_config
from nlptl.quality.writing import check_folder
from nlptl.verbs.look_request import inspected_reads
from nlptl.verbs.request import checked_config, present


@suggests(RunConfig)
def inspect(
    task: str | None = None,
    *,
    data: Any = None,
    validation: Any = None,
    test: Any = None,
    checkpoint: str | Path | None = None,
    folds_from: str = PROBE,
    slices: str | Sequence[str] = (),
    text_column: str | int | Sequence[str | int] | None = None,
    label_column: str | int | None = None,
    label_map: Mapping[Any, Any] | None = None,
    max_length: int | Literal["auto"] | None = None,
    precision: str | None = None,
    seed: int | None = None,
    tasks_dir: str | Path | None = None,
    output: str | Path | None = None,
    settings: Mapping[str, Any] | None = None,
) -> Inspection:
    """Find likely wrong labels, near-duplicates, leaks, outliers, confusable labels and weak slices in labelled rows.

    Each label is judged by a model that has not seen its row, nor a near-duplicate of it: the rows of all splits are
    cut into five folds, and each is answered by a model of the other four. How many labels are wrong is estimated by
    confident learning (Northcutt et al. 2021); which ones, by the out-of-fold probability of the label that a row has.

    Args:
        task: name of a registered task of one label a text.
        data, validation, test, text_column, label_column, label_map, precision, tasks_dir: as `nlptl.train`. Rows that
            stand in two splits are kept, to be told.
        checkpoint: the encoder; not a run that learned labels of this task.
        folds_from: what answers a fold. probe: a linear probe on the frozen encoder, seconds; it learns a second time
            without the rows that it flagged first. full or lora: an encoder fine-tuned on the other folds, five
            trainings, for tasks that a probe knows badly, such as opinions.
        slices: columns of the data whose groups are measured, beside length and script.
        max_length: tokens that are read of a text at once; auto: as many as 99 of 100 training texts have.
        seed: of splits and folds.
        output: a folder for `to-correct.csv` and `inspection.json`; None: nothing is written.
        settings: any other setting by dotted key; with `folds_from` full or lora also those of a training.

    Raises:
        NlptlError: something asked for cannot be done; the message says what, and what to do.
    """
    keywords = {
        "task": task,
        "checkpoint": checkpoint,
        "text_column": text_column,
        "label_column": label_column,
        "label_map": label_map,
        "max_length": max_length,
        "precision": precision,
        "seed": seed,
        "tasks_dir": tasks_dir,
    }
    values, faults = settings_by_key(keywords, settings)
    sources, given = data_of_one_task(data, validation, test)
    values |= present(sources)
    check_folds_from(folds_from)
    mode = {} if folds_from == PROBE else {"mode": folds_from}
    config = checked_config(None, {**values, **mode}, reads=inspected_reads(folds_from), faults=faults)
    chosen = [slices] if isinstance(slices, str) else list(slices)
    return inspect_and_write(config, given, folds_from, chosen, output)


def inspect_and_write(
    config: RunConfig, given: Any, folds_from: str, slices: Sequence[str], output: str | Path | None
) -> Inspection:
    """Inspect, and write what was found where an output is named; see `inspect`.

    Raises:
        NlptlError: as `inspect`; an output that cannot be written is told before anything is computed.
    """
    _in_one_process()
    if output is not None:
        check_folder(output)
    found = inspect_config(config, given, folds_from, slices)
    if output is not None:
        found.write(output)
    return found


@suggests(RunConfig)
def apply_corrections(
    task: str | None = None,
    corrections: str | Path = "",
    *,
    data: Any = None,
    validation: Any = None,
    test: Any = None,
    mode: str | None = None,
    checkpoint: str | Path | None = None,
    text_column: str | int | Sequence[str | int] | None = None,
    label_column: str | int | None = None,
    label_map: Mapping[Any, Any] | None = None,
    epochs: int | None = None,
    precision: str | None = None,
    seed: int | None = None,
    tasks_dir: str | Path | None = None,
    output: str | Path | None = None,
    settings: Mapping[str, Any] | None = None,
) -> Gain:
    """Train on corrected rows, and beside it on the rows as they were; report the gain on the same test rows.

    Args:
        task: name of the task whose rows were inspected.
        corrections: the table `to-correct.csv` of an inspection, its column `corrected` filled in with the right label
            or `(drop)`; rows without anything there stay as they are.
        data, validation, test, text_column, label_column, label_map: the data that were inspected, as then.
        mode, checkpoint, epochs, precision, tasks_dir: as `nlptl.train`, for both runs.
        seed: of splits and both runs.
        output: a folder that does not exist yet, for both runs and their data. None: `corrected`.
        settings: any other setting by dotted key.

    Raises:
        NlptlError: corrections that do not fit the data, all of them listed; or something else that cannot be done.
    """
    keywords = {
        "task": task,
        "mode": mode,
        "checkpoint": checkpoint,
        "text_column": text_column,
        "label_column": label_column,
        "label_map": label_map,
        "epochs": epochs,
        "precision": precision,
        "seed": seed,
        "tasks_dir": tasks_dir,
        "output": output,
    }
    values, faults = settings_by_key(keywords, settings)
    sources, given = data_of_one_task(data, validation, test)
    config = checked_config(None, {**values, **present(sources)}, faults=faults)
    return apply_checked(config, corrections, given)


def apply_checked(config: RunConfig, corrections: str | Path, given: Any = None) -> Gain:
    """Train as a configuration says, with corrections and without; see `apply_corrections`."""
    _in_one_process()
    return apply_config(config, corrections, given)


def _in_one_process() -> None:
    """Raises LaunchError where several processes were started together, which would all write the same files."""
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise LaunchError(
            "Inspecting and correcting rows run in one process. Start nlptl inspect without accelerate launch; a "
            "training on the corrected rows can be launched afterwards."
        )
