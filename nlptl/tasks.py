"""Tasks are data: a `task.yaml` says what is learned. This room reads, checks and finds them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from importlib.metadata import entry_points
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Annotated, Any, Literal, Self

from pydantic import Field, PrivateAttr, field_validator, model_validator

from nlptl.config.records import NOTHING, Record, read_record, validate
from nlptl.config.run import PROBABILITY, Calibrations, DecisionConfig, check_scorer
from nlptl.errors import ConfigError, NlptlError, unknown
from nlptl.named import Registry
from nlptl.registry import MODES, POLICIES
from nlptl.storage.paths import bundled, user_path

SPLITS = ("train", "validation", "test")
Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]*$", max_length=64)]


class NamedData(Record):
    """One data set a task knows by name: local files, or a Hub id."""

    description: str = ""
    files: dict[Literal["train", "validation", "test"], str] | None = None
    """Split -> file, relative to the task's folder."""
    hub_id: str | None = None
    configuration: str | None = None
    revision: str | None = None
    splits: dict[Literal["train", "validation", "test"], str] = {}
    """Split -> the Hub data set's name for it; empty: the same names."""
    text_columns: list[str] | None = Field(default=None, min_length=1, max_length=2)
    label_column: str | None = None
    label_map: dict[str, str] = {}

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.files is None) == (self.hub_id is None):
            raise ValueError("give either files or hub_id")
        if self.files is not None and not {"train", "test"} & set(self.files):
            raise ValueError("files must name at least train, or test alone for data that is only evaluated on")
        for file in (self.files or {}).values():
            if not _lies_inside(file):
                raise ValueError(f"files: {file!r} must lie inside the task's folder; give other paths with --data")
        return self


def _lies_inside(file: str) -> bool:
    """Whether a relative path stays below where it starts, on any system."""
    paths = (PurePosixPath(file), PureWindowsPath(file))
    return not any(path.is_absolute() or path.drive or ".." in path.parts for path in paths)


class ModeDefaults(Record):
    """A task's own defaults for one mode; names and meanings are those of `training` in RunConfig."""

    epochs: Annotated[int, Field(ge=1)] | None = None
    learning_rate: Annotated[float, Field(gt=0)] | None = None
    head_learning_rate: Annotated[float, Field(gt=0)] | None = None
    batch_size: Annotated[int, Field(ge=1)] | None = None
    layer_decay: Annotated[float, Field(gt=0, le=1)] | None = None
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] | None = None


class DecisionSpec(Record):
    """How scores become a label; fitted on validation, saved in the run."""

    policy: str = "argmax"
    """argmax, threshold, precision, recall, alerts, cost, out_of_scope, abstain, conformal, or one that an installed
    package registers."""
    calibration: Calibrations = "auto"
    """What makes probabilities of logits, fitted on validation. auto: temperature, where validation has 20 rows."""
    label: str | None = None
    """out_of_scope: the label given to texts below the cut-off. abstain: that of texts without an answer."""
    keep: Annotated[float, Field(gt=0, lt=1)] = 0.95
    """out_of_scope: share of in-scope validation rows that stays above the cut-off."""
    reject: Literal["auto", "always", "never"] = "auto"
    """out_of_scope: whether unsure texts are sent out of scope. auto: where validation has rows of the label, which
    show what that finds and costs; else the most probable label is the answer."""
    scorer: str = PROBABILITY
    """out_of_scope: what is compared with the cut-off: probability, a scorer's name, or auto for the one that is best
    on half of validation's rows."""
    floor: Annotated[float, Field(gt=0, lt=1)] | None = None
    """precision, recall: of the positive label. abstain: share of the answers that is to be right."""
    confidence: Annotated[float, Field(gt=0, lt=1)] = 0.9
    """precision, recall, alerts, abstain: probability that what was asked for holds on new rows."""
    alerts_per_thousand: Annotated[float, Field(gt=0, lt=1000)] | None = None
    """alerts: texts of a thousand that may get the positive label."""
    costs: dict[str, Annotated[float, Field(allow_inf_nan=False)]] = {}
    """cost: of answers, as GOLD>ANSWER; a mistake that is not named costs 1."""
    coverage: Annotated[float, Field(gt=0, lt=1)] = 0.9
    """conformal: share of sets that hold the true label."""
    sets: Literal["lac", "aps", "raps"] = "lac"
    """conformal: how sets are made."""
    settings: dict[str, bool | int | float | str] = {}
    """Of a policy of another package, which says what it takes; nlptl's own take none."""

    def given(self) -> dict[str, Any]:
        """The settings that differ from what holds where none is given."""
        fields = type(self).model_fields
        return {name: value for name, value in self if value != fields[name].default}

    @field_validator("policy")
    @classmethod
    def _known(cls, name: str) -> str:
        if name not in POLICIES:
            raise ValueError(unknown(POLICIES.kind, name, POLICIES))
        return name

    @field_validator("scorer")
    @classmethod
    def _known_scorer(cls, name: str) -> str:
        return check_scorer(name)


class TaskSpec(Record):
    """What is learned: labels, columns, data sets, metrics, default checkpoint, decision policy."""

    name: Name
    version: Annotated[int, Field(ge=1)] = 1
    description: str = Field(json_schema_extra=NOTHING)
    kind: Literal["single_label", "multi_label"] = "single_label"
    labels: Literal["from_data"] | Annotated[list[str], Field(min_length=1)] = "from_data"
    positive_label: str | None = None
    text_columns: list[str] = Field(default=["text"], min_length=1, max_length=2)
    label_column: str = "label"
    label_separator: str = "|"
    """multi_label: what stands between labels in a CSV cell."""
    data: dict[Name, NamedData] = Field(default={}, json_schema_extra=NOTHING)
    metric: str = "accuracy"
    """The primary metric: decides on validation."""
    metrics: list[str] = ["accuracy", "macro_f1"]
    checkpoint: str = "minilm"
    modes: dict[str, ModeDefaults] = Field(default={}, json_schema_extra=NOTHING)
    """Mode -> defaults of its training; the resolved settings of a run state them."""
    decision: DecisionSpec = DecisionSpec()
    _folder: Path | None = PrivateAttr(default=None)

    @property
    def folder(self) -> Path | None:
        """Where the task file lies; None for a task made in Python."""
        return self._folder

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        faults = list(self._faults())
        if faults:
            raise ValueError("; ".join(faults))
        return self

    def _faults(self) -> Iterator[str]:
        if isinstance(self.labels, list):
            if len(set(self.labels)) < len(self.labels):
                yield "labels holds a name twice"
            if any(not label.strip() for label in self.labels):
                yield "labels holds an empty name"
            if self.kind == "single_label" and len(self.labels) < 2:
                yield "a single_label task needs at least two labels"
            if self.positive_label is not None and self.positive_label not in self.labels:
                yield f"positive_label {self.positive_label!r} is not among labels {self.labels}"
        for mode in self.modes:
            if mode not in MODES:
                yield f"modes: {unknown('mode', mode, MODES)}"
        yield from POLICIES.get(self.decision.policy).faults(self)

    def label_list(self) -> list[str]:
        """The labels in id order.

        Raises:
            ConfigError: they were never read from data.
        """
        if isinstance(self.labels, str):
            raise ConfigError(f"The labels of task {self.name!r} are read from its data, which was not loaded yet.")
        return list(self.labels)

    def deciding_as(self, asked: DecisionConfig) -> TaskSpec:
        """A copy that decides as the settings of a run say, where they say anything.

        Where they name a policy, the settings of the task's own policy that the new one does not read are left aside.

        Raises:
            ConfigError: the policy cannot be used for this task, or lacks a setting.
        """
        given = {name: value for name, value in asked if value is not None}
        if not given:
            return self
        own = self.decision.given()
        if "policy" in given:
            reads = {*POLICIES.get(given["policy"]).reads, "calibration"}
            own = {name: value for name, value in own.items() if name in reads}
        reads = {*POLICIES.get(given.get("policy", self.decision.policy)).reads, "policy", "calibration"}
        read = {name: value for name, value in given.items() if name in reads}
        values = {**self.model_dump(exclude={"decision"}), "decision": {**own, **read}}
        made = validate(TaskSpec, values, f"Task {self.name!r}")
        made._folder = self._folder
        return made

    def with_labels(self, labels: list[str]) -> TaskSpec:
        """A copy whose labels are fixed."""
        return validate(TaskSpec, {**self.model_dump(), "labels": labels}, f"Task {self.name!r}")

    def training_defaults(self, mode: str) -> dict[str, Any]:
        """The task's defaults for a mode as dotted RunConfig keys."""
        chosen = self.modes.get(mode)
        values = chosen.model_dump(exclude_none=True) if chosen else {}
        return {f"training.{key}": value for key, value in values.items()}


_registered: dict[str, TaskSpec] = {}


def register_task(task: TaskSpec | str | Path) -> TaskSpec:
    """Add a task from Python: a TaskSpec, or the folder or file of a `task.yaml`.

    Raises:
        ConfigError: the task is broken, or its name is taken.
    """
    spec = task if isinstance(task, TaskSpec) else read_task(Path(task))
    if spec.name in find_tasks():
        raise ConfigError(f"The task {spec.name!r} is registered twice. Choose another name.")
    _registered[spec.name] = spec
    return spec


def read_task(path: Path) -> TaskSpec:
    """Read one `task.yaml` (or the folder that holds it).

    Raises:
        ConfigError: all faults of the file.
    """
    file = path / "task.yaml" if path.is_dir() else path
    spec = read_record(TaskSpec, file)
    spec._folder = file.resolve().parent
    return spec


def find_tasks(tasks_dir: str | Path | None = None) -> Registry[TaskSpec]:
    """Every task there is: from Python, `tasks_dir`, `$NLPTL_TASKS`, installed packages, and the bundled ones.

    Raises:
        ConfigError: a task file is broken, or two tasks share a name; neither is ever skipped.
    """
    registry: Registry[TaskSpec] = Registry("task")
    for origin, spec in _sources(tasks_dir):
        if spec.name in registry:
            raise ConfigError(f"{origin} defines the task {spec.name!r}, which exists already. Rename one of them.")
        registry.add(spec.name, spec)
    return registry


def load_task(name: str, tasks_dir: str | Path | None = None) -> TaskSpec:
    """The task called `name`.

    Raises:
        ConfigError: unknown name (lists all, suggests the nearest), or a broken task file.
    """
    return find_tasks(tasks_dir).get(name)


def task_names(asked: str) -> list[str]:
    """The names in `a+b+c`; one name for a single task.

    Raises:
        ConfigError: an empty name, or one given twice.
    """
    names = [name.strip() for name in asked.split("+")]
    if not all(names):
        raise ConfigError(f"The task {asked!r} has an empty name. Write one task, or several as a+b+c.")
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ConfigError(f"{asked} names {', '.join(twice)} twice. Name each task once.")
    return names


def joint_labels(tasks: list[TaskSpec]) -> list[str]:
    """Names of a classifier's logits: a task's labels, or TASK/LABEL for several tasks."""
    if len(tasks) == 1:
        return tasks[0].label_list()
    return [f"{task.name}/{label}" for task in tasks for label in task.label_list()]


def _sources(tasks_dir: str | Path | None) -> Iterator[tuple[str, TaskSpec]]:
    for spec in _registered.values():
        yield "register_task", spec
    folders = [user_path(tasks_dir)] if tasks_dir else []
    folders += [user_path(p) for p in os.environ.get("NLPTL_TASKS", "").split(os.pathsep) if p]
    seen = {folder.resolve() for folder in folders}
    for folder in sorted(seen):
        yield from _in_folder(folder)
    for entry in entry_points(group="nlptl.tasks"):
        yield from _in_entry_point(entry.name, entry.load)
    if bundled("tasks") not in seen:
        yield from _in_folder(bundled("tasks"))


def _in_folder(folder: Path) -> Iterator[tuple[str, TaskSpec]]:
    if not folder.is_dir():
        raise ConfigError(f"The tasks folder {folder} does not exist. Check --tasks-dir and NLPTL_TASKS.")
    files = [folder / "task.yaml"] if (folder / "task.yaml").is_file() else sorted(folder.glob("*/task.yaml"))
    for file in files:
        yield str(file), read_task(file)


def _in_entry_point(name: str, load: Callable[[], Any]) -> Iterator[tuple[str, TaskSpec]]:
    """An entry point names a TaskSpec, a folder, or a function that returns one of them."""
    try:
        target = load()
        target = target() if callable(target) else target
    except NlptlError:
        raise
    except Exception as error:  # somebody else's package: whatever it raises, name it
        raise ConfigError(f"The installed task {name!r} (entry point nlptl.tasks) fails to load: {error!r}") from error
    if isinstance(target, TaskSpec):
        yield f"entry point {name}", target
    elif isinstance(target, str | Path):
        yield from _in_folder(Path(target))
    else:
        raise ConfigError(
            f"The installed task {name!r} gives a {type(target).__name__}; expected a TaskSpec or a folder."
        )
