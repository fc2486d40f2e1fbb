"""What a `comparison.json` says: curves with bands, costs, and verdicts in words.

Only this is asked of the file, so that it may grow: `metric`, and `curves`, a list of points with `method`, `size`,
labelled `rows`, the `mean` of the metric on test, its band `low` to `high`, and the `values` of the seeds. What else is
known is shown where it is there: `task`, `methods`, `costs`, cells that failed, and the lists of verdicts.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeGuard

from nlptl.errors import ArtifactError
from nlptl.evaluation.intervals import Interval
from nlptl.storage.json_files import read_json

FILE = "comparison.json"
EVERY = "all"
"""The size of all rows; the last one, whatever it comes to."""
VERDICTS = ("crossovers", "negative_transfer", "labels_needed", "pairs")
"""Lists of sentences, or of objects with a `sentence`; the most telling ones first."""


@dataclass(frozen=True)
class Point:
    """One method at one size."""

    rows: float
    """Labelled rows."""
    mean: float
    """Of the metric on test, over seeds."""
    band: Interval | None
    """95 %, over seeds and test rows."""
    seeds: int | None


@dataclass(frozen=True)
class ComparisonFacts:
    """Methods beside one another on the same rows."""

    path: Path
    task: str
    metric: str
    methods: list[str]
    """In the order of the file."""
    sizes: list[str]
    """Ascending, all rows last."""
    points: dict[tuple[str, str], Point]
    """By method and size; one that was not trained has none."""
    costs: dict[tuple[str, str], Mapping[str, Any]]
    """By method and size: seconds and bytes."""
    sentences: dict[str, list[str]]
    """By one of VERDICTS."""
    failed: int
    """Trainings that failed."""


def is_comparison(path: Path) -> bool:
    """Whether it is the file of a comparison, or a folder with one and without a run."""
    if path.is_dir():
        return (path / FILE).is_file() and not (path / "manifest.json").is_file()
    return path.suffix == ".json"


def read_comparison(path: Path) -> ComparisonFacts:
    """The facts of a comparison.

    Args:
        path: of the file, or of the folder that it lies in.

    Raises:
        ArtifactError: it is damaged, or holds no finished method.
    """
    file = path / FILE if path.is_dir() else path
    content = read_json(file)
    metric = content.get("metric")
    if not isinstance(metric, str) or not isinstance(content.get("curves"), list):
        raise ArtifactError(f"{file} is no comparison: it needs a metric, and curves.")
    points = {key: point for key, each in _keyed(content["curves"]) if (point := _point(each)) is not None}
    if not points:
        raise ArtifactError(f"{file} holds no finished method. Give the command of the comparison again to go on.")
    sizes = {size for _, size in points}
    named = [one["name"] for one in _objects(content.get("methods")) if isinstance(one.get("name"), str)]
    there = dict.fromkeys(method for method, _ in points)
    return ComparisonFacts(
        file,
        str(content.get("task", "comparison")),
        metric,
        [method for method in dict.fromkeys([*named, *there]) if method in there],
        sorted(sizes, key=lambda size: (size == EVERY, min(p.rows for (_, each), p in points.items() if each == size))),
        points,
        dict(_keyed(content.get("costs"))),
        {name: list(_sentences(content.get(name))) for name in VERDICTS},
        sum(cell.get("status") == "failed" for cell in _objects(content.get("cells"))),
    )


def _objects(found: Any) -> list[Mapping[str, Any]]:
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []


def _keyed(found: Any) -> Iterator[tuple[tuple[str, str], Mapping[str, Any]]]:
    for each in _objects(found):
        if "method" in each and "size" in each:
            yield (str(each["method"]), str(each["size"])), each


def _point(found: Mapping[str, Any]) -> Point | None:
    if not (is_number(found.get("mean")) and is_number(found.get("rows"))):
        return None
    low, high, values = found.get("low"), found.get("high"), found.get("values")
    band = None if low is None or high is None else Interval(float(low), float(high))
    seeds = len(values) if isinstance(values, list) else None
    return Point(float(found["rows"]), float(found["mean"]), band, seeds)


def is_number(value: Any) -> TypeGuard[float]:
    """Whether it is a finite number, and no truth value."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _sentences(found: Any) -> Iterator[str]:
    for each in found if isinstance(found, list) else []:
        said = each.get("sentence") if isinstance(each, dict) else each
        if isinstance(said, str):
            yield said
