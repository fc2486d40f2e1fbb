"""The two verbs of the library: train a run, open a run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nlptl.config import RunConfig, load_config
from nlptl.errors import ConfigError
from nlptl.inference.predictor import Run, load
from nlptl.reports.model_card import write_card
from nlptl.transfer.fine_tune import fine_tune
from nlptl.transfer.multi_task import multi_task

__all__ = ["Run", "load", "train", "train_config"]


def train(
    task: str | None = None,
    *,
    data: Any = None,
    mode: str | None = None,
    strategy: str | None = None,
    checkpoint: str | None = None,
    output: str | Path | None = None,
    config: str | Path | None = None,
    seed: int | None = None,
    resume: bool = False,
    settings: dict[str, Any] | None = None,
) -> Run:
    """Train a classifier and open it.

    Args:
        task: name of a registered task, or several as `a+b+c` for one encoder with a head per task.
        data: a path, Hub id or named data set; or a pandas DataFrame, a `datasets` object, or a dict of them by split.
            For several tasks: a dict of these by task; a task that is not in it takes its sample.
        mode: full, lora or feature_extraction.
        strategy: fine_tune, contrastive (few labels) or soup (average of seeds).
        checkpoint: a name, Hub id or folder.
        output: the run folder.
        config: a YAML file to start from, such as a run's own run.yaml.
        seed: of splits, shots, initialisation, order and dropout.
        resume: go on with an unfinished run.
        settings: any other setting by dotted key, for example `{"training.epochs": 5}`.

    Returns:
        The finished run, ready to predict.

    Raises:
        NlptlError: something asked for cannot be done; the message says what, and what to do.
    """
    base = load_config(config, task=task)
    given: Any
    named: dict[str, Any]
    if "+" in base.task:
        sources, given = _by_task(data)
        named = {"multi_task.sources": sources or None}
    else:
        given = None if isinstance(data, str | Path) else data
        named = {"data.source": None if data is None else "(python data)" if given is not None else str(data)}
    values = {
        "task": task,
        "mode": mode,
        "strategy": strategy,
        "checkpoint": checkpoint,
        "output": None if output is None else str(output),
        "seed": seed,
        **named,
        **(settings or {}),
    }
    return train_config(load_config(config, **values), given, resume)


def train_config(config: RunConfig, given: Any = None, resume: bool = False) -> Run:
    """Train what a RunConfig says; see `train`."""
    road = multi_task if "+" in config.task else fine_tune
    folder = road(config, given, resume, publish=write_card)
    return load(folder, config.runtime.precision, config.runtime.progress)


def _by_task(data: Any) -> tuple[dict[str, str], dict[str, Any]]:
    """Data of several tasks: what is named, and what is given."""
    if data is not None and not isinstance(data, Mapping):
        raise ConfigError('Data of several tasks is a dict by task, such as {"sentiment": "reviews.csv"}.')
    items = dict(data or {})
    sources = {name: str(value) for name, value in items.items() if isinstance(value, str | Path)}
    given = {name: value for name, value in items.items() if name not in sources}
    return sources | dict.fromkeys(given, "(python data)"), given
