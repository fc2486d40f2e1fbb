"""Comparing methods on the same rows, over sizes and seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nlptl.baselines.comparison import baseline_config
from nlptl.comparison.compare import compare as compare_plan
from nlptl.comparison.methods import Method, methods_of
from nlptl.comparison.plan import Plan, sizes_of
from nlptl.comparison.result import Comparison
from nlptl.config.keywords import settings_by_key, suggests
from nlptl.config.overrides import merge_settings, validated
from nlptl.config.rules import broken_rule
from nlptl.config.run import RunConfig
from nlptl.config.situation import Rule
from nlptl.data.given import data_of_one_task
from nlptl.errors import ConfigError, NlptlError, joined
from nlptl.registry import BASELINES
from nlptl.reports.comparison_plots import write_figures
from nlptl.storage.identity import identity
from nlptl.storage.paths import user_path
from nlptl.verbs.request import checked_config, find_tasks_of, present, situation_of

PARENT = "comparisons"
"""Where comparisons lie that no folder is named for."""
DECIDED = {
    "mode": "it is what the methods compare (methods)",
    "strategy": "it is what the methods compare (methods)",
    "baseline.model": "it is what the methods compare (methods)",
    "baseline.compare": "classical models are methods (tfidf)",
    "model.weights": "random weights are a method (scratch)",
    "model.head_start": "a head that is kept belongs to one run (nlptl train)",
    "data.shots": "rows per label are the sizes",
    "data.target": "domains are compared by `nlptl adapt --domains`",
    "data.target_test": "domains are compared by `nlptl adapt --domains`",
    "via.sources": "going via other data is compared by `nlptl train --via`",
    "output": "the folder is that of the comparison",
}
"""Settings that the comparison itself decides -> why nobody else can."""


@suggests(RunConfig)
def compare(
    task: str,
    *,
    methods: str | Sequence[str] | None = None,
    sizes: str | int | Sequence[str | int] | None = None,
    seeds: int = 3,
    data: Any = None,
    validation: Any = None,
    test: Any = None,
    checkpoint: str | Path | None = None,
    text_column: str | int | Sequence[str | int] | None = None,
    label_column: str | int | None = None,
    label_map: Mapping[Any, Any] | None = None,
    target: Mapping[str, float] | str | None = None,
    price_per_hour: float | None = None,
    seed: int | None = None,
    tasks_dir: str | Path | None = None,
    output: str | Path | None = None,
    cells: str | Path | None = None,
    settings: Mapping[str, Any] | None = None,
) -> Comparison | None:
    """Compare methods at several numbers of labels, on the same rows and over several seeds, and say who wins where.

    Each cell of the grid methods x sizes x seeds is an ordinary run in a folder of its own; a finished one is never
    repeated, so that the same call goes on where an earlier one was stopped. Differences are tested in pairs, over
    seeds and test rows, with Holm's correction for all pairs and sizes.

    Args:
        task: name of a registered task.
        methods: names, or one text with commas between them: tfidf (the best classical model on validation), a
            classical model by its own name, scratch (random weights), a mode, a strategy. None: tfidf,
            feature_extraction, lora and full. `full` fine-tunes at every size; `contrastive` is what `nlptl.train`
            takes by default up to 50 rows per label.
        sizes: rows per label, or `all`; None: 8, 32, 128, 512 and all. Those that hold no more rows than a smaller one
            are left out.
        seeds: how many, from `seed` on. From three on differences are tested.
        data, validation, test, checkpoint, text_column, label_column, label_map, tasks_dir: as `train`.
        target: a metric and its value, as `{"accuracy": 0.9}` or `"accuracy=0.9"`: how many labels it takes is told
            for each method from a power law, and where that cannot be told, why.
        price_per_hour: of this machine; then costs are told in money as well.
        seed: the first one; it also cuts the test rows, which all seeds share.
        output: a folder for `comparison.json` and, unless `cells` says otherwise, the runs. None: one in
            `comparisons/` that the same call finds again.
        cells: a folder for the runs, which comparisons share. None: `cells` in `output`, or in `comparisons/`.
        settings: any other setting by dotted key, for those methods that read it, for example
            `{"training.epochs": 2}`.

    Returns:
        The comparison; None on processes besides the first, where several were launched.

    Raises:
        NlptlError: something asked for cannot be done; nothing was trained. A cell that fails while the others go on
            is in `failed` of the comparison.
    """
    keywords = {
        "task": task,
        "checkpoint": checkpoint,
        "text_column": text_column,
        "label_column": label_column,
        "label_map": label_map,
        "seed": seed,
        "tasks_dir": tasks_dir,
    }
    values, faults = settings_by_key(keywords, settings)
    sources, given = data_of_one_task(data, validation, test)
    values |= present(sources)
    plan = plan_of(
        values,
        given,
        methods=methods,
        sizes=sizes,
        seeds=seeds,
        target=target,
        price_per_hour=price_per_hour,
        output=output,
        cells=cells,
        faults=faults,
    )
    return run_plan(plan)


def run_plan(plan: Plan) -> Comparison | None:
    """Carry a plan out, and draw its figures; returns and raises as `compare`."""
    comparison = compare_plan(plan)
    if comparison is not None:
        write_figures(comparison)
    return comparison


def plan_of(
    values: Mapping[str, Any],
    given: Any = None,
    *,
    methods: str | Sequence[str] | None = None,
    sizes: str | int | Sequence[str | int] | None = None,
    seeds: int = 3,
    target: Mapping[str, float] | str | None = None,
    price_per_hour: float | None = None,
    output: str | Path | None = None,
    cells: str | Path | None = None,
    faults: Sequence[NlptlError] = (),
) -> Plan:
    """What a call or a command asks for, checked; arguments as `compare`, with the settings by dotted key.

    Raises:
        NlptlError: every fault of the settings.
    """
    if seeds < 1:
        raise ConfigError(f"A comparison needs a seed or more; given: {seeds}.")
    if price_per_hour is not None and not price_per_hour > 0:
        raise ConfigError(f"The price of an hour is more than 0; given: {price_per_hour:g}.")
    chosen = methods_of(_parts(methods))
    wanted = sizes_of(_parts(sizes))
    configs = _configs_of(chosen, values, faults)
    first = next(iter(configs[chosen[0].name].values()))
    asked = {"methods": [each.name for each in chosen], "sizes": wanted, "seeds": seeds}
    mark = identity(**asked, settings=_plain(configs))[:8]
    folder = user_path(output) if output is not None else Path(PARENT) / f"{first.task}-{mark}"
    home = folder if output is not None else Path(PARENT)
    return Plan(
        chosen,
        configs,
        wanted,
        range(first.seed, first.seed + seeds),
        folder,
        home / "cells" if cells is None else user_path(cells),
        given,
        _target(target),
        price_per_hour,
    )


def _configs_of(
    methods: Sequence[Method], values: Mapping[str, Any], faults: Sequence[NlptlError]
) -> dict[str, dict[str, RunConfig]]:
    """The settings of every run of every method: those given that it reads, and its own.

    Raises:
        NlptlError: a setting is wrong, is the comparison's own to decide, or is read by no method.
    """
    asked = {key: value for key, value in values.items() if value is not None}
    own = [ConfigError(f"{key} cannot be set: {why}.") for key, why in DECIDED.items() if key in asked]
    if own or faults:
        raise joined("The comparison", [*faults, *own])
    unread: dict[str, Rule] = {}
    read: set[str] = set()
    configs: dict[str, dict[str, RunConfig]] = {}
    for method in methods:
        configs[method.name] = {}
        for name, settings in method.runs.items():
            without = _without_effect({**asked, **settings}) if asked.keys() - {"task"} else {}
            unread |= {key: why for key, why in without.items() if key in asked}
            kept = {key: value for key, value in asked.items() if key not in without}
            read |= kept.keys()
            config = checked_config(None, {**kept, **settings})
            configs[method.name][name] = baseline_config(config, name, None) if name in BASELINES else config
    useless = [key for key, rule in unread.items() if key not in read and not rule.harmless]
    if useless:
        names = ", ".join(method.name for method in methods)
        said = [f"{key} would have no effect on any method ({names}). Leave it out." for key in useless]
        raise joined("The comparison", [ConfigError(each) for each in said])
    return configs


def _without_effect(values: Mapping[str, Any]) -> dict[str, Rule]:
    """Settings that a run does not read -> the rule that says so."""
    merged, wrong = merge_settings(RunConfig, None, values)
    tasks, missing = find_tasks_of(merged)
    config = validated(RunConfig, merged, None, [*wrong, *missing])
    situation = situation_of(config, tasks)
    rules = {key: broken_rule(key, situation) for key in values}
    return {key: rule for key, rule in rules.items() if rule is not None}


def _plain(configs: Mapping[str, Mapping[str, RunConfig]]) -> dict[str, Any]:
    return {name: {run: config.deciding("run") for run, config in each.items()} for name, each in configs.items()}


def _parts(given: str | int | Sequence[str | int] | None) -> list[str] | None:
    """A list, or a text with commas, as a list."""
    if given is None:
        return None
    if isinstance(given, str):
        return [part.strip() for part in given.split(",") if part.strip()]
    return [str(given)] if isinstance(given, int) else [str(part) for part in given]


def _target(given: Mapping[str, float] | str | None) -> tuple[str, float] | None:
    if given is None:
        return None
    items = [tuple(given.split("=", 1))] if isinstance(given, str) else list(given.items())
    try:
        ((name, value),) = items
        return str(name).strip(), float(value)
    except (TypeError, ValueError) as error:
        raise ConfigError(
            f"The target {given!r} is not a metric and its value. Write for example accuracy=0.9."
        ) from error
