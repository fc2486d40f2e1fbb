"""The verbs of the library: train a run, adapt one to another domain, open a run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nlptl.config import RunConfig, load_config
from nlptl.data.domains import Domains
from nlptl.inference.predictor import Run, load
from nlptl.reports.model_card import write_card
from nlptl.transfer.domain_matrix import DomainMatrix, cross_domains
from nlptl.transfer.fine_tune import fine_tune

__all__ = ["DomainMatrix", "Run", "adapt", "adapt_matrix", "load", "train", "train_config"]


def train(
    task: str | None = None,
    *,
    data: Any = None,
    mode: str | None = None,
    checkpoint: str | None = None,
    output: str | Path | None = None,
    config: str | Path | None = None,
    seed: int | None = None,
    resume: bool = False,
    settings: dict[str, Any] | None = None,
) -> Run:
    """Train a classifier and open it.

    Args:
        task: name of a registered task.
        data: a path, Hub id or named data set; or a pandas DataFrame, a `datasets` object, or a dict of them by split.
        mode: full, lora or feature_extraction.
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
    values = {
        "task": task,
        "mode": mode,
        "checkpoint": checkpoint,
        "output": None if output is None else str(output),
        "seed": seed,
        "data.source": _name_of(data),
        **(settings or {}),
    }
    return train_config(load_config(config, **values), _in_python(data), resume)


def adapt(
    task: str | None = None,
    *,
    source: Any = None,
    target: Any = None,
    target_test: Any = None,
    method: str | None = None,
    mode: str | None = None,
    checkpoint: str | None = None,
    output: str | Path | None = None,
    config: str | Path | None = None,
    seed: int | None = None,
    resume: bool = False,
    settings: dict[str, Any] | None = None,
) -> Run:
    """Train on a labelled domain for another one whose texts are at hand, and open the run.

    `metrics["adaptation"]` of the run compares the source-only model, the adapted one and, where the target has
    labels, one trained on them. Those labels report; nothing is chosen by them.

    Args:
        task: name of a registered task.
        source: labelled data, as `data` of `train`.
        target: texts of the other domain, likewise; a label column there is optional.
        target_test: labelled rows of the target to report on. None: cut from `target` where that has labels.
        method: coral, mmd, dann, self_training, or none (source only).
        mode: full, lora or feature_extraction.
        checkpoint: a name, Hub id or folder.
        output: the run folder.
        config: a YAML file to start from, such as a run's own run.yaml.
        seed: of splits, initialisation, order and dropout.
        resume: go on with an unfinished run.
        settings: any other setting by dotted key, for example `{"adaptation.rounds": 4}`.

    Raises:
        NlptlError: something asked for cannot be done; the message says what, and what to do.
    """
    values = {
        "task": task,
        "strategy": "domain_adaptation",
        "mode": mode,
        "checkpoint": checkpoint,
        "output": None if output is None else str(output),
        "seed": seed,
        "data.source": _name_of(source),
        "data.target": _name_of(target),
        "data.target_test": _name_of(target_test),
        "adaptation.method": method,
        **(settings or {}),
    }
    given = Domains(_in_python(source), _in_python(target), _in_python(target_test))
    return train_config(load_config(config, **values), given, resume)


def adapt_matrix(
    task: str,
    domains: dict[str, Any],
    *,
    output: str | Path,
    method: str | None = None,
    mode: str | None = None,
    seed: int | None = None,
    settings: dict[str, Any] | None = None,
) -> DomainMatrix:
    """Adapt from each labelled domain to each other one, and compare with training inside each.

    Args:
        task: name of a registered task.
        domains: name -> labelled data, as `data` of `train`.
        output: a folder for all the runs; finished ones in it are not repeated.
        method: as for `adapt`.
        mode: full, lora or feature_extraction.
        seed: of every run.
        settings: any other setting by dotted key.
    """
    values = {"task": task, "mode": mode, "seed": seed, "adaptation.method": method, **(settings or {})}
    named = {name: (_name_of(data) or name, _in_python(data)) for name, data in domains.items()}
    return cross_domains(load_config(None, **values), named, Path(output), write_card)


def _name_of(data: Any) -> str | None:
    """What the configuration says of some data: its path or name, or that it was given in Python."""
    if data is None:
        return None
    return str(data) if isinstance(data, str | Path) else "(python data)"


def _in_python(data: Any) -> Any:
    """The data, unless a path or name stands for it."""
    return None if isinstance(data, str | Path) else data


def train_config(config: RunConfig, given: Any = None, resume: bool = False) -> Run:
    """Train what a RunConfig says; see `train`."""
    folder = fine_tune(config, given, resume, publish=write_card)
    return load(folder, config.runtime.precision, config.runtime.progress)
