"""What a `comparison.json` says: a number for each method, size and seed, and what they come to.

Only this is asked of the file, so that it may grow: a list `cells` of objects with `method`, `size` (rows, or rows per
label, or "all"), `seed` and the value on test, which stands under the metric's name in the cell or in its `test`, or
under `value`; and at its top `metric`. What else it says is shown where it is known: `task`, `sentences` or `verdicts`,
`command`, and in cells `rows` (training rows) and seconds.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from nlptl.errors import ArtifactError
from nlptl.evaluation.intervals import Interval
from nlptl.storage.json_files import read_json

FILE = "comparison.json"
EVERY = "all"
"""The size of all rows; the last one, whatever it comes to."""
FEWEST_SEEDS = 3


@dataclass(frozen=True)
class Cell:
    """One method at one size, over its seeds."""

    method: str
    size: str
    """As it was asked for."""
    rows: float
    """Training rows, for the axis; the size where the file does not say."""
    values: list[float]
    """On test, one for each seed."""
    seconds: float | None
    """Mean time of training."""

    @property
    def mean(self) -> float:
        """Over seeds."""
        return mean(self.values)

    @property
    def interval(self) -> Interval | None:
        """95 % over seeds (Student's t); None for fewer than three, or all the same."""
        from scipy.stats import t

        if len(self.values) < FEWEST_SEEDS or (spread := stdev(self.values)) == 0:
            return None
        half = float(t.ppf(0.975, len(self.values) - 1)) * spread / math.sqrt(len(self.values))
        return Interval(self.mean - half, self.mean + half)


@dataclass(frozen=True)
class ComparisonFacts:
    """Methods beside one another on the same rows."""

    path: Path
    task: str
    metric: str
    methods: list[str]
    """In the order of the file."""
    sizes: list[str]
    """Ascending."""
    cells: dict[tuple[str, str], Cell]
    """By method and size; one that was not trained has none."""
    sentences: list[str]
    command: str | None


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
        ArtifactError: it is damaged, or holds no finished cell.
    """
    file = path / FILE if path.is_dir() else path
    content = read_json(file)
    metric, cells = content.get("metric"), content.get("cells")
    if not isinstance(metric, str) or not isinstance(cells, list):
        raise ArtifactError(f"{file} is no comparison: it needs a metric, and a list of cells.")
    found: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for cell in cells:
        if isinstance(cell, dict) and _value(cell, metric) is not None and {"method", "size"} <= cell.keys():
            found.setdefault((str(cell["method"]), str(cell["size"])), []).append(cell)
    if not found:
        raise ArtifactError(f"{file} holds no finished cell. Go on with the comparison: nlptl compare ...")
    joined = {key: _joined(key, each, metric) for key, each in found.items()}
    sizes = sorted({size for _, size in found}, key=lambda size: (size == EVERY, _order(size, joined)))
    said = content.get("sentences") or content.get("verdicts") or []
    sentences = (
        [one.get("sentence") if isinstance(one, dict) else one for one in said] if isinstance(said, list) else []
    )
    command = content.get("command")
    return ComparisonFacts(
        file,
        str(content.get("task", "comparison")),
        metric,
        list(dict.fromkeys(method for method, _ in found)),
        sizes,
        joined,
        [one for one in sentences if isinstance(one, str)],
        command if isinstance(command, str) else None,
    )


def _value(cell: Mapping[str, Any], metric: str) -> float | None:
    test = cell.get("test")
    places = [test.get(metric) if isinstance(test, dict) else test, cell.get(metric), cell.get("value")]
    return next((float(value) for value in places if _is_number(value)), None)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _joined(key: tuple[str, str], cells: list[Mapping[str, Any]], metric: str) -> Cell:
    method, size = key
    rows = [float(cell["rows"]) for cell in cells if _is_number(cell.get("rows"))]
    given = float(size) if size.replace(".", "", 1).isdigit() else math.inf
    values = [value for cell in cells if (value := _value(cell, metric)) is not None]
    seconds = [seconds for cell in cells if (seconds := _seconds(cell)) is not None]
    return Cell(method, size, mean(rows) if rows else given, values, mean(seconds) if seconds else None)


def _seconds(cell: Mapping[str, Any]) -> float | None:
    time = cell.get("time")
    homes = [cell, time] if isinstance(time, dict) else [cell]
    names = ("training_seconds", "train_seconds", "total_seconds", "seconds")
    return next((float(home[name]) for home in homes for name in names if _is_number(home.get(name))), None)


def _order(size: str, cells: Mapping[tuple[str, str], Cell]) -> float:
    return min(cell.rows for (_, each), cell in cells.items() if each == size)
