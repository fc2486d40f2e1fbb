"""What the files of a run folder say; its model is not opened."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from nlptl.config.records import read_record
from nlptl.config.run import RunConfig
from nlptl.errors import ArtifactError
from nlptl.evaluation.calibration import UNCALIBRATED, Calibration, open_calibration
from nlptl.evaluation.decisions import Decision, open_decision
from nlptl.evaluation.intervals import Interval
from nlptl.evaluation.probabilities import probabilities_of
from nlptl.runs.answers import FILE, SplitAnswers, read_answers
from nlptl.runs.manifest import read_manifest, task_homes
from nlptl.runs.split_intervals import split_intervals
from nlptl.storage.json_files import read_json
from nlptl.tasks import TaskSpec

SPLITS = ("validation", "test")
CALIBRATION = "calibration.json"
ROBUSTNESS = "robustness.json"
"""What `nlptl robustness RUN --output RUN/robustness.json` writes."""


@dataclass(frozen=True)
class Part:
    """One task of a run."""

    home: Path
    """Where its own files lie."""
    task: TaskSpec
    decision: dict[str, Any]
    """What `decision.json` holds."""
    calibration: Calibration
    report: dict[str, Any]
    """Its part of `metrics.json`: test, validation, data."""
    answers: dict[str, SplitAnswers]
    """By split; empty for runs of before they were kept."""

    @cached_property
    def labels(self) -> list[str]:
        """Label names in id order."""
        return self.task.label_list()

    @property
    def several_labels(self) -> bool:
        """Whether a text may have several labels."""
        return self.task.kind == "multi_label"

    @property
    def positive(self) -> int | None:
        """Id of the positive label."""
        return None if self.task.positive_label is None else self.labels.index(self.task.positive_label)

    @property
    def threshold(self) -> float | None:
        """The fitted threshold on the positive label's probability, where the policy has one; above 1: never."""
        if self.task.positive_label is None or self.decision.get("label") != self.task.positive_label:
            return None
        value = self.decision.get("threshold")
        return float(value) if isinstance(value, int | float) else None

    @cached_property
    def policy(self) -> Decision:
        """The fitted decision policy.

        Raises:
            ArtifactError: no known policy, or damaged.
        """
        return open_decision(self.decision)

    @cached_property
    def probabilities(self) -> np.ndarray | None:
        """(N, C) of the test rows, calibrated, as the decision policy saw them; None without answers."""
        if not self.answers:
            return None
        return self.calibration.probabilities(self.answers["test"].logits, self.several_labels)

    @cached_property
    def plain(self) -> np.ndarray | None:
        """(N, C) of the test rows, before calibration: what the metrics measure; None without answers."""
        return None if not self.answers else probabilities_of(self.answers["test"].logits, self.several_labels)

    @property
    def targets(self) -> np.ndarray | None:
        """Gold labels of the test rows, as in `SplitAnswers`."""
        return None if not self.answers else self.answers["test"].targets

    @cached_property
    def intervals(self) -> dict[str, dict[str, Interval | None]]:
        """Split -> metric -> its 95 % interval; without answers those that a confusion matrix gives."""
        return {split: split_intervals(self.task, self.report[split], self.answers.get(split)) for split in SPLITS}

    def matrix(self, split: str = "test") -> np.ndarray | None:
        """(C, C) confusion matrix; None for several labels a text."""
        matrix = self.report[split].get("confusion_matrix")
        return None if matrix is None else np.asarray(matrix, np.int64)


@dataclass(frozen=True)
class RunFacts:
    """One run."""

    folder: Path
    config: RunConfig
    manifest: dict[str, Any]
    metrics: dict[str, Any]
    parts: list[Part]
    robustness: dict[str, Any] | None
    """What a robustness report of the run says, where one was made."""


def read_run(folder: Path) -> RunFacts:
    """The facts of a finished run.

    Raises:
        ArtifactError: not a run folder, unfinished, damaged, or of a newer version.
    """
    manifest = read_manifest(folder)
    metrics = read_json(folder / "metrics.json")
    homes = task_homes(folder, manifest)
    parts = []
    for home in homes:
        task = read_record(TaskSpec, home / "task.yaml")
        report = metrics["tasks"][task.name] if len(homes) > 1 else metrics
        answers = _checked(home, task, report) if (home / FILE).is_file() else {}
        noted = home / CALIBRATION  # runs of earlier versions have none
        calibration = open_calibration(read_json(noted)) if noted.is_file() else UNCALIBRATED
        parts.append(Part(home, task, read_json(home / "decision.json"), calibration, report, answers))
    robustness = read_json(folder / ROBUSTNESS) if (folder / ROBUSTNESS).is_file() else None
    return RunFacts(folder, read_record(RunConfig, folder / "run.yaml"), manifest, metrics, parts, robustness)


def _checked(home: Path, task: TaskSpec, report: dict[str, Any]) -> dict[str, SplitAnswers]:
    """The answers, if they are those that `metrics.json` tells of."""
    answers, labels = read_answers(home), len(task.label_list())
    for split, each in answers.items():
        if each.logits.shape != (report[split]["rows"], labels):
            raise ArtifactError(
                f"{home / FILE} is of another run: {split} has {each.logits.shape[0]} rows and {each.logits.shape[1]} "
                f"labels, metrics.json {report[split]['rows']} and {labels}. Train the run again."
            )
    return answers
