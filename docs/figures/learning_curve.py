"""Accuracy against rows per label on banking77: TF-IDF and the three modes; from benchmarks/learning_curve.py."""

from __future__ import annotations

import importlib.util
import statistics
import sys
from typing import Any

from drawing import BLUE, GREEN, GREY, HERE, INK, ORANGE, main
from matplotlib.figure import Figure

BENCHMARKS = HERE.parents[1] / "benchmarks"
# Name, colour and marker; and how far points stand aside, so that none hides another.
STYLES = {
    "full": ("full", BLUE, "o", 1.0),
    "lora": ("lora", GREEN, "s", 1.035),
    "feature_extraction": ("feature_extraction", ORANGE, "^", 0.965),
    "TF-IDF": ("TF-IDF, best of five", GREY, "D", 1.0),
}
ALL = 130
"""Rows per label on average, where all are used."""
SIZES = (2, 5, 10, 30, ALL)


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
        label, colour, marker, aside = STYLES[method]
        points = sorted((size or ALL, list(scores.values())) for size, scores in by_size.items())
        x = [size * aside for size, _ in points]
        means = [100 * statistics.mean(scores) for _, scores in points]
        spreads = [100 * statistics.stdev(scores) if len(scores) > 1 else 0.0 for _, scores in points]
        axes.errorbar(x, means, yerr=spreads, fmt="none", color=colour, linewidth=1.5, capsize=2.5)
        for i in range(len(points) - 1):
            whole = SIZES.index(points[i + 1][0]) - SIZES.index(points[i][0]) == 1
            line = "-" if whole else ":"  # dotted across a size that was not measured
            axes.plot(x[i : i + 2], means[i : i + 2], line, color=colour, linewidth=1.8)
        for place, mean, (_, scores) in zip(x, means, points, strict=True):
            filled = colour if len(scores) > 1 else "white"
            axes.plot([place], [mean], marker, color=colour, markerfacecolor=filled, markersize=5.5, zorder=3)
        ends.append((means[-1], label, colour))
    _label_ends(axes, ends)
    axes.set_xscale("log")
    axes.set(xlim=(1.7, 330), ylim=(40, 97), xlabel="labelled rows per label (77 labels)", ylabel="test accuracy, %")
    axes.set_xticks(SIZES, [*map(str, SIZES[:-1]), f"all (about {ALL})"])
    axes.minorticks_off()
    axes.grid(axis="y", color="#e4e8ec", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.set_title("banking77, bundled checkpoint, default settings", loc="left", fontsize=11, color=INK)
    figure.supxlabel(_draws(found), x=0.01, ha="left", fontsize=8.5, color=GREY)
    return figure


def _draws(found: dict[str, dict[int, dict[int, float]]]) -> str:
    """What a point stands for."""
    counts = {len(scores) for by_size in found.values() for scores in by_size.values()}
    several = [count for count in counts if count > 1]
    said = [f"Points: means of {min(several)} to {max(several)} draws of rows, bars: one standard deviation"]
    if 1 in counts:
        said.append("open: a single draw")
    if any(len(by_size) < len(SIZES) for by_size in found.values()):
        said.append("dotted: not measured in between")
    return "; ".join(said) + "."


def _label_ends(axes: Any, ends: list[tuple[float, str, str]]) -> None:
    """Each line's name beside its last point, pushed apart where they lie close."""
    place = 200.0
    for value, label, colour in sorted(ends, reverse=True):
        place = min(value + 1.6, place - 3.6)
        axes.annotate(label, (ALL * 1.1, place), fontsize=9.5, color=colour, va="center", linespacing=1.2)


if __name__ == "__main__":
    main(draw, __file__)
