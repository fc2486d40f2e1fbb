"""Looking into encoders without training any: which layer knows a task, and which checkpoint to take."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from nlptl.config.keywords import settings_by_key, suggests
from nlptl.config.run import RunConfig
from nlptl.data.given import data_of_one_task
from nlptl.explore.layers import LayerReport, probe_layers
from nlptl.explore.ranking import Ranking, rank_checkpoints
from nlptl.explore.sources import rank_sources
from nlptl.inference.predictor import Run
from nlptl.tasks import load_task
from nlptl.verbs.look_request import LOOKED_AT, of_run
from nlptl.verbs.request import checked_config, present


@suggests(RunConfig)
def probe(
    task: str | None = None,
    *,
    data: Any = None,
    checkpoint: str | Path | None = None,
    run: str | Path | Run | None = None,
    text_column: str | int | Sequence[str | int] | None = None,
    label_column: str | int | None = None,
    label_map: Mapping[Any, Any] | None = None,
    split: str | None = None,
    shots: int | None = None,
    max_length: int | Literal["auto"] | None = None,
    rows: int = 2000,
    precision: str | None = None,
    seed: int | None = None,
    tasks_dir: str | Path | None = None,
    settings: Mapping[str, Any] | None = None,
) -> LayerReport:
    """Ask which layer of an encoder knows a task: a linear probe on each (Alain & Bengio 2016); see `probe_layers`.

    Args:
        task: name of a registered task; not needed with a run, which has its own.
        data, text_column, label_column, label_map, split, shots, precision, tasks_dir: as `nlptl.train`.
        checkpoint: a name, Hub id or folder.
        run: a finished run instead: its layers after training beside those of its checkpoint before, on the task and
            the data that it was trained on, unless other data are given.
        max_length: tokens that are read of a text at once; auto: as many as 99 of 100 training texts have.
        rows: of each split that are used, drawn with the seed.
        seed: of splits, shots and the draw.
        settings: any other setting by dotted key, for example `{"probe.regularisation": [1.0]}`.

    Raises:
        NlptlError: something asked for cannot be done; the message says what, and what to do.
    """
    folder = run.folder if isinstance(run, Run) else None if run is None else Path(run)
    keywords = {
        "task": task,
        "checkpoint": checkpoint,
        "text_column": text_column,
        "label_column": label_column,
        "label_map": label_map,
        "split": split,
        "shots": shots,
        "max_length": max_length,
        "precision": precision,
        "seed": seed,
        "tasks_dir": tasks_dir,
    }
    values, faults = settings_by_key(keywords, settings)
    sources, given = data_of_one_task(data)
    values |= present(sources)
    known, values = (None, values) if folder is None else of_run(folder, values, given)
    reads = (*LOOKED_AT, "checkpoint")
    config = checked_config(None, values, known_task=known, reads=reads, faults=faults)
    return probe_layers(config, given, folder, rows)


@suggests(RunConfig)
def rank(
    task: str | None = None,
    checkpoints: str | Path | Sequence[str | Path] = (),
    *,
    sources: str | Path | Sequence[str | Path] = (),
    data: Any = None,
    text_column: str | int | Sequence[str | int] | None = None,
    label_column: str | int | None = None,
    label_map: Mapping[Any, Any] | None = None,
    split: str | None = None,
    shots: int | None = None,
    max_length: int | Literal["auto"] | None = None,
    rows: int = 2000,
    precision: str | None = None,
    seed: int | None = None,
    tasks_dir: str | Path | None = None,
    settings: Mapping[str, Any] | None = None,
) -> Ranking:
    """Order checkpoints by how well they will transfer, before training any; see `rank_checkpoints`.

    Args:
        task: name of a registered task.
        checkpoints: names, Hub ids or folders, also of finished runs.
        sources: files or folders of other data, ranked as what might be learned first (`via` of `nlptl.train`); see
            `nlptl.explore.sources.rank_sources`.
        data, text_column, label_column, label_map, split, shots, precision, tasks_dir: as `nlptl.train`.
        max_length: tokens that are read of a text at once; auto: as many as 99 of 100 training texts have.
        rows: of each split that are used, drawn with the seed.
        seed: of splits, shots and the draw.
        settings: any other setting by dotted key.

    Raises:
        NlptlError: something asked for cannot be done; the message says what, and what to do.
    """
    keywords = {
        "task": task,
        "text_column": text_column,
        "label_column": label_column,
        "label_map": label_map,
        "split": split,
        "shots": shots,
        "max_length": max_length,
        "precision": precision,
        "seed": seed,
        "tasks_dir": tasks_dir,
    }
    values, faults = settings_by_key(keywords, settings)
    paths, given = data_of_one_task(data)
    reads = (*LOOKED_AT, "model.pooling")
    config = checked_config(None, {**values, **paths}, reads=reads, faults=faults)
    return rank_candidates(config, _names(checkpoints), _names(sources), given, rows)


def rank_candidates(
    config: RunConfig, checkpoints: Sequence[str], sources: Sequence[str], given: Any = None, rows: int = 2000
) -> Ranking:
    """Checkpoints and sources that are named, ranked each among themselves; see `rank`.

    Raises:
        NlptlError: nothing is named, or something cannot be used.
    """
    ranking = Ranking(load_task(config.task, config.tasks_dir).metric, [])
    if checkpoints or not sources:
        ranking = rank_checkpoints(config, checkpoints, given, rows)
    return replace(ranking, sources=rank_sources(config, sources, given, rows) if sources else [])


def _names(given: str | Path | Sequence[str | Path]) -> list[str]:
    return [str(name) for name in ([given] if isinstance(given, str | Path) else given)]
