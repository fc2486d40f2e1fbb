"""Adapting a classifier from one domain to another, and every pair of several domains."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from nlptl.config.keywords import settings_by_key, suggests
from nlptl.config.run import RunConfig
from nlptl.data.domains import Domains
from nlptl.data.given import data_of_one_task, name_of, named_domains, table_of, texts_table
from nlptl.inference.predictor import Run
from nlptl.strategies.adaptation.matrix import DomainMatrix, cross_domains
from nlptl.verbs.request import checked_config, present, text_column_of
from nlptl.verbs.train import train_config


@suggests(RunConfig)
def adapt(
    task: str | None = None,
    *,
    source: Any = None,
    target: Any = None,
    target_test: Any = None,
    method: str | None = None,
    mode: str | None = None,
    checkpoint: str | Path | None = None,
    text_column: str | int | Sequence[str | int] | None = None,
    label_column: str | int | None = None,
    label_map: Mapping[Any, Any] | None = None,
    shots: int | None = None,
    epochs: int | None = None,
    learning_rate: float | None = None,
    batch_size: int | None = None,
    max_length: int | Literal["auto"] | None = None,
    precision: str | None = None,
    seed: int | None = None,
    tasks_dir: str | Path | None = None,
    output: str | Path | None = None,
    config: str | Path | None = None,
    resume: bool = False,
    settings: Mapping[str, Any] | None = None,
) -> Run:
    """Train on a labelled domain for another one whose texts are at hand, and open the run.

    `metrics["adaptation"]` of the run compares the source-only model, the adapted one and, where the target has
    labels, one trained on them. Those labels report; nothing is chosen by them.

    Args:
        task: name of a registered task.
        source: labelled data, as `data` of `train`.
        target: texts of the other domain, likewise, or a list of texts; a label column there is optional.
        target_test: labelled rows of the target to report on. None: cut from `target` where that has labels.
        method: coral, mmd, dann, self_training, coral_self_training, or none (source only); None: as the mode has it.
        mode: full, lora or feature_extraction.
        checkpoint: a name, Hub id or folder.
        text_column, label_column, label_map, shots, epochs, learning_rate, batch_size, max_length: as `train`.
        precision, tasks_dir, output, config, resume: as `train`.
        seed: of splits, initialisation, order and dropout.
        settings: any other setting by dotted key, for example `{"adaptation.rounds": 4}`.

    Raises:
        NlptlError: something asked for cannot be done; the message says what, and what to do.
    """
    keywords = {
        "task": task,
        "strategy": "domain_adaptation",
        "method": method,
        "mode": mode,
        "checkpoint": checkpoint,
        "text_column": text_column,
        "label_column": label_column,
        "label_map": label_map,
        "shots": shots,
        "epochs": epochs,
        "learning_rate": learning_rate,
        "batch_size": batch_size,
        "max_length": max_length,
        "precision": precision,
        "seed": seed,
        "tasks_dir": tasks_dir,
        "output": output,
    }
    values, faults = settings_by_key(keywords, settings)
    sources, given = data_of_one_task(source)
    sources |= {"data.target": name_of(target), "data.target_test": name_of(target_test)}
    checked = checked_config(config, {**values, **present(sources)}, faults=faults)
    texts = texts_table(target, text_column_of(checked))
    return train_config(checked, Domains(given, texts, table_of(target_test)), resume)


@suggests(RunConfig)
def adapt_matrix(
    task: str,
    domains: Mapping[str, Any] | Sequence[str | Path],
    *,
    output: str | Path,
    method: str | None = None,
    mode: str | None = None,
    checkpoint: str | Path | None = None,
    text_column: str | int | Sequence[str | int] | None = None,
    label_column: str | int | None = None,
    label_map: Mapping[Any, Any] | None = None,
    shots: int | None = None,
    epochs: int | None = None,
    learning_rate: float | None = None,
    batch_size: int | None = None,
    max_length: int | Literal["auto"] | None = None,
    precision: str | None = None,
    seed: int | None = None,
    tasks_dir: str | Path | None = None,
    settings: Mapping[str, Any] | None = None,
) -> DomainMatrix:
    """Adapt from each labelled domain to each other one, and compare with training inside each.

    Args:
        task: name of a registered task.
        domains: name -> labelled data, as `data` of `train`; or a list of files, which are called after themselves.
        output: a folder for all the runs; finished ones in it are not repeated.
        method: as for `adapt`.
        mode: full, lora or feature_extraction.
        checkpoint, text_column, label_column, label_map, shots, epochs, learning_rate: as `train`.
        batch_size, max_length, precision, tasks_dir: as `train`.
        seed: of every run.
        settings: any other setting by dotted key.

    Raises:
        NlptlError: as `adapt`.
    """
    keywords = {
        "task": task,
        "strategy": "domain_adaptation",
        "method": method,
        "mode": mode,
        "checkpoint": checkpoint,
        "text_column": text_column,
        "label_column": label_column,
        "label_map": label_map,
        "shots": shots,
        "epochs": epochs,
        "learning_rate": learning_rate,
        "batch_size": batch_size,
        "max_length": max_length,
        "precision": precision,
        "seed": seed,
        "tasks_dir": tasks_dir,
    }
    values, faults = settings_by_key(keywords, settings)
    return cross_config(checked_config(None, values, crosses_domains=True, faults=faults), domains, output)


def cross_config(
    config: RunConfig, domains: Mapping[str, Any] | Sequence[str | Path], output: str | Path
) -> DomainMatrix:
    """As `adapt_matrix`, with the settings of all runs as a RunConfig."""
    named = {name: (str(name_of(data)), table_of(data)) for name, data in named_domains(domains).items()}
    return cross_domains(config.model_copy(update={"output": None}), named, Path(output))
