"""A comparison from its plan to its facts: rows, cells, curves, verdicts, labels needed; then `comparison.json`."""

from __future__ import annotations

import logging
import os
import platform
from collections.abc import Sequence
from dataclasses import replace
from importlib.metadata import version
from typing import Any

import numpy as np

from nlptl.baselines.tuning import rank_of
from nlptl.comparison.cells import CellResult
from nlptl.comparison.curves import Point, curves_noted, point
from nlptl.comparison.extrapolation import labels_needed
from nlptl.comparison.grid import Failed, run_cells
from nlptl.comparison.plan import Plan, RowSet, cells_of, row_sets, size_name
from nlptl.comparison.result import FILE, Comparison
from nlptl.comparison.verdicts import Answered, crossovers, negative_transfer, pairs_of, reference_of
from nlptl.errors import ArtifactError, ConfigError, unknown
from nlptl.registry import METRICS
from nlptl.storage.json_files import write_json

log = logging.getLogger("nlptl")
FORMAT = 1


def compare(plan: Plan) -> Comparison | None:
    """Train what is missing of a comparison, and draw up what it says.

    Args:
        plan: what is compared on what.

    Returns:
        The comparison; None on processes besides the first, where several were launched.

    Raises:
        NlptlError: the data or the target cannot be used; nothing was trained. Cells that fail are noted in the
            comparison (`failed`) instead.
    """
    _check_target(plan)
    _check_folder(plan)
    rows = row_sets(plan)
    cells = cells_of(plan, rows)
    sizes, seeds = list(dict.fromkeys(each.size for each in rows)), len(plan.seeds)
    log.info(
        f"Comparing {len(plan.methods)} methods at {len(sizes)} sizes with {seeds} seed{'s' * (seeds != 1)}: "
        f"{len(cells)} cells, the same rows for each method; runs in {plan.cells}"
    )
    found = run_cells(plan, cells)
    if int(os.environ.get("RANK", "0")) > 0:
        return None
    plan.folder.mkdir(parents=True, exist_ok=True)
    comparison = Comparison(plan.folder, _facts(plan, rows, found))
    write_json(plan.folder / FILE, dict(comparison.facts))
    return comparison


def _facts(plan: Plan, rows: Sequence[RowSet], found: Sequence[CellResult | Failed]) -> dict[str, Any]:
    results = _timed([each for each in found if isinstance(each, CellResult)])
    metric, methods = plan.task.metric, plan.methods
    curves = _curves(plan, results, metric)
    pairs = pairs_of(_answered(plan, results, metric))
    reference = reference_of(methods)
    return {
        "format": FORMAT,
        "nlptl": version("nlptl"),
        "task": plan.task.name,
        "data": plan.any_config.data.source,
        "metric": metric,
        "methods": [{"name": each.name, "kind": each.kind, "help": each.help} for each in methods],
        "sizes": _sizes(rows),
        "seeds": list(plan.seeds),
        "labels": rows[0].labels,
        "test": {"rows": rows[0].test_rows, "digest": rows[0].test_digest},
        "row_sets": [{"size": each.size, "seed": each.seed, "inputs": dict(each.inputs)} for each in rows],
        "machine": {"kind": platform.machine(), "cores": os.cpu_count(), "devices": _devices(results)},
        "best_classical": reference,
        "cells": [*(each.noted() for each in results), *(each.noted() for each in found if isinstance(each, Failed))],
        "curves": curves_noted(curves),
        "costs": _costs(plan, results),
        "pairs": [pair.noted() for pair in pairs],
        "negative_transfer": negative_transfer(pairs, methods),
        "crossovers": [each.noted() for each in crossovers(pairs, methods)],
        "labels_needed": _labels_needed(plan, results, curves, metric, rows[0].labels),
    }


def _timed(results: Sequence[CellResult]) -> list[CellResult]:
    """The results with the speed of prediction that was measured for another seed of the same method and size."""
    places = {(each.cell.method.name, each.cell.rows.size): each.speed for each in results if each.speed is not None}
    return [replace(each, speed=places.get((each.cell.method.name, each.cell.rows.size))) for each in results]


def _devices(results: Sequence[CellResult]) -> list[str]:
    return sorted({str(each.metrics["runtime"]["device"]) for each in results})


def _curves(plan: Plan, results: Sequence[CellResult], metric: str) -> dict[str, list[Point]]:
    """Method -> its points in the order of the sizes."""
    curves: dict[str, list[Point]] = {}
    for method in plan.methods:
        for size in plan.sizes:
            here = [each for each in results if (each.cell.method, each.cell.rows.size) == (method, size)]
            if here and not np.isnan([each.value(metric) for each in here]).any():
                labelled = float(np.mean([each.cell.rows.labelled for each in here]))
                right = np.stack([each.right for each in here])
                answers = [each.answers for each in here]
                curves.setdefault(method.name, []).append(
                    point(size, labelled, metric, right, answers, _positive(plan, here[0]))
                )
    return curves


def _answered(plan: Plan, results: Sequence[CellResult], metric: str) -> list[Answered]:
    found = []
    for size in plan.sizes:
        for method in plan.methods:
            here = {
                each.cell.rows.seed: each
                for each in results
                if (each.cell.method, each.cell.rows.size) == (method, size)
            }
            if here:
                labelled = float(np.mean([each.cell.rows.labelled for each in here.values()]))
                right = {seed: each.right for seed, each in here.items()}
                ranks = {seed: rank_of(each.metrics["validation"], metric) for seed, each in here.items()}
                found.append(Answered(method, size, labelled, right, ranks))
    return found


def _costs(plan: Plan, results: Sequence[CellResult]) -> list[dict[str, Any]]:
    """What each method takes at each size: seconds of learning, bytes, and a thousand predictions."""
    found = []
    for method in plan.methods:
        for size in plan.sizes:
            here = [each for each in results if (each.cell.method, each.cell.rows.size) == (method, size)]
            if not here:
                continue
            noted = [each.noted() for each in here]
            speeds = [each["inference"]["seconds_per_thousand"] for each in noted if each["inference"]]
            thousand = speeds[0] if speeds else None
            price = None if thousand is None or plan.price_per_hour is None else plan.price_per_hour * thousand / 3600
            found.append(
                {
                    "method": method.name,
                    "size": size,
                    "learning_seconds": float(np.mean([each["learning_seconds"] for each in noted])),
                    "bytes": float(np.mean([each["bytes"]["own"] for each in noted])),
                    "bytes_with_checkpoint": float(np.mean([each["bytes"]["with_checkpoint"] for each in noted])),
                    "seconds_per_thousand": thousand,
                    "price_per_thousand": price,
                }
            )
    return found


def _labels_needed(
    plan: Plan, results: Sequence[CellResult], curves: dict[str, list[Point]], metric: str, labels: int
) -> list[dict[str, Any]]:
    if plan.target is None:
        return []
    name, value = plan.target
    wanted = curves if name == metric else _curves(plan, results, name)
    found = {method: labels_needed(points, name, value, labels) for method, points in wanted.items()}
    return [{"method": method, **each.noted(), "sentence": each.sentence(method)} for method, each in found.items()]


def _sizes(rows: Sequence[RowSet]) -> list[dict[str, Any]]:
    found = []
    for size in dict.fromkeys(each.size for each in rows):
        labelled = float(np.mean([each.labelled for each in rows if each.size == size]))
        found.append({"size": size, "name": size_name(size), "rows": labelled, "per_label": labelled / rows[0].labels})
    return found


def _positive(plan: Plan, result: CellResult) -> int | None:
    label = plan.task.positive_label
    names = list(result.metrics["test"]["per_class"])
    return names.index(label) if label in names else None


def _check_target(plan: Plan) -> None:
    if plan.target is None:
        return
    name, value = plan.target
    if name not in METRICS:
        raise ConfigError(unknown("metric", name, METRICS))
    if METRICS.get(name).needs_positive and plan.task.positive_label is None:
        raise ConfigError(f"The metric {name} needs a positive label, which task {plan.task.name} has not.")
    if not 0 < value < 1:
        raise ConfigError(f"The target {name}={value:g} is no share between 0 and 1. Write for example {name}=0.9.")


def _check_folder(plan: Plan) -> None:
    folder = plan.folder
    if not folder.exists() or (folder.is_dir() and (not any(folder.iterdir()) or (folder / FILE).is_file())):
        return
    if not folder.is_dir() or not (folder / plan.cells.name).is_dir() or plan.cells.parent != folder:
        raise ArtifactError(f"{folder} exists and holds no comparison. Choose another --output.")
