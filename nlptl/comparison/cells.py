"""A cell of the grid: the runs of one method on one set of rows, and what was measured of the best of them."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nlptl.baselines.learner import BaselineLearner
from nlptl.baselines.tuning import rank_of
from nlptl.comparison.plan import Cell
from nlptl.config.run import RunConfig
from nlptl.data.files import read_frame
from nlptl.errors import ArtifactError, NlptlError
from nlptl.inference.predictor import load
from nlptl.runs.answers import SplitAnswers, read_answers
from nlptl.runs.claims import read_inputs
from nlptl.runs.folder import told_as_details
from nlptl.runs.lineage import find_checkpoint
from nlptl.runs.manifest import MODEL
from nlptl.storage.identity import array_digest
from nlptl.storage.json_files import read_json, write_json
from nlptl.storage.paths import user_path
from nlptl.strategies import pipeline

SPEED = "inference.json"
"""In a run folder: how fast it predicts, measured once."""
TIMED_TEXTS, WARM_TEXTS, TIMED_ROUNDS = 256, 16, 2
WEIGHTS = "*.safetensors"
NOT_NUMBERS = ("per_class", "confusion_matrix", "calibration", "decided")


@dataclass(frozen=True)
class CellResult:
    """What a finished cell gave."""

    cell: Cell
    chosen: str
    """The run that counts: of several, the best on validation."""
    folder: Path
    metrics: Mapping[str, Any]
    """What its `metrics.json` holds."""
    answers: SplitAnswers
    """Logits and gold labels of the test rows."""
    right: np.ndarray
    """(rows,) 1 for each test row whose most probable label (of several, each one) is right, else 0."""
    reports: tuple[Mapping[str, Any], ...]
    """What `metrics.json` of each run of the cell holds."""
    speed: Mapping[str, Any] | None
    """Of prediction, where it was measured."""

    @property
    def seconds(self) -> float:
        """Of learning, over all runs of the cell: see `learning_seconds`."""
        return sum(learning_seconds(report, self.speed) for report in self.reports)

    def value(self, metric: str, split: str = "test") -> float:
        """A metric of a split; NaN where it is not defined."""
        found = self.metrics[split].get(metric)
        return float("nan") if found is None else float(found)

    def noted(self) -> dict[str, Any]:
        """What `comparison.json` says of the cell."""
        model = self.metrics["model"]
        return {
            "method": self.cell.method.name,
            "size": self.cell.rows.size,
            "seed": self.cell.rows.seed,
            "status": "finished",
            "run": self.chosen,
            "folder": str(self.folder),
            **{split: _numbers(self.metrics[split]) for split in ("validation", "test")},
            "right_digest": array_digest(self.right),
            "rows": {"labelled": self.cell.rows.labelled, "test": self.cell.rows.test_rows},
            "parameters": {"all": model["parameters"], "learned": model["trainable_parameters"]},
            "bytes": bytes_of(self.folder),
            "learning_seconds": round(self.seconds, 4),
            "run_seconds": self.metrics["time"]["total_seconds"],
            "inference": None if self.speed is None else dict(self.speed),
        }


def is_finished(cell: Cell) -> bool:
    """Whether every run of the cell was finished before, by this comparison or another one."""
    return all((_home(config) / "manifest.json").is_file() for config in cell.runs.values())


def train_cell(cell: Cell, given: Any = None) -> None:
    """Train the runs of a cell; those that are finished stay as they are.

    Raises:
        NlptlError: as `pipeline.train` raises.
        ArtifactError: a run learned from other rows than the other methods.
    """
    learner = BaselineLearner.fitted_here if cell.method.kind == "classical" else None
    with told_as_details():
        for config in cell.runs.values():
            folder = pipeline.train(config, given, True, learner)
            _check_rows(folder, cell)


def read_cell(cell: Cell, metric: str, measure_speed: bool) -> CellResult:
    """What a finished cell gave.

    Args:
        cell: whose runs are finished.
        metric: chooses among several runs, on validation; then the loss does.
        measure_speed: whether the time of prediction is measured, unless it was before.

    Raises:
        NlptlError: a run cannot be read.
    """
    homes = {name: _home(config) for name, config in cell.runs.items()}
    reports = {name: read_json(home / "metrics.json") for name, home in homes.items()}
    chosen = max(reports, key=lambda name: rank_of(reports[name]["validation"], metric))
    test = read_answers(homes[chosen])["test"]
    speed = _speed(homes[chosen]) if measure_speed else None
    every = tuple(reports.values())
    return CellResult(cell, chosen, homes[chosen], reports[chosen], test, rows_right(test), every, speed)


def rows_right(answers: SplitAnswers) -> np.ndarray:
    """(rows,) 1 where the most probable label is right, or all labels of the row are; else 0."""
    if answers.targets.ndim == 2:
        return np.asarray(((answers.logits >= 0) == (answers.targets > 0.5)).all(1), np.float64)
    return np.asarray(answers.logits.argmax(1) == answers.targets, np.float64)


def learning_seconds(metrics: Mapping[str, Any], speed: Mapping[str, Any] | None = None) -> float:
    """Seconds of learning: reading features of the training rows, fitting the head, training; no loading, no report.

    The cache serves features that an earlier cell has computed. So that no method is quicker for having come later,
    features count as many seconds as prediction takes for as many texts, where that was measured.
    """
    spent = metrics["time"]
    seconds = sum(float(spent.get(f"{part}_seconds", 0.0)) for part in ("head", "training"))
    if "features_seconds" not in spent:
        return seconds
    if speed is None:
        return seconds + float(spent["features_seconds"])
    read = metrics["data"]["train"] + metrics["data"]["validation"]
    return seconds + float(read * speed["seconds_per_thousand"] / 1000)


def bytes_of(folder: Path) -> dict[str, int]:
    """Size on disk: of the run's own model files, and with the weights of the checkpoint that it cannot do without."""
    own = _bytes(folder / MODEL)
    manifest = read_json(folder / "manifest.json")
    shared = 0 if manifest.get("whole", True) else _bytes(find_checkpoint(manifest["checkpoint"], folder).path, WEIGHTS)
    return {"own": own, "with_checkpoint": own + shared}


def _speed(folder: Path) -> dict[str, Any]:
    """Seconds that predicting takes, the model being open and warm: the quicker of two rounds."""
    if (folder / SPEED).is_file():
        return read_json(folder / SPEED)
    run = load(folder, progress=False)
    table = read_frame(folder / "predictions.csv").head(TIMED_TEXTS)
    columns = [name for name in ("text", "text_pair") if name in table]
    rows = [tuple(map(str, row)) for row in table[columns].fillna("").itertuples(index=False, name=None)]
    texts: list[Any] = rows if len(columns) == 2 else [row[0] for row in rows]
    run.predict(texts[:WARM_TEXTS])
    taken = []
    for _ in range(TIMED_ROUNDS):
        start = time.perf_counter()
        run.predict(texts)
        taken.append(time.perf_counter() - start)
    measured = {"texts": len(texts), "seconds_per_thousand": 1000 * min(taken) / len(texts)}
    write_json(folder / SPEED, measured)
    return measured


def _check_rows(folder: Path, cell: Cell) -> None:
    noted = {name: digest for name, digest in read_inputs(folder).items() if name != "checkpoint"}
    if noted != dict(cell.rows.inputs):
        names = sorted(name for name in {*noted, *cell.rows.inputs} if noted.get(name) != cell.rows.inputs.get(name))
        raise ArtifactError(
            f"{folder} was not made from the rows of this comparison ({', '.join(names)}): the data changed meanwhile. "
            "Give the same command again."
        )


def _numbers(report: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in report.items() if name not in NOT_NUMBERS}


def _home(config: RunConfig) -> Path:
    if config.output is None:
        raise NlptlError("A cell of a comparison has a folder.")
    return user_path(config.output)


def _bytes(folder: Path, kind: str = "*") -> int:
    return sum(path.stat().st_size for path in folder.rglob(kind) if path.is_file())
