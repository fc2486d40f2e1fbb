"""The verbs of the library: train a run or a baseline, adapt to a domain, open and merge runs, look into encoders."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nlptl.baselines.learner import BaselineLearner
from nlptl.config.overrides import load_config
from nlptl.config.run import RunConfig
from nlptl.data.domains import Domains
from nlptl.errors import ConfigError
from nlptl.explore.layers import LayerReport, probe_layers
from nlptl.explore.ranking import Ranking, rank_checkpoints
from nlptl.inference.predictor import Run, load
from nlptl.runs.card import write_card
from nlptl.runs.saving import merge_artifact
from nlptl.strategies import pipeline
from nlptl.strategies.adaptation.matrix import DomainMatrix, cross_domains
from nlptl.tasks import read_task

__all__ = [
    "DomainMatrix",
    "LayerReport",
    "Ranking",
    "Run",
    "adapt",
    "adapt_matrix",
    "load",
    "merge",
    "probe",
    "rank",
    "train",
    "train_baseline",
    "train_config",
]


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
        strategy: fine_tune, contrastive (few labels) or soup (average of seeds). None: contrastive in mode full with
            `data.shots` up to 50, else fine_tune.
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
    values = {"mode": mode, "strategy": strategy, "checkpoint": checkpoint, **(settings or {})}
    return train_config(*_asked(task, data, output, config, seed, values), resume=resume)


def train_baseline(
    task: str | None = None,
    *,
    model: str | None = None,
    data: Any = None,
    output: str | Path | None = None,
    config: str | Path | None = None,
    seed: int | None = None,
    settings: dict[str, Any] | None = None,
) -> Run:
    """Tune a classical model on TF-IDF vectors and open it: what a checkpoint has to beat on the same data.

    Args:
        task: name of a registered task.
        model: logistic_regression (default), linear_svm, naive_bayes, knn or decision_tree.
        data: as `train`.
        output: the run folder.
        config: as `train`.
        seed: of splits, shots and whatever the model draws.
        settings: any other setting by dotted key, for example `{"baseline.features": ["words"]}`.

    Returns:
        The finished run; it predicts, evaluates and loads like any other.

    Raises:
        NlptlError: something asked for cannot be done; the message says what, and what to do.
    """
    values = {"baseline.model": model, **(settings or {})}
    chosen, given = _asked(task, data, output, config, seed, values)
    return train_config(chosen if chosen.baseline.model else chosen.with_baseline("logistic_regression"), given)


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
        method: coral, mmd, dann, self_training, coral_self_training, or none (source only); None: as the mode has it.
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
    return cross_domains(load_config(None, **values), named, Path(output))


def _name_of(data: Any) -> str | None:
    """What the configuration says of some data: its path or name, or that it was given in Python."""
    if data is None:
        return None
    return str(data) if isinstance(data, str | Path) else "(python data)"


def _in_python(data: Any) -> Any:
    """The data, unless a path or name stands for it."""
    return None if isinstance(data, str | Path) else data


def merge(run: str | Path, output: str | Path) -> Path:
    """Write a run whose weights stand alone, with a model card of its own.

    Raises:
        NlptlError: the run cannot be opened, or the output exists or cannot be written.
    """
    folder = merge_artifact(Path(run), Path(output))
    write_card(folder)
    return folder


def train_config(config: RunConfig, given: Any = None, resume: bool = False) -> Run:
    """Train what a RunConfig says, an encoder or a baseline; see `train`."""
    return load(train_folder(config, given, resume), config.runtime.precision, config.runtime.progress)


def train_folder(config: RunConfig, given: Any = None, resume: bool = False) -> Path:
    """As `train_config`, without opening the run: only the main process's machine is sure to have it."""
    return pipeline.train(config, given, resume, BaselineLearner.of if config.baseline.model else None)


def probe(
    task: str | None = None,
    *,
    data: Any = None,
    checkpoint: str | None = None,
    run: str | Path | None = None,
    rows: int = 2000,
    seed: int | None = None,
    settings: dict[str, Any] | None = None,
) -> LayerReport:
    """Ask which layer of an encoder knows a task: a linear probe on each; see `probe_layers`.

    Args:
        task: name of a registered task; not needed with a run.
        data: as `train`.
        checkpoint: a name, Hub id or folder.
        run: a finished run instead: its layers after training beside those of its checkpoint before.
        rows: of each split that are used, drawn with the seed.
        seed: of splits, shots and the draw.
        settings: any other setting by dotted key.

    Raises:
        NlptlError: something asked for cannot be done; the message says what, and what to do.
    """
    folder = None if run is None else Path(run)
    task = task or (None if folder is None else read_task(folder).name)
    config, given = _asked(task, data, None, None, seed, {"checkpoint": checkpoint, **(settings or {})})
    return probe_layers(config, given, folder, rows)


def rank(
    task: str | None = None,
    checkpoints: Sequence[str | Path] = (),
    *,
    data: Any = None,
    rows: int = 2000,
    seed: int | None = None,
    settings: dict[str, Any] | None = None,
) -> Ranking:
    """Order checkpoints by how well they will transfer, before training any; see `rank_checkpoints`.

    Args:
        task: name of a registered task.
        checkpoints: names, Hub ids or folders.
        data: as `train`.
        rows: of each split that are used, drawn with the seed.
        seed: of splits, shots and the draw.
        settings: any other setting by dotted key.

    Raises:
        NlptlError: something asked for cannot be done; the message says what, and what to do.
    """
    config, given = _asked(task, data, None, None, seed, settings or {})
    return rank_checkpoints(config, [str(name) for name in checkpoints], given, rows)


def _asked(
    task: str | None,
    data: Any,
    output: str | Path | None,
    config: str | Path | None,
    seed: int | None,
    values: dict[str, Any],
) -> tuple[RunConfig, Any]:
    """The configuration that a call describes, and its Python data if it brought any."""
    common: dict[str, Any] = {"task": task, "output": None if output is None else str(output), "seed": seed}
    given: Any = None
    if "+" in load_config(config, task=task).task:
        sources, given = _by_task(data)
        common["multi_task.sources"] = sources or None
    elif isinstance(data, str | Path):
        common["data.source"] = str(data)
    elif data is not None:
        common["data.source"], given = "(python data)", data
    return load_config(config, **{**common, **values}), given


def _by_task(data: Any) -> tuple[dict[str, str], dict[str, Any]]:
    """Data of several tasks: what is named, and what is given."""
    if data is not None and not isinstance(data, Mapping):
        raise ConfigError('Data of several tasks is a dict by task, such as {"sentiment": "reviews.csv"}.')
    items = dict(data or {})
    sources = {name: str(value) for name, value in items.items() if isinstance(value, str | Path)}
    given = {name: value for name, value in items.items() if name not in sources}
    return sources | dict.fromkeys(given, "(python data)"), given
