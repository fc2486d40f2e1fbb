"""What a finished run says of itself, and writing it: metrics, test predictions, and the artifact."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from nlptl.data.files import TableWriter
from nlptl.evaluation.calibration import fit_calibration
from nlptl.evaluation.decisions import decide, fit_decision
from nlptl.evaluation.evaluator import full_report
from nlptl.evaluation.out_of_scope.fitting import FittedScope
from nlptl.runs.answers import SPLITS, SplitAnswers, write_answers
from nlptl.runs.artifact import Head, head_folder
from nlptl.runs.saving import save_artifact
from nlptl.storage.json_files import write_json
from nlptl.storage.versions import environment
from nlptl.strategies import multi_task
from nlptl.strategies.job import Answers, Learned, RunContext, TaskRows
from nlptl.strategies.scope import fitted_scope
from nlptl.tasks import TaskSpec

log = logging.getLogger("nlptl")


def save_run(context: RunContext, learned: Learned, folder: Path) -> None:
    """Write a finished run of one task or several; the manifest comes last.

    Raises:
        ArtifactError: what was read back differs from what was trained, or the folder cannot be written.
    """
    with context.clock.measure("saving"):
        heads, reports = [], {}
        for part, answers in zip(context.parts, learned.answers, strict=True):
            fitted = fitted_scope(part, answers, context.config.seed)
            kept = _kept(part, answers, fitted)
            head = fitted_head(part.task, kept["validation"], part.columns.start, fitted)
            for note in (head.calibration.note, head.decision.note):
                if note is not None:
                    log.warning(f"{part.task.name}: {note}" if len(context.parts) > 1 else note)
            home = head_folder(folder, part.task.name, len(context.parts))
            home.mkdir(parents=True, exist_ok=True)
            write_answers(home, kept)
            write_predictions(head, part.splits.test, kept["test"], home / "predictions.csv")
            heads.append(head)
            reports[part.task.name] = reports_of(head, kept)
        metrics = _metrics(context, learned, reports, folder)
        write_json(folder / "metrics.json", metrics)
        save_artifact(folder, context.config, heads, learned.model)
    metrics["time"] |= context.clock.report()  # now with the time that saving took
    write_json(folder / "metrics.json", metrics)


def _metrics(context: RunContext, learned: Learned, reports: dict[str, dict[str, Any]], folder: Path) -> dict[str, Any]:
    """What `metrics.json` says; with several tasks their reports lie under `tasks`, and the top has their means."""
    facts = {**learned.facts, "time": {**context.clock.report(), **learned.facts.get("time", {})}}
    training = facts["training"]
    if len(context.parts) == 1:
        (answers,), (report,) = learned.answers, reports.values()
        training = {**training, **answers.notes}
        tasks = {"data": _data(context.part)}
    else:
        for part, answers in zip(context.parts, learned.answers, strict=True):
            report = reports[part.task.name]
            report |= {"metric": part.task.metric, "data": _data(part), **answers.notes}
            report |= multi_task.difference(part.task, report, folder)
        report = {split: _summary(context.parts, reports, split) for split in ("test", "validation")}
        sizes = [part.splits.sizes() for part in context.parts]
        tasks = {"tasks": reports, "data": {name: sum(size[name] for size in sizes) for name in sizes[0]}}
    return {**report, **facts, "training": training, **tasks, "versions": environment()}


def _summary(parts: list[TaskRows], reports: dict[str, dict[str, Any]], split: str) -> dict[str, Any]:
    """Each task's primary metric on a split, and their mean."""
    values = {
        f"{part.task.name} {part.task.metric}": reports[part.task.name][split][part.task.metric] for part in parts
    }
    rows = sum(len(part.targets[split]) for part in parts)
    return {"rows": rows, "mean": float(np.mean(list(values.values()))), **values}


def _kept(part: TaskRows, answers: Answers, fitted: FittedScope | None) -> dict[str, SplitAnswers]:
    logits, kept = {"validation": answers.validation, "test": answers.test}, {}
    for split in SPLITS:
        features = None if answers.seen is None else answers.seen.features.get(split)
        scope = None if fitted is None else fitted.scorer.scores(features, logits[split])
        kept[split] = SplitAnswers(logits[split], part.targets[split], scope)
    return kept


def fitted_head(task: TaskSpec, validation: SplitAnswers, start: int, scope: FittedScope | None = None) -> Head:
    """The head of a task: calibration and decision policy, fitted on validation.

    Args:
        task: labels and settings.
        validation: what the model answered there.
        start: of its columns among the model's logits.
        scope: the scorer that the decision goes by, and its cut-off.
    """
    calibration = fit_calibration(task.decision.calibration, validation.logits, validation.targets)
    probabilities = calibration.probabilities(validation.logits, task.kind == "multi_label")
    decision = fit_decision(task, probabilities, validation.targets, scope)
    return Head(task, decision, start, calibration, None if scope is None else scope.scorer)


def reports_of(head: Head, answers: Mapping[str, SplitAnswers]) -> dict[str, Any]:
    """What `metrics.json` says of test and validation."""
    return {
        split: full_report(head.task, found.logits, found.targets, head.decision, head.calibration, found.scope)
        for split, found in ((name, answers[name]) for name in reversed(SPLITS))
    }


def _data(part: TaskRows) -> dict[str, Any]:
    splits = part.splits
    labels = len(part.task.label_list())
    return {
        **splits.sizes(),
        "labels": labels,
        "audit": splits.audit.counts,
        "read_as": splits.read_as,
        **({"split": splits.along} if splits.along else {}),
    }


def write_predictions(head: Head, test: pd.DataFrame, answers: SplitAnswers, path: Path) -> None:
    """Write the test rows with gold label, decision, most probable label and score; where there is a scorer, scope.

    Args:
        head: labels in id order, calibration and decision.
        test: the test split.
        answers: what the model answered there.
        path: the file.
    """
    task, labels, scope = head.task, head.task.label_list(), answers.scope if head.scorer is not None else None
    probabilities = head.calibration.probabilities(answers.logits, task.kind == "multi_label")
    decided, scores = decide(head.decision, probabilities, labels, scope)
    separator = task.label_separator
    table = pd.DataFrame(
        {
            **{column: test[column] for column in ("file", "row", "text", "text_pair") if column in test},
            "label": [separator.join(name) if isinstance(name, list) else name for name in test["label"]],
            "predicted": [separator.join(name) if isinstance(name, list) else name for name in decided],
            "most_probable": [labels[i] for i in probabilities.argmax(1)],
            "score": np.round(scores.astype(float), 6),
            **({} if scope is None else {"scope": scope.round(6)}),
        }
    )
    with TableWriter(path) as writer:
        writer.write(table)
