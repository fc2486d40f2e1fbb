"""Pre-training an encoder on unlabelled text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nlptl.config.keywords import settings_by_key, suggests
from nlptl.data.given import data_of_one_task, is_path, list_of_texts
from nlptl.errors import ConfigError
from nlptl.pretraining.config import PretrainConfig
from nlptl.pretraining.pretrain import pretrain_config
from nlptl.verbs.request import present
from nlptl.verbs.unlabelled_request import checked_pretraining

SETTING_OF = {
    "epochs": "training.epochs",
    "learning_rate": "training.learning_rate",
    "batch_size": "training.batch_size",
    "max_length": "corpus.max_length",
    "precision": "runtime.precision",
}
"""Keyword -> the dotted setting of PretrainConfig that it stands for; the others are called as the setting is."""


@suggests(PretrainConfig)
def pretrain(
    data: Any = None,
    *,
    texts: Sequence[str] | None = None,
    task: str | None = None,
    objective: str | None = None,
    checkpoint: str | Path | None = None,
    shape: str | None = None,
    text_column: str | int | Sequence[str | int] | None = None,
    label_column: str | int | None = None,
    label_map: Mapping[Any, Any] | None = None,
    steps: int | None = None,
    epochs: int | None = None,
    learning_rate: float | None = None,
    batch_size: int | None = None,
    max_length: int | None = None,
    precision: str | None = None,
    seed: int | None = None,
    tasks_dir: str | Path | None = None,
    output: str | Path | None = None,
    config: str | Path | None = None,
    settings: Mapping[str, Any] | None = None,
) -> Path:
    """Pre-train an encoder on unlabelled text.

    Args:
        data: a file or folder of texts, or a list of them; a pandas Series or DataFrame, or a `datasets` object; with
            `task`, what `nlptl.train` takes as data.
        texts: the texts themselves, instead of `data`.
        task: learn from the training texts of this task (task-adaptive pre-training).
        objective: masked_lm, simcse or tsdae.
        checkpoint: go on from this name, Hub id or folder.
        shape: instead, build a new encoder: tiny, mini, small or base.
        text_column: of the data.
        label_column, label_map: with `task`, as `train`.
        steps: optimizer steps; None: as many as the passes take.
        epochs: passes over the corpus.
        learning_rate: highest learning rate.
        batch_size: rows per optimizer step.
        max_length: tokens per row.
        precision: auto, bf16, fp16 or fp32.
        seed: of everything random.
        tasks_dir: a folder with tasks of your own.
        output: the checkpoint folder.
        config: a YAML file to start from, such as a checkpoint folder's own pretrain.yaml.
        settings: any other setting by dotted key, for example `{"details.whole_words": True}`.

    Returns:
        The checkpoint folder, to be named as `checkpoint` anywhere.

    Raises:
        NlptlError: something asked for cannot be done; the message says what, and what to do.
    """
    keywords = {
        "task": task,
        "objective": objective,
        "checkpoint": checkpoint,
        "shape": shape,
        "steps": steps,
        "epochs": epochs,
        "learning_rate": learning_rate,
        "batch_size": batch_size,
        "max_length": max_length,
        "precision": precision,
        "seed": seed,
        "tasks_dir": tasks_dir,
        "output": output,
    }
    values, faults = settings_by_key(keywords, settings, SETTING_OF)
    sources, given = _pretraining_data(data, texts, task, text_column, label_column, label_map)
    return pretrain_config(checked_pretraining(config, {**values, **present(sources)}, faults), given)


def _pretraining_data(
    data: Any,
    texts: Sequence[str] | None,
    task: str | None,
    text_column: str | int | Sequence[str | int] | None,
    label_column: str | int | None,
    label_map: Mapping[Any, Any] | None,
) -> tuple[dict[str, Any], Any]:
    """Where the texts come from, as settings and as what was given in Python."""
    if task is not None:
        sources, given = data_of_one_task(data)
        columns = {"text_column": text_column, "label_column": label_column, "label_map": label_map}
        return {**sources, **settings_by_key(columns, None)[0]}, given if texts is None else texts
    if label_column is not None or label_map is not None:
        raise ConfigError("label_column and label_map belong to task=...; unlabelled text has no labels.")
    if text_column is not None and not isinstance(text_column, str):
        raise ConfigError("Unlabelled texts stand in one column: text_column is a name.")
    given = list(texts) if texts is not None else list_of_texts(data, text_column)
    if given is not None:
        return {}, given
    paths = None if data is None else [str(path) for path in ([data] if is_path(data) else data)]
    return {"corpus.sources": paths, "corpus.text_column": text_column}, None
