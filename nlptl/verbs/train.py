"""Training a run or a baseline, opening it, and merging it.

Frequent settings are keywords; any other one is given as `settings={"section.key": value}`. `None` always means "not
given": the default of the task, the strategy or the mode holds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from nlptl.config.keywords import settings_by_key, suggests
from nlptl.config.run import RunConfig
from nlptl.data.given import data_by_task, data_of_one_task
from nlptl.errors import ConfigError
from nlptl.inference.predictor import Run, load
from nlptl.runs.card import write_card
from nlptl.runs.saving import merge_artifact
from nlptl.strategies import pipeline
from nlptl.verbs.request import asked_for_several, checked_config, comparing, present

DEFAULT_BASELINE = "logistic_regression"


@suggests(RunConfig)
def train(
    task: str | None = None,
    *,
    data: Any = None,
    validation: Any = None,
    test: Any = None,
    mode: str | None = None,
    strategy: str | None = None,
    checkpoint: str | Path | None = None,
    head: str | None = None,
    text_column: str | int | Sequence[str | int] | None = None,
    label_column: str | int | None = None,
    label_map: Mapping[Any, Any] | None = None,
    split: str | None = None,
    shots: int | None = None,
    via: str | Path | Sequence[str | Path] | None = None,
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
    compare: bool = False,
    settings: Mapping[str, Any] | None = None,
) -> Run:
    """Train a classifier and open it.

    Args:
        task: name of a registered task, or several as `a+b+c` for one encoder with a head per task.
        data: a path, Hub id or named data set; or a pandas DataFrame, a `datasets` object, or a list of records; or a
            dict of these by split. For several tasks: a dict of these by task; a task that is not in it takes its
            sample.
        validation: a file or table of this split, instead of the data's own.
        test: likewise.
        mode: full, lora or feature_extraction.
        strategy: fine_tune, contrastive (few labels) or soup (average of seeds). None: contrastive in mode full with
            `shots` up to 50, else fine_tune.
        checkpoint: a name, a Hub id, or a folder: of a checkpoint, a pre-training or a finished run, whose encoder it
            then is.
        head: what the head starts from: probe, random, or keep, which goes on with that of the run that is the
            checkpoint and reports what was forgotten of its test rows (`run.metrics["forgetting"]`).
        text_column: of the data; two for a task of pairs.
        label_column: of the data.
        label_map: label in the data -> label of the task.
        split: `time:COLUMN` tests the latest rows, `group:COLUMN` whole groups, instead of rows at random.
        shots: rows per label that are used.
        via: other data, with labels of its own, that the encoder learns first; several in their order. What it gave is
            compared with learning the task straight (`run.metrics["via"]`).
        epochs: passes over the training rows.
        learning_rate: highest learning rate of the encoder.
        batch_size: rows per optimizer step.
        max_length: tokens that are read of a text at once; auto: as many as 99 of 100 training texts have.
        precision: auto, bf16, fp16 or fp32.
        seed: of splits, shots, initialisation, order and dropout.
        tasks_dir: a folder with tasks of your own.
        output: the run folder.
        config: a YAML file to start from, such as a run's own run.yaml.
        resume: go on with an unfinished run.
        compare: also fit every baseline on the same rows, and report the difference to the best of them
            (`run.metrics["comparison"]`); of several tasks, also train each alone (`run.metrics["tasks"]`).
        settings: any other setting by dotted key, for example `{"training.warmup": 0.2}`.

    Returns:
        The finished run, ready to predict.

    Raises:
        NlptlError: something asked for cannot be done; the message says what, and what to do.
    """
    keywords = {
        "task": task,
        "mode": mode,
        "strategy": strategy,
        "checkpoint": checkpoint,
        "head": head,
        "text_column": text_column,
        "label_column": label_column,
        "label_map": label_map,
        "split": split,
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
    if via is not None:
        keywords["via.sources"] = [str(via)] if isinstance(via, str | Path) else [str(path) for path in via]
    values, faults = settings_by_key(keywords, settings)
    several = asked_for_several(config, values)
    if compare:
        values[comparing(several)] = True
    if not several:
        sources, given = data_of_one_task(data, validation, test)
    else:
        if validation is not None or test is not None:
            raise ConfigError('Several tasks have splits each: data={"TASK": {"train": ..., "test": ...}}.')
        named, given = data_by_task(data)
        sources = {"multi_task.sources": named or None}
    return train_config(
        checked_config(config, {**values, **present(sources)}, several=True, faults=faults), given, resume
    )


@suggests(RunConfig)
def train_baseline(
    task: str | None = None,
    *,
    model: str | None = None,
    data: Any = None,
    validation: Any = None,
    test: Any = None,
    text_column: str | int | Sequence[str | int] | None = None,
    label_column: str | int | None = None,
    label_map: Mapping[Any, Any] | None = None,
    split: str | None = None,
    shots: int | None = None,
    seed: int | None = None,
    tasks_dir: str | Path | None = None,
    output: str | Path | None = None,
    config: str | Path | None = None,
    settings: Mapping[str, Any] | None = None,
) -> Run:
    """Tune a classical model on TF-IDF vectors and open it: what a checkpoint has to beat on the same data.

    Args:
        task: name of a registered task.
        model: logistic_regression (default), linear_svm, naive_bayes, knn or decision_tree.
        data, validation, test, text_column, label_column, label_map, split, shots: as `train`.
        tasks_dir, output, config: as `train`.
        seed: of splits, shots and whatever the model draws.
        settings: any other setting by dotted key, for example `{"baseline.features": ["words"]}`.

    Returns:
        The finished run; it predicts, evaluates and loads like any other.

    Raises:
        NlptlError: something asked for cannot be done; the message says what, and what to do.
    """
    keywords = {
        "task": task,
        "model": model,
        "text_column": text_column,
        "label_column": label_column,
        "label_map": label_map,
        "split": split,
        "shots": shots,
        "seed": seed,
        "tasks_dir": tasks_dir,
        "output": output,
    }
    values, faults = settings_by_key(keywords, settings)
    sources, given = data_of_one_task(data, validation, test)
    values |= present(sources)
    return train_config(checked_config(config, values, faults=faults, baseline=DEFAULT_BASELINE), given)


def merge(run: str | Path | Run, output: str | Path) -> Path:
    """Write a run whose weights stand alone, with a model card of its own.

    Args:
        run: a run folder, or the opened run.
        output: the new run folder.

    Raises:
        NlptlError: the run cannot be opened, or the output exists or cannot be written.
    """
    folder = merge_artifact(run.folder if isinstance(run, Run) else Path(run), Path(output))
    write_card(folder)
    return folder


def train_config(config: RunConfig, given: Any = None, resume: bool = False) -> Run:
    """Train what a RunConfig says, an encoder or a baseline; see `train`."""
    return load(train_folder(config, given, resume), config.runtime.precision, config.runtime.progress)


def train_folder(config: RunConfig, given: Any = None, resume: bool = False) -> Path:
    """As `train_config`, without opening the run: only the main process's machine is sure to have it."""
    # What other rooms need besides, such as scikit-learn's models, is imported where a run asks for them.
    if config.baseline.model is not None:
        from nlptl.baselines.learner import BaselineLearner

        return pipeline.train(config, given, resume, BaselineLearner.of)
    if config.baseline.compare:
        from nlptl.baselines.comparison import check_comparison

        check_comparison(config)
    straight = config.via.compare and bool(config.via.sources)
    # A run that is finished in its folder may still lack a comparison.
    resume = resume or (config.output is not None and (config.baseline.compare or straight))
    folder = pipeline.train(config, given, resume, _learner_of(config))
    if straight:
        from nlptl.intermediate.comparison import compare_straight

        compare_straight(config, folder, given)
    if config.baseline.compare:
        from nlptl.baselines.comparison import compare

        compare(config, folder, given)
    return folder


def _learner_of(config: RunConfig) -> Any:
    """What an encoder's run learns by; None: the pipeline's own."""
    if not config.via.sources:
        return None
    from nlptl.intermediate.learner import ViaLearner

    return ViaLearner.of
