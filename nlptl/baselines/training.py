"""A classical model as a run: the straight path of `nlptl baseline`."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from nlptl.baselines.bag_of_words import BagOfWords, TextVectors
from nlptl.baselines.models import Baseline
from nlptl.baselines.tuning import Chosen, LabelledTexts, choose
from nlptl.config.run import ResolvedBaselineRun, RunConfig
from nlptl.data.loading import Splits, label_targets, load_splits
from nlptl.errors import ConfigError, LaunchError
from nlptl.evaluation.decisions import Decision, fit_decision
from nlptl.evaluation.evaluator import check_metrics, full_report, probabilities_of
from nlptl.registry import BASELINES
from nlptl.runs.artifact import save_baseline
from nlptl.runs.folder import buffered_log, run_folder
from nlptl.storage.json_files import write_json
from nlptl.storage.versions import environment
from nlptl.strategies.saving import VERIFIED_ROWS, write_predictions
from nlptl.tasks import load_task
from nlptl.training.runtime import Runtime, local_runtime
from nlptl.training.timing import Clock

log = logging.getLogger("nlptl")


def train_baseline(config: RunConfig, given: Any = None, publish: Callable[[Path], object] | None = None) -> Path:
    """Tune a classical model on validation and save it as a run: same data, splits, metrics and decision as training.

    With `training.refit` (the default) the chosen setting is fitted again on train and validation together.

    Args:
        config: `config.baseline.model` says which; settings of the encoder and its training are not used.
        given: Python data instead of `config.data.source`.
        publish: called once with the finished run folder.

    Returns:
        The run folder.

    Raises:
        NlptlError: the configuration or the data cannot be used; nothing is left half-written.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise LaunchError("A baseline is fitted in one process. Start it with `nlptl baseline`, without a launcher.")
    clock = Clock()
    with buffered_log() as notes:
        baseline = BASELINES.get(config.method)
        task = load_task(config.task, config.tasks_dir)
        check_metrics(task)
        resolved = config.resolved_baseline({"baseline.features": list(baseline.features), "training.refit": True})
        noted = resolved.model_copy(update={"mode": "baseline", "output": None})
        _check(noted, baseline)
        with clock.measure("data"):
            splits = load_splits(task, config.data, config.seed, given)
        for warning in splits.audit.warnings:
            log.warning(warning)
        runtime = local_runtime("fp32", config.runtime.progress)
        with run_folder(runtime, config, noted, False, notes) as folder:
            sizes = ", ".join(f"{name} {rows}" for name, rows in splits.sizes().items())
            log.info(f"Task {splits.task.name}: {len(splits.task.label_list())} labels; rows: {sizes}")
            rows = {split: _rows(splits, split) for split in ("train", "validation", "test")}
            chosen = _tune(noted, baseline, splits, rows, runtime, clock)
            model = _refitted(noted, baseline, chosen, rows, clock) if noted.training.refit else chosen.model
        _save(noted, splits, rows, chosen, model, clock, folder)
        if publish is not None:
            publish(folder)
        return folder


def _check(config: ResolvedBaselineRun, baseline: Baseline) -> None:
    if config.training.class_weights == "balanced" and not baseline.weighs_labels:
        weighing = ", ".join(name for name in BASELINES if BASELINES.get(name).weighs_labels)
        raise ConfigError(
            f"training.class_weights balanced means nothing to {config.baseline.model}. Leave it out, or choose one "
            f"of: {weighing}."
        )


def _rows(splits: Splits, split: str) -> LabelledTexts:
    frame = getattr(splits, split)
    return LabelledTexts(frame, label_targets(frame, splits.task.label_list()))


def _tune(
    config: ResolvedBaselineRun,
    baseline: Baseline,
    splits: Splits,
    rows: dict[str, LabelledTexts],
    runtime: Runtime,
    clock: Clock,
) -> Chosen:
    name, features = config.baseline.model, config.baseline.features
    with clock.measure("training"):
        chosen = choose(
            name,
            baseline,
            splits.task,
            rows["train"],
            rows["validation"],
            features,
            config.training.class_weights == "balanced",
            config.seed,
            lambda combinations: runtime.track(combinations, name, unit="setting"),
        )
    metric = splits.task.metric
    value = max(tried[metric] for tried in chosen.tried)
    setting = ", ".join(f"{key}={value}" for key, value in chosen.setting.items())
    log.info(
        f"{name}: {metric} {value:.4f} on validation with {chosen.features}, {setting} ({len(chosen.tried)} tried)"
    )
    return chosen


def _refitted(
    config: ResolvedBaselineRun, baseline: Baseline, chosen: Chosen, rows: dict[str, LabelledTexts], clock: Clock
) -> BagOfWords:
    """The chosen setting on train and validation together; the temperature stays that of validation."""
    with clock.measure("training"):
        frame = pd.concat([rows["train"].frame, rows["validation"].frame], ignore_index=True)
        targets = np.concatenate([rows["train"].targets, rows["validation"].targets])
        vectors = TextVectors.fit(frame, chosen.features)
        classes = chosen.validation_logits.shape[1]
        balanced = config.training.class_weights == "balanced"
        matrix = vectors.transform(frame)
        scorer = baseline.fit(matrix, targets, classes, chosen.setting, balanced, config.seed)
    return BagOfWords(vectors, scorer, chosen.model.name, chosen.model.temperature)


def _save(
    config: ResolvedBaselineRun,
    splits: Splits,
    rows: dict[str, LabelledTexts],
    chosen: Chosen,
    model: BagOfWords,
    clock: Clock,
    folder: Path,
) -> None:
    task, test = splits.task, rows["test"]
    probabilities = probabilities_of(chosen.validation_logits, task.kind == "multi_label")
    decision = fit_decision(task, probabilities, rows["validation"].targets)
    with clock.measure("evaluation"):
        logits = model.logits(test.frame)
    with clock.measure("saving"):
        write_predictions(task, test.frame, logits, decision, folder / "predictions.csv")
        write_json(folder / "metrics.json", _metrics(splits, rows, chosen, model, decision, logits, clock))
        save_baseline(folder, config, task, model, decision, test.frame.head(VERIFIED_ROWS))


def _metrics(
    splits: Splits,
    rows: dict[str, LabelledTexts],
    chosen: Chosen,
    model: BagOfWords,
    decision: Decision,
    test_logits: np.ndarray,
    clock: Clock,
) -> dict[str, Any]:
    task = splits.task
    parameters = model.scorer.parameters
    return {
        "test": full_report(task, test_logits, rows["test"].targets, decision),
        "validation": full_report(task, chosen.validation_logits, rows["validation"].targets, decision),
        "time": clock.report(),
        "training": {"features": chosen.features, "setting": chosen.setting, "tried": chosen.tried},
        "model": {
            "baseline": model.name,
            "features": model.vectors.width,
            "temperature": model.temperature,
            "parameters": parameters,
            "trainable_parameters": parameters,
        },
        "data": {**splits.sizes(), "labels": len(task.label_list()), "audit": splits.audit.counts},
        "runtime": {"device": "cpu", "precision": "fp32", "processes": 1},
        "versions": environment(),
    }
