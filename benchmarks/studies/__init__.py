"""Studies of transfer, one module each, run by `benchmarks/transfer.py`; and how their tables sum up seeds.

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
from typing import Any, Protocol, cast


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


def names() -> list[str]:
    """The studies there are, sorted."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__))


def load(name: str) -> Study:
    """A study's module."""
    return cast(Study, importlib.import_module(f"{__name__}.{name}"))


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


def paired(first: Sequence[float], second: Sequence[float], unit: float = 100.0) -> tuple[float, float | None]:
    """Mean difference `first - second` and the two-sided p of a paired t-test over the same seeds.

    Returns:
        (mean difference, p); p is None for fewer than two pairs or differences that are all the same.
    """
    from scipy.stats import ttest_rel

    differences = [unit * (a - b) for a, b in zip(first, second, strict=True)]
    mean = statistics.mean(differences)
    if len(differences) < 2 or len(set(differences)) == 1:
        return mean, None
    return mean, float(ttest_rel(first, second).pvalue)


def compared(name: str, first: Sequence[float], control: str, second: Sequence[float], unit: float = 100.0) -> str:
    """One sentence: whether a method did better than its control over the same seeds, and how sure that is."""
    difference, p = paired(first, second, unit)
    seeds = f"{len(first)} seed{'s' * (len(first) != 1)}"
    if p is None:
        return f"{name} against {control}: {difference:+.2f} ({seeds}; no test)."
    said = "better" if difference > 0 else "worse"
    verdict = said if p < 0.05 else "no clear difference"
    return f"{name} against {control}: {difference:+.2f} ({seeds}, paired t-test p = {p:.3f}): {verdict}."
