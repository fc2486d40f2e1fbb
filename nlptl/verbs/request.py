"""From what a call or a command asks for to one checked RunConfig; every fault is told at once, before torch is loaded.

The Python verbs and the commands both come through `checked_config`, so that they accept and refuse the same things.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from nlptl.checkpoints import check_checkpoint, is_run
from nlptl.config.applicability import check_applicability, flattened
from nlptl.config.overrides import merge_settings, validated
from nlptl.config.records import plain, read_yaml
from nlptl.config.rules import broken_rule
from nlptl.config.run import RunConfig
from nlptl.config.situation import SECTION_OF_STRATEGY, Situation
from nlptl.errors import ConfigError, NlptlError, joined
from nlptl.registry import BASELINES, METRICS, MODES, POLICIES, STRATEGIES
from nlptl.storage.paths import user_path
from nlptl.strategies.catalogue import usual_strategy
from nlptl.tasks import TaskSpec, load_task, task_names

BASELINE_MODE = "baseline"
"""What the run.yaml of a baseline says as its mode."""


def checked_config(
    file: str | Path | None,
    settings: Mapping[str, Any],
    *,
    several: bool = False,
    known_task: TaskSpec | None = None,
    reads: Collection[str] | None = None,
    baseline: str | None = None,
    crosses_domains: bool = False,
    faults: Sequence[NlptlError] = (),
) -> RunConfig:
    """The configuration of a file with settings laid over it.

    Args:
        file: a YAML file to start from.
        settings: by dotted key; None is "not given".
        several: whether the verb takes several tasks as a+b+c.
        known_task: the task itself, where it need not be looked up by its name.
        reads: the only settings that the verb reads; None: those of a training.
        baseline: the classical model of a verb that fits one, where none is named.
        crosses_domains: whether each of several domains is adapted to each other one.
        faults: what is wrong already, to be told with the rest.

    Raises:
        NlptlError: every fault: unknown settings, values that are refused, names that there are not, and settings that
            would have no effect on the run.
    """
    values, wrong = merge_settings(RunConfig, file, settings)
    if baseline is not None and _baseline(values) is None:
        section = values.get("baseline")
        values["baseline"] = {**(section if isinstance(section, dict) else {}), "model": baseline}
    tasks, missing = find_tasks_of(values, known_task)
    named = [*_name_faults(values, tasks), *(_count_faults(values, several))]
    config = validated(RunConfig, values, file, [*faults, *wrong, *missing, *named])
    given = {key.replace("__", ".") for key, value in settings.items() if value is not None}
    if reads is not None:
        _check_read(given, reads)
    else:
        situation = replace(situation_of(config, tasks), crosses_domains=crosses_domains)
        _check_effect(situation, tasks, given, {} if file is None else flattened(read_yaml(Path(file))))
    return config


def find_tasks_of(values: Mapping[str, Any], known: TaskSpec | None = None) -> tuple[list[TaskSpec], list[NlptlError]]:
    """The tasks that are named, as far as they are there, and what is wrong with the others."""
    if known is not None:
        return [known], []
    asked, folder = values.get("task"), plain(values.get("tasks_dir"))
    tasks: list[TaskSpec] = []
    faults: dict[str, NlptlError] = {}
    try:
        names = task_names(asked) if isinstance(asked, str) else []
    except NlptlError as error:
        return [], [error]
    for name in names:
        try:
            tasks.append(load_task(name, folder if isinstance(folder, str) else None))
        except NlptlError as error:
            faults[str(error)] = error  # a tasks folder that cannot be read is told once
    return tasks, list(faults.values())


def _name_faults(values: Mapping[str, Any], tasks: Sequence[TaskSpec]) -> list[NlptlError]:
    """What is wrong with the names of baseline, mode, checkpoints and the tasks' metrics."""
    checks: list[tuple[Any, Any]] = [(METRICS.check, name) for task in tasks for name in (task.metric, *task.metrics)]
    decision = values.get("decision")
    checks.append((POLICIES.check, decision.get("policy") if isinstance(decision, Mapping) else None))
    baseline = _baseline(values)
    if baseline is not None:
        checks.append((BASELINES.check, baseline))
    else:
        checkpoint = plain(values.get("checkpoint"))
        names = [checkpoint] if checkpoint else [task.checkpoint for task in tasks]
        checks += [(MODES.check, values.get("mode")), *((check_checkpoint, name) for name in names)]
        checks += [(_check_teacher, name) for name in _teachers(values)]
    faults: dict[str, NlptlError] = {}
    for check, name in checks:
        try:
            if isinstance(name, str):
                check(name)
        except NlptlError as error:
            faults[str(error)] = error
    return list(faults.values())


def _teachers(values: Mapping[str, Any]) -> list[Any]:
    section = values.get("distillation")
    named = section.get("teachers") if isinstance(section, Mapping) else None
    return list(named) if isinstance(named, list | tuple) else []


def _check_teacher(name: str) -> None:
    if not is_run(user_path(name)):
        raise ConfigError(f"The teacher {name} is no finished run (distillation.teachers). Name the folder of one.")


def _count_faults(values: Mapping[str, Any], several: bool) -> list[NlptlError]:
    asked = values.get("task")
    count = len(asked.split("+")) if isinstance(asked, str) else 1
    if count > 1 and (_baseline(values) is not None or not several):
        return [ConfigError(f"{asked} names {count} tasks; this takes one. Only `nlptl train` takes several.")]
    return []


def _baseline(values: Mapping[str, Any]) -> Any:
    section = values.get("baseline")
    return section.get("model") if isinstance(section, Mapping) else None


def _check_read(given: Collection[str], reads: Collection[str]) -> None:
    faults = [
        ConfigError(f"{key} would have no effect: nothing is trained here. Leave it out.")
        for key in sorted(set(given) - set(reads))
    ]
    if faults:
        raise joined("The configuration", faults)


def _check_effect(
    situation: Situation, tasks: Sequence[TaskSpec], given: Collection[str], stated: Mapping[str, Any]
) -> None:
    config = situation.config
    _check_task_defaults(situation, tasks)
    modes = [config.mode, *([str(stated["mode"])] if stated.get("mode") in MODES else [])]
    defaults = [task.training_defaults(mode) for task in tasks for mode in modes]
    if situation.is_baseline:
        stated = {key: value for key, value in stated.items() if (key, value) != ("mode", BASELINE_MODE)}
        modes = modes[1:]
    check_applicability(situation, given, stated, [*defaults, *(MODES.get(mode).defaults for mode in modes)])


def _check_task_defaults(situation: Situation, tasks: Sequence[TaskSpec]) -> None:
    """Raises ConfigError for defaults of a task file that mean nothing to the mode that they are for."""
    if situation.is_baseline or situation.several_tasks:
        return  # neither reads a task's defaults
    mode, faults = situation.config.mode, []
    # What another strategy of the same mode reads has its place in the task.
    others = replace(situation, sections=("adaptation",), strategy="domain_adaptation", method="mmd")
    for task in tasks:
        for key in task.training_defaults(mode):
            rule = broken_rule(key, situation)
            if rule is not None and broken_rule(key, others) is not None:
                name = key.rpartition(".")[2]
                where = f"Task {task.name}: modes.{mode}.{name}"
                faults.append(ConfigError(f"{where} would have no effect: {rule.sentence(situation)}. Leave it out."))
    if faults:
        raise joined("The task", faults)


def situation_of(config: RunConfig, tasks: Sequence[TaskSpec]) -> Situation:
    """What a run will be, as far as it decides which settings have an effect.

    Args:
        config: whose names have been checked.
        tasks: the ones that it names.
    """
    several = len(tasks) > 1
    policies = [POLICIES.get(config.decision.policy or task.decision.policy) for task in tasks]
    decides_by = frozenset(name for policy in policies for name in policy.reads)
    if config.baseline.model is not None:
        return Situation(config, False, False, "random", "", several_tasks=several, decides_by=decides_by)
    mode = MODES.get(config.mode)
    keeps = config.model.head_start == "keep"
    usual = usual_strategy(config.mode, config.data.shots, tasks[0].kind)
    strategy = config.strategy or ("fine_tune" if several or keeps else usual)
    sections = SECTION_OF_STRATEGY.get(strategy) or tuple(getattr(STRATEGIES.get(strategy), "sections", ()))
    method = config.adaptation.method or str(mode.defaults.get("adaptation.method", "none"))
    start = "random" if config.model.weights == "random" else str(mode.defaults.get("model.head_start", "probe"))
    return Situation(
        config,
        trains_encoder=mode.trains_encoder,
        has_adapters=getattr(mode, "has_adapters", True),  # an outside mode that does not say may read them
        head_start=config.model.head_start or start,
        strategy=strategy,
        sections=sections,
        method=method if "adaptation" in sections else "none",
        several_tasks=several,
        decides_by=decides_by,
    )


def asked_for_several(file: str | Path | None, settings: Mapping[str, Any]) -> bool:
    """Whether the task that a call or its file names is several as a+b+c."""
    task = settings.get("task")
    if task is None and file is not None:
        task = read_yaml(Path(file)).get("task")
    return isinstance(task, str) and "+" in task


def comparing(several: bool) -> str:
    """The setting by which a run is compared: with the baselines or, for several tasks, with each task alone."""
    return "multi_task.compare" if several else "baseline.compare"


def text_column_of(config: RunConfig) -> str:
    """The column of the (first) text in data that are given in Python."""
    return (config.data.text_columns or load_task(config.task, config.tasks_dir).text_columns)[0]


def present(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that are given."""
    return {key: value for key, value in settings.items() if value is not None}
