"""Studies, one module each; and how their tables sum up seeds.

Those in this folder are run by `benchmarks/transfer.py`, those in its folder `evidence` by `benchmarks/evidence.py`; no
two have the same name.

A study is a module with
    TITLE: str
    cases(quick) -> what identifies each row, with its seed, as JSON values
    measure(root, case) -> the numbers of one case; depends on no other case
    table(rows) -> Markdown; `rows` hold the case and its numbers
"""

from __future__ import annotations

import importlib
import pkgutil
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol, cast

EVIDENCE = "evidence"
"""The folder of the studies of evidence and decisions."""


class Study(Protocol):
    """What the runner asks of a study's module."""

    TITLE: str

    def cases(self, quick: bool) -> list[dict[str, Any]]:
        """What identifies each row; `quick`: few and small ones that show that the study runs."""

    def measure(self, root: Path, case: dict[str, Any]) -> dict[str, Any]:
        """The numbers of one case.

        Args:
            root: one folder per public data set.
            case: one of `cases`.
        """

    def table(self, rows: list[dict[str, Any]]) -> str:
        """Markdown: means, spreads, seeds, paired tests, and plain words where something does not help."""


def names(collection: str = "") -> list[str]:
    """The studies there are, sorted: of this folder, or of the one in it that is called so."""
    folders = [str(Path(path) / collection) for path in __path__]
    return sorted(module.name for module in pkgutil.iter_modules(folders) if not module.ispkg)


def load(name: str) -> Study:
    """A study's module."""
    collection = "" if name in names() else f"{EVIDENCE}."
    return cast(Study, importlib.import_module(f"{__name__}.{collection}{name}"))


def mean_and_spread(values: Sequence[float], unit: float = 100.0) -> str:
    """`91.23 ± 0.45`: mean and sample standard deviation; `-` for no values, no spread for one.

    Args:
        values: one per seed.
        unit: factor; 100 shows fractions as percent.
    """
    if not values:
        return "-"
    scaled = [unit * value for value in values]
    spread = f" ± {statistics.stdev(scaled):.2f}" if len(scaled) > 1 else ""
    return f"{statistics.mean(scaled):.2f}{spread}"


class Comparison(NamedTuple):
    """A method beside its control, on the same seeds in the same order."""

    name: str
    first: Sequence[float]
    control: str
    second: Sequence[float]


def compared(comparisons: Sequence[Comparison], unit: float = 100.0) -> list[str]:
    """A sentence for each: whether the method did better than its control, and how sure that is.

    Args:
        comparisons: all those that stand side by side in a table; p is corrected for their number (Holm 1979).
        unit: factor; 100 shows fractions as points.
    """
    from nlptl.evaluation.significance import corrected, over_seeds, sentence

    found = corrected([over_seeds(one.first, one.second) for one in comparisons])
    return [sentence(one.name, one.control, each, unit) for one, each in zip(comparisons, found, strict=True)]
