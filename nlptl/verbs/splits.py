"""What a random split flatters: one model measured on rows at random, and on the latest ones or on whole groups."""

from __future__ import annotations

import math
import statistics
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nlptl.config.keywords import settings_by_key, suggests
from nlptl.config.run import RunConfig
from nlptl.data.given import data_of_one_task
from nlptl.data.ordered_splits import GROUP, kind_of
from nlptl.errors import ConfigError
from nlptl.evaluation.evaluator import compute_metric
from nlptl.evaluation.probabilities import probabilities_of
from nlptl.evaluation.significance import BETTER, WORSE, Difference, estimated, p_text
from nlptl.inference.predictor import Run
from nlptl.runs.answers import read_answers
from nlptl.verbs.request import checked_config, present
from nlptl.verbs.train import train_config

FROZEN = "feature_extraction"
DRAWS = 200
"""Of the bootstrap over test rows."""


@dataclass(frozen=True)
class SplitComparison:
    """A model on random splits and on those along a column."""

    task: str
    model: str
    metric: str
    along: str
    rows: list[dict[str, Any]]
    """One for each training: split, seed, train and test rows, the metric on test, its standard error over rows."""
    difference: Difference
    """Random less along the column, as fractions."""

    @property
    def sentence(self) -> str:
        """What a random split would have made believe, in words."""
        found, metric = self.difference, self.metric.replace("_", " ")
        by = f"{100 * abs(found.mean):.1f}"
        margin = "" if found.margin is None else f" ± {100 * found.margin:.1f}"
        evidence = "" if found.p is None else f" ({p_text(found.p)})"
        if found.outcome == BETTER:
            return (
                f"A random split flatters: {metric} is {by}{margin} points higher than on {self.along}{evidence}. "
                "Report the latter."
            )
        if found.outcome == WORSE:
            return f"{metric} is {by}{margin} points lower on random splits than on {self.along}{evidence}."
        return (
            f"No clear difference: {metric} on random splits {100 * found.mean:+.1f}{margin} points against "
            f"{self.along}{evidence}."
        )

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {**vars(self), "difference": self.difference.noted(), "sentence": self.sentence}


@suggests(RunConfig)
def compare_splits(
    task: str | None = None,
    *,
    split: str | None = None,
    data: Any = None,
    model: str | None = None,
    text_column: str | int | Sequence[str | int] | None = None,
    label_column: str | int | None = None,
    label_map: Mapping[Any, Any] | None = None,
    seed: int | None = None,
    seeds: int = 3,
    tasks_dir: str | Path | None = None,
    settings: Mapping[str, Any] | None = None,
) -> SplitComparison:
    """Train the frozen encoder's head, or a baseline, on random splits and along a column, and say the difference.

    Args:
        task: name of a registered task.
        split: `time:COLUMN` or `group:COLUMN`.
        data, text_column, label_column, label_map, tasks_dir: as `nlptl.train`; one table.
        model: a baseline's name; None: the head of a frozen encoder.
        seed: the first of the seeds.
        seeds: random splits that are averaged, and splits by group; by time there is one.
        settings: any other setting by dotted key.

    Raises:
        NlptlError: something asked for cannot be done; the message says what, and what to do.
    """
    keywords = {
        "task": task,
        "split": split,
        "text_column": text_column,
        "label_column": label_column,
        "label_map": label_map,
        "seed": seed,
        "tasks_dir": tasks_dir,
        **({"model": model} if model is not None else {"mode": FROZEN}),
    }
    values, faults = settings_by_key(keywords, settings)
    sources, given = data_of_one_task(data)
    return split_comparison(checked_config(None, {**values, **present(sources)}, faults=faults), given, seeds)


def split_comparison(config: RunConfig, given: Any = None, seeds: int = 3) -> SplitComparison:
    """As `compare_splits`, of a configuration.

    Raises:
        ConfigError: no column is named, or no seed.
        NlptlError: the data or the model cannot be used.
    """
    along = config.data.split
    if along is None:
        raise ConfigError("Say along which column: --split time:COLUMN or --split group:COLUMN.")
    if seeds < 1:
        raise ConfigError(f"seeds is {seeds}; at least one random split is needed.")
    wanted = {along: seeds if kind_of(along) == GROUP else 1, "random": seeds}
    rows: list[dict[str, Any]] = []
    metric = ""
    with tempfile.TemporaryDirectory(prefix="nlptl-splits-") as folder:
        for name, count in wanted.items():
            for number in range(count):
                data = config.data.model_copy(update={"split": None if name == "random" else name})
                output = str(Path(folder) / f"{len(rows)}")
                changed = {"data": data, "seed": config.seed + number, "output": output}
                run = train_config(config.model_copy(update=changed), given)
                metric = run.artifact.task.metric
                sizes = {part: run.metrics["data"][part] for part in ("train", "test")}
                value, error = _measured(run, metric)
                rows.append({"split": name, "seed": config.seed + number, **sizes, metric: value, "error": error})
    (first, first_error), (second, second_error) = (
        _mean([row for row in rows if row["split"] == name], metric) for name in ("random", along)
    )
    difference = estimated(first - second, math.hypot(first_error, second_error))
    return SplitComparison(config.task, config.method, metric, along, rows, difference)


def _measured(run: Run, metric: str) -> tuple[float, float]:
    """The metric on test, and its standard error over rows by a bootstrap (Efron 1979)."""
    answers, task = read_answers(run.folder)["test"], run.artifact.task
    probabilities = probabilities_of(answers.logits, answers.targets.ndim == 2)
    several = answers.targets.ndim == 2
    predicted = (probabilities >= 0.5).astype(np.float32) if several else probabilities.argmax(1)
    positive = task.label_list().index(task.positive_label) if task.positive_label else None
    rng, count = np.random.default_rng(0), len(answers.targets)
    drawn = []
    for _ in range(DRAWS):
        some = rng.integers(count, size=count)
        drawn.append(compute_metric(metric, predicted[some], probabilities[some], answers.targets[some], positive))
    return float(run.metrics["test"][metric]), float(np.nanstd(drawn, ddof=1))


def _mean(rows: list[dict[str, Any]], metric: str) -> tuple[float, float]:
    """Mean over splits and its standard error: of one split, that over its rows."""
    values = [row[metric] for row in rows]
    over_rows, count = statistics.mean(row["error"] for row in rows), len(values)
    if count < 2:
        return values[0], over_rows
    # Splits share rows, so that their spread alone may say too little.
    return statistics.mean(values), max(statistics.stdev(values), over_rows) / math.sqrt(count)
