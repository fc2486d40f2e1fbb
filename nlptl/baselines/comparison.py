"""Does a finished run beat words alone? Every baseline on the same rows, and the best of them beside the run."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Any

from nlptl.baselines.learner import BaselineLearner
from nlptl.baselines.models import Baseline
from nlptl.baselines.tuning import rank_of
from nlptl.config.run import BaselineConfig, RunConfig
from nlptl.config.runtime import RuntimeConfig
from nlptl.config.training import TrainingConfig
from nlptl.evaluation.significance import over_rows
from nlptl.registry import BASELINES
from nlptl.runs.artifact import BASELINE_RUNS
from nlptl.runs.card import write_card
from nlptl.runs.folder import told_as_details
from nlptl.runs.test_rows import rows_right
from nlptl.storage.json_files import read_json, write_json
from nlptl.strategies import pipeline
from nlptl.tasks import load_task
from nlptl.training.runtime import local_runtime

log = logging.getLogger("nlptl")


def check_comparison(config: RunConfig) -> None:
    """Refuse before anything is trained what no baseline can be fitted with.

    Raises:
        ConfigError: a baseline cannot be loaded, or takes none of the settings.
    """
    tasks = [load_task(config.task, config.tasks_dir)]
    for name in BASELINES:
        BaselineLearner.fitted_here(baseline_config(config, name, None), tasks)


def compare(config: RunConfig, folder: Path, given: Any = None) -> None:
    """Fit every baseline on the rows of a finished run, and note in the run how it compares with the best of them.

    The baselines are runs of their own inside the run folder; one that is finished there is not repeated. The best is
    the one with the highest primary metric on validation. Where several processes trained the run, the first one does
    all of this, and the others have nothing to wait for.

    Args:
        config: of the run, as asked for.
        folder: of the run.
        given: the Python data that the run was made from.

    Raises:
        NlptlError: as `pipeline.train` raises.
    """
    if int(os.environ.get("RANK", "0")) > 0:
        return
    log.info(f"For comparison: {len(BASELINES)} baselines, on words alone (TF-IDF) and the same rows")
    runtime = local_runtime("fp32", config.runtime.progress)
    with told_as_details():
        for name in runtime.track(list(BASELINES), "baselines", unit="baseline"):
            pipeline.train(
                baseline_config(config, name, folder / BASELINE_RUNS / name), given, True, BaselineLearner.fitted_here
            )
    metrics = read_json(folder / "metrics.json")
    metrics["comparison"] = _facts(folder, metrics, load_task(config.task, config.tasks_dir).metric)
    write_json(folder / "metrics.json", metrics)
    write_card(folder)


def baseline_config(config: RunConfig, name: str, folder: Path | None) -> RunConfig:
    """A baseline's settings: the run's own as far as they say what is learned from, its usual ones for the rest.

    Args:
        config: of a run on the same rows.
        name: of the baseline.
        folder: of its run.
    """
    baseline: Baseline = BASELINES.get(name)
    weights = config.training.class_weights if baseline.weighs_labels else "none"
    return RunConfig(
        task=config.task,
        seed=config.seed,
        tasks_dir=config.tasks_dir,
        output=None if folder is None else str(folder),
        data=config.data,
        decision=config.decision,
        baseline=BaselineConfig(model=name, features=config.baseline.features),
        training=TrainingConfig(class_weights=weights),
        runtime=RuntimeConfig(progress=config.runtime.progress),
    )


def _facts(folder: Path, metrics: dict[str, Any], metric: str) -> dict[str, Any]:
    """The section `comparison` of `metrics.json`."""
    homes = {name: folder / BASELINE_RUNS / name for name in BASELINES}
    reports = {name: read_json(home / "metrics.json") for name, home in homes.items()}
    best = max(reports, key=lambda name: rank_of(reports[name]["validation"], metric))
    run, other = rows_right(folder), rows_right(homes[best])
    found = over_rows(run, other)
    return {
        "best": best,
        "metric": metric,
        "baselines": {
            name: {split: report[split][metric] for split in ("validation", "test")} for name, report in reports.items()
        },
        "run": {split: metrics[split][metric] for split in ("validation", "test")},
        "right": {
            "run": float(run.mean()),
            "baseline": float(other.mean()),
            **found.noted(),
        },
    }
