"""From what a call or a command asks for to one checked RunConfig; every fault is told at once, before torch is loaded.

The Python verbs and the commands both come through `checked_config`, so that they accept and refuse the same things.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from nlptl.checkpoints import check_checkpoint
from nlptl.config.applicability import SECTION_OF_STRATEGY, Situation, check_applicability, flattened
from nlptl.config.overrides import dotted_keys, merge_settings, validated
from nlptl.config.records import plain, read_yaml
from nlptl.config.run import RunConfig
from nlptl.errors import ArtifactError, ConfigError, NlptlError, joined
from nlptl.pretraining.applicability import check_pretraining
from nlptl.pretraining.config import PretrainConfig
from nlptl.registry import BASELINES, METRICS, MODES, OBJECTIVES, STRATEGIES
from nlptl.strategies.catalogue import usual_strategy
from nlptl.tasks import TaskSpec, load_task, read_task, task_names

BASELINE_MODE = "baseline"
"""What the run.yaml of a baseline says as its mode."""
LOOKED_AT = (
    "task",
    "tasks_dir",
    "seed",
    *(key for key in dotted_keys() if key.startswith("data.") and not key.startswith("data.target")),
    "probe.regularisation",
    "model.max_length",
    "runtime.precision",
    "runtime.progress",
    "runtime.kernels",
    "runtime.packing",
)
"""What probe and rank read: they look into encoders and train none."""


def checked_config(
    file: str | Path | None,
    settings: Mapping[str, Any],
    *,
    several: bool = False,
    known_task: TaskSpec | None = None,
    reads: Collection[str] | None = None,
    baseline: str | None = None,
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
        faults: what is wrong already, to be told with the rest.

    Raises:
        NlptlError: every fault: unknown settings, values that are refused, names that there are not, and settings that
            would have no effect on the run.
    """
    values, wrong = merge_settings(RunConfig, file, settings)
    if baseline is not None and _baseline(values) is None:
        section = values.get("baseline")
        values["baseline"] = {**(section if isinstance(section, dict) else {}), "model": baseline}
    tasks, missing = _find_tasks(values, known_task)
    named = [*_name_faults(values, tasks), *(_count_faults(values, several))]
    config = validated(RunConfig, values, file, [*faults, *wrong, *missing, *named])
    given = {key.replace("__", ".") for key, value in settings.items() if value is not None}
    if reads is not None:
        _check_read(given, reads)
    else:
        _check_effect(config, tasks, given, {} if file is None else flattened(read_yaml(Path(file))))
    return config


def _find_tasks(values: Mapping[str, Any], known: TaskSpec | None) -> tuple[list[TaskSpec], list[NlptlError]]:
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
    baseline = _baseline(values)
    if baseline is not None:
        checks.append((BASELINES.check, baseline))
    else:
        checkpoint = plain(values.get("checkpoint"))
        names = [checkpoint] if checkpoint else [task.checkpoint for task in tasks]
        checks += [(MODES.check, values.get("mode")), *((check_checkpoint, name) for name in names)]
    faults: dict[str, NlptlError] = {}
    for check, name in checks:
        try:
            if isinstance(name, str):
                check(name)
        except NlptlError as error:
            faults[str(error)] = error
    return list(faults.values())


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
    config: RunConfig, tasks: Sequence[TaskSpec], given: Collection[str], stated: Mapping[str, Any]
) -> None:
    situation = situation_of(config, tasks)
    modes = [config.mode, *([str(stated["mode"])] if stated.get("mode") in MODES else [])]
    defaults = [task.training_defaults(mode) for task in tasks for mode in modes]
    if situation.is_baseline:
        stated = {key: value for key, value in stated.items() if (key, value) != ("mode", BASELINE_MODE)}
        modes = modes[1:]
    check_applicability(situation, given, stated, [*defaults, *(MODES.get(mode).defaults for mode in modes)])


def situation_of(config: RunConfig, tasks: Sequence[TaskSpec]) -> Situation:
    """What a run will be, as far as it decides which settings have an effect.

    Args:
        config: whose names have been checked.
        tasks: the ones that it names.
    """
    several = len(tasks) > 1
    if config.baseline.model is not None:
        return Situation(config, False, False, "random", "", several_tasks=several)
    mode = MODES.get(config.mode)
    usual = usual_strategy(config.mode, config.data.shots, tasks[0].kind)
    strategy = config.strategy or ("fine_tune" if several else usual)
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
    )


def checked_pretraining(
    file: str | Path | None, settings: Mapping[str, Any], faults: Sequence[NlptlError] = ()
) -> PretrainConfig:
    """As `checked_config`, for a pre-training.

    Raises:
        NlptlError: every fault of the settings, each name that there is not, and settings that have no effect.
    """
    values, wrong = merge_settings(PretrainConfig, file, settings)
    missing = _find_tasks(values, None)[1]
    checks = ((OBJECTIVES.check, values.get("objective")), (check_checkpoint, plain(values.get("checkpoint"))))
    for check, name in checks:
        try:
            if isinstance(name, str):
                check(name)
        except NlptlError as error:
            missing.append(error)
    config = validated(PretrainConfig, values, file, [*faults, *wrong, *missing])
    check_pretraining(config, {key.replace("__", ".") for key, value in settings.items() if value is not None})
    return config


def asked_for_several(file: str | Path | None, settings: Mapping[str, Any]) -> bool:
    """Whether the task that a call or its file names is several as a+b+c."""
    task = settings.get("task")
    if task is None and file is not None:
        task = read_yaml(Path(file)).get("task")
    return isinstance(task, str) and "+" in task


def text_column_of(config: RunConfig) -> str:
    """The column of the (first) text in data that are given in Python."""
    return (config.data.text_columns or load_task(config.task, config.tasks_dir).text_columns)[0]


def task_of_run(folder: Path) -> TaskSpec:
    """The one task of a finished run, without opening its model.

    Raises:
        ArtifactError: the folder is no run.
        ConfigError: the run has several tasks.
    """
    if (folder / "heads").is_dir():
        names = sorted(path.name for path in (folder / "heads").iterdir())
        raise ConfigError(f"{folder} serves several tasks: {', '.join(names)}. Name the one that is meant.")
    if not (folder / "task.yaml").is_file():
        raise ArtifactError(f"{folder} is no finished run: it holds no task.yaml.")
    return read_task(folder)


def present(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that are given."""
    return {key: value for key, value in settings.items() if value is not None}
