"""Accuracy against rows per label on banking77: TF-IDF and the three modes; from benchmarks/learning_curve.py."""

from __future__ import annotations

import importlib.util
import statistics
import sys
from typing import Any

from drawing import BLUE, GREEN, GREY, HERE, INK, ORANGE, main
from matplotlib.figure import Figure

BENCHMARKS = HERE.parents[1] / "benchmarks"
# Name, colour, marker and line; and how far points stand aside, so that none hides another.
STYLES = {
    "full": ("full", BLUE, "o-", 1.0),
    "lora": ("lora", GREEN, "s-", 1.035),
    "feature_extraction": ("feature_extraction", ORANGE, "^-", 0.965),
    "TF-IDF": ("TF-IDF, the best of\nfive classical models", GREY, "D--", 1.0),
}
ALL = 130
"""Rows per label on average, where all are used."""


def curves() -> dict[str, dict[int, dict[int, float]]]:
    """Method -> rows per label -> seed -> accuracy, as the benchmark sums up its rows."""
    sys.path.insert(0, str(BENCHMARKS))
    spec = importlib.util.spec_from_file_location("measured_curve", BENCHMARKS / "learning_curve.py")
    assert spec is not None and spec.loader is not None
    benchmark = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(benchmark)
    found: dict[str, dict[int, dict[int, float]]] = benchmark.curves(benchmark.measured())
    return found


def draw() -> Any:
    figure = Figure(figsize=(8.0, 4.6), layout="constrained")
    axes = figure.add_subplot()
    ends = []
    found = curves()
    for method, by_size in found.items():
        label, colour, style, aside = STYLES[method]
        points = sorted((size or ALL, list(scores.values())) for size, scores in by_size.items())
        x = [size * aside for size, _ in points]
        means = [100 * statistics.mean(scores) for _, scores in points]
        spreads = [100 * statistics.stdev(scores) if len(scores) > 1 else 0.0 for _, scores in points]
        axes.errorbar(x, means, yerr=spreads, fmt=style, color=colour, markersize=5, linewidth=1.8, capsize=2.5)
        ends.append((means[-1], label, colour))
    _label_ends(axes, ends)
    axes.set_xscale("log")
    axes.set(xlim=(1.7, 330), ylim=(40, 97), xlabel="labelled rows per label (77 labels)", ylabel="test accuracy, %")
    axes.set_xticks([2, 5, 10, 30, ALL], ["2", "5", "10", "30", f"all (about {ALL})"])
    axes.minorticks_off()
    axes.grid(axis="y", color="#e4e8ec", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.set_title("banking77, bundled checkpoint, default settings", loc="left", fontsize=11, color=INK)
    figure.text(0.01, -0.0, _draws(found), ha="left", va="top", fontsize=8.5, color=GREY, linespacing=1.3)
    return figure


def _draws(found: dict[str, dict[int, dict[int, float]]]) -> str:
    """How many draws of rows each point is the mean of."""
    usual = 3
    others = [
        f"{STYLES[method][0].partition(',')[0]} with {f'{size} per label' if size else 'all rows'} {len(scores)}"
        for method, by_size in found.items()
        for size, scores in by_size.items()
        if len(scores) != usual
    ]
    return f"Points: means of {usual} draws of rows ({', '.join(others)}); bars: one standard deviation up and down."


def _label_ends(axes: Any, ends: list[tuple[float, str, str]]) -> None:
    """Each line's name beside its last point, pushed apart where they lie close."""
    place = 200.0
    for value, label, colour in sorted(ends, reverse=True):
        place = min(value + 1.6, place - 3.6)
        axes.annotate(label, (ALL * 1.1, place), fontsize=9.5, color=colour, va="center", linespacing=1.2)


if __name__ == "__main__":
    main(draw, __file__)
