"""Another decision policy for a finished run: fitted on its own answers to validation, without any training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nlptl.config.records import read_record, write_yaml
from nlptl.config.run import DecisionConfig, RunConfig
from nlptl.data.files import read_frame
from nlptl.errors import ConfigError
from nlptl.evaluation.decisions.policy import NEVER
from nlptl.registry import POLICIES
from nlptl.runs.answers import read_answers, write_answers
from nlptl.runs.card import write_card
from nlptl.runs.manifest import read_manifest, task_homes, tasks_of
from nlptl.runs.saving import write_decision
from nlptl.storage.json_files import read_json, write_json
from nlptl.strategies.saving import fitted_head, reports_of, write_predictions
from nlptl.strategies.scope import scope_again
from nlptl.tasks import TaskSpec

SCOPE = "out_of_scope"
"""The section of a scorer, where the decision goes by one."""
RENEWED = ("calibration", "decided")
"""Of a split's report: what depends on calibration and policy."""


def decide_again(folder: Path, asked: DecisionConfig, task: str | None = None) -> dict[str, Any]:
    """Fit calibration and decision policy anew, and write what depends on them: `calibration.json`, `decision.json`,
    `predictions.csv`, their sections of `metrics.json`, the card, and the settings in `run.yaml`.

    Args:
        folder: of a finished run.
        asked: what is to be different; the rest stays as the run has it.
        task: of a run of several tasks.

    Returns:
        What the reports of validation and test say now: split -> `calibration` and `decided`.

    Raises:
        ConfigError: the policy cannot be used, or no threshold keeps what was asked for; then the run stays as it was.
        ArtifactError: no finished run, or one that does not hold its answers.
    """
    manifest = read_manifest(folder)
    tasks, homes = tasks_of(folder, manifest), task_homes(folder, manifest)
    chosen = _chosen(folder, tasks, task)
    _refuse_unread(asked, asked.policy or tasks[chosen].decision.policy)
    spec, home = tasks[chosen].deciding_as(asked), homes[chosen]
    answers = read_answers(home)
    config = read_record(RunConfig, folder / "run.yaml")
    scope, answers = scope_again(spec, home, answers, config.seed)
    head = fitted_head(spec, answers["validation"], sum(len(each.label_list()) for each in tasks[:chosen]), scope)
    if head.decision.threshold == NEVER:
        raise ConfigError(f"{head.decision.note} The decision of {folder} stays as it was.")
    reports = reports_of(head, answers)
    metrics = read_json(folder / "metrics.json")
    part = metrics["tasks"][spec.name] if len(tasks) > 1 else metrics
    for split, report in reports.items():
        part[split].pop(SCOPE, None)
        part[split] |= {name: report[name] for name in (*RENEWED, SCOPE) if name in report}
    if scope is not None:
        write_answers(home, answers)
    write_predictions(head, read_frame(home / "predictions.csv"), answers["test"], home / "predictions.csv")
    write_json(folder / "metrics.json", metrics)
    write_yaml(home / "task.yaml", spec)
    write_decision(head, home)
    if len(tasks) == 1:
        fields = DecisionConfig.model_fields
        settings = {name: value for name, value in spec.decision.given().items() if name in fields}
        decision = DecisionConfig(**{**settings, "policy": spec.decision.policy})
        write_yaml(folder / "run.yaml", config.model_copy(update={"decision": decision}))
    write_card(folder)
    return {split: {name: report[name] for name in RENEWED} for split, report in reports.items()}


def _chosen(folder: Path, tasks: list[TaskSpec], name: str | None) -> int:
    names = [task.name for task in tasks]
    if name is None and len(names) > 1:
        raise ConfigError(f"{folder} serves several tasks: {', '.join(names)}. Choose one with --task NAME.")
    if name is not None and name not in names:
        raise ConfigError(f"{folder} has no task {name!r}; it has {', '.join(names)}.")
    return names.index(name) if name is not None else 0


def _refuse_unread(asked: DecisionConfig, policy: str) -> None:
    reads = {*POLICIES.get(policy).reads, "policy", "calibration"}
    unread = sorted(asked.model_dump(exclude_none=True).keys() - reads)
    if unread:
        read = ", ".join(sorted(reads - {"policy"}))
        raise ConfigError(f"The decision policy {policy} does not read {', '.join(unread)}; it reads {read}.")
