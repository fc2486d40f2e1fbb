"""What is compared on what: methods x sizes x seeds, and the rows of each size and seed, the same for all methods."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from nlptl.comparison.methods import Method
from nlptl.config.run import RunConfig
from nlptl.data.label_names import ORIGIN
from nlptl.data.loading import Splits, load_splits
from nlptl.errors import ConfigError
from nlptl.runs.claims import Inputs, inputs_of
from nlptl.runs.folder import told_as_details
from nlptl.storage.identity import identity
from nlptl.tasks import TaskSpec, load_task

log = logging.getLogger("nlptl")
ALL = "all"
USUAL_SIZES = ("8", "32", "128", "512", ALL)


@dataclass(frozen=True)
class Plan:
    """A comparison as it was asked for."""

    methods: list[Method]
    configs: Mapping[str, Mapping[str, RunConfig]]
    """Method -> run -> its settings; those of every size and seed but for these two."""
    sizes: Sequence[str]
    """Rows per label as text, ascending; `all` last."""
    seeds: Sequence[int]
    folder: Path
    cells: Path
    """Where the runs lie."""
    given: Any = None
    """Python data instead of the settings' source."""
    target: tuple[str, float] | None = None
    """A metric and the value of it that labels are to be counted for."""
    price_per_hour: float | None = None
    """Of this machine, in the user's currency."""

    @cached_property
    def task(self) -> TaskSpec:
        """What is learned."""
        config = self.any_config
        return load_task(config.task, config.tasks_dir)

    @property
    def any_config(self) -> RunConfig:
        """The settings of some run; those of the data are the same for all."""
        return next(iter(self.configs[self.methods[0].name].values()))


@dataclass(frozen=True)
class RowSet:
    """The rows of a size and seed."""

    size: str
    seed: int
    inputs: Inputs
    """Digests of the task and the rows of each split, as `inputs.json` of a run has them."""
    labelled: int
    """Rows whose label was used: of train and validation."""
    labels: int
    test_rows: int
    test_digest: str


@dataclass(frozen=True)
class Cell:
    """One method on one set of rows; each of its runs has a folder of its own."""

    method: Method
    rows: RowSet
    runs: dict[str, RunConfig] = field(default_factory=dict)
    """Run -> settings, with the folder that they are saved in."""

    @property
    def name(self) -> str:
        """Such as `lora, 32 per label, seed 1`."""
        return f"{self.method.name}, {size_name(self.rows.size)}, seed {self.rows.seed}"


def size_name(size: str) -> str:
    """`32 per label`, or `all rows`."""
    return "all rows" if size == ALL else f"{size} per label"


def sizes_of(asked: Sequence[str | int] | None) -> list[str]:
    """Sizes as they are worked through: ascending, `all` last.

    Args:
        asked: rows per label, or `all`; None: the usual ones.

    Raises:
        ConfigError: one that is neither a number from 1 on nor `all`.
    """
    texts = [str(size).strip().lower() for size in (USUAL_SIZES if asked is None else asked)]
    for text in texts:
        if text != ALL and not (text.isdecimal() and int(text) > 0):
            raise ConfigError(f"{text!r} is no size. Write rows per label, such as 8 or 512, or all.")
    if not texts:
        raise ConfigError("A comparison needs a size: rows per label, or all.")
    numbers = sorted({int(text) for text in texts if text != ALL})
    return [*map(str, numbers), *([ALL] if ALL in texts else [])]


def row_sets(plan: Plan) -> list[RowSet]:
    """Read the rows of each size and seed; sizes that hold no more rows than the one before are left out and named.

    Raises:
        DataError: the data cannot be used.
        ConfigError: seeds that differ in their test rows, which cannot be: the data changed while they were read.
    """
    first = {size: _row_set(plan, size, plan.seeds[0]) for size in plan.sizes}
    kept = _larger_ones(first)
    found = [
        first[size] if seed == plan.seeds[0] else _row_set(plan, size, seed) for seed in plan.seeds for size in kept
    ]
    if len({rows.test_digest for rows in found}) > 1:
        raise ConfigError("The test rows differ between sizes or seeds: the data changed while they were read.")
    return found


def cells_of(plan: Plan, rows: Sequence[RowSet]) -> list[Cell]:
    """Every method on every set of rows, seed by seed, the fewest rows first."""
    return [Cell(method, each, _runs(plan, method, each)) for each in rows for method in plan.methods]


def _runs(plan: Plan, method: Method, rows: RowSet) -> dict[str, RunConfig]:
    found = {}
    for name, config in plan.configs[method.name].items():
        sized = _sized(config, rows.size, rows.seed, plan.seeds[0])
        # Runs of other settings or rows have another folder, so that comparisons can share those that are the same.
        mark = identity(settings=sized.deciding("run"), rows=dict(rows.inputs))[:8]
        folder = plan.cells / f"{name}-{rows.size}-seed{rows.seed}-{mark}"
        found[name] = sized.model_copy(update={"output": str(folder)})
    return found


def _sized(config: RunConfig, size: str, seed: int, test_seed: int) -> RunConfig:
    drawn = {"shots": None if size == ALL else int(size)}
    if config.data.test_seed is None:
        drawn["test_seed"] = test_seed  # every seed is measured on the same rows
    return config.model_copy(update={"seed": seed, "data": config.data.model_copy(update=drawn)})


def _row_set(plan: Plan, size: str, seed: int) -> RowSet:
    config = _sized(plan.any_config, size, seed, plan.seeds[0])
    task = plan.task.deciding_as(config.decision)
    with told_as_details():
        splits = load_splits(task, config.data, seed, plan.given)
    if size == plan.sizes[-1] and seed == plan.seeds[0]:
        for warning in splits.audit.warnings:
            log.warning(warning)
    inputs = inputs_of(None, splits)
    return RowSet(
        size,
        seed,
        inputs,
        _labelled(splits),
        len(splits.task.label_list()),
        len(splits.test),
        inputs[f"test rows of {task.name}"],
    )


def _labelled(splits: Splits) -> int:
    """Rows that somebody labelled; names of labels, which are learned from as texts, cost nothing."""
    return len(splits.validation) + int(np.sum(splits.train["file"].astype(str) != ORIGIN))


def _larger_ones(found: Mapping[str, RowSet]) -> list[str]:
    kept: list[str] = []
    for size, rows in found.items():
        if kept and rows.labelled <= found[kept[-1]].labelled:
            left_out = kept.pop() if size == ALL else size
            stands = size if size == ALL else kept[-1]
            log.warning(f"Left out: {size_name(left_out)}, which is no more rows than {size_name(stands)}.")
            kept += [ALL] if size == ALL else []
        else:
            kept.append(size)
    return kept
