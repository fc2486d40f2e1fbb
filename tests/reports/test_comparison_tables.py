"""Tables and figures of a comparison from its facts alone."""

from __future__ import annotations

import builtins
import io
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from nlptl.comparison.result import Comparison
from nlptl.errors import MissingExtraError
from nlptl.reports.comparison import costs_table, curves_table
from nlptl.reports.comparison_plots import plot_curves, plot_time, write_figures


def facts(price: float | None = None) -> dict[str, Any]:
    sizes, methods = ("8", "all"), {"tfidf": "classical", "lora": "transfer"}
    cost = {"learning_seconds": 2.0, "bytes": 3e6, "bytes_with_checkpoint": 9.4e7, "seconds_per_thousand": 2.5}
    return {
        "task": "sentiment",
        "metric": "accuracy",
        "methods": [{"name": name, "kind": kind, "help": ""} for name, kind in methods.items()],
        "sizes": [
            {"size": size, "name": size, "rows": 16.0 * (i + 1), "per_label": 8.0} for i, size in enumerate(sizes)
        ],
        "seeds": [0, 1, 2],
        "test": {"rows": 550, "digest": "x"},
        "curves": [
            {"method": name, "size": size, "rows": 16.0 * (i + 1), "mean": 0.8, "low": 0.75, "high": 0.85}
            for name in methods
            for i, size in enumerate(sizes)
            if (name, size) != ("lora", "all")
        ],
        "costs": [{"method": n, "size": s, **cost, "price_per_thousand": price} for n in methods for s in sizes],
    }


def printed(table: Any) -> str:
    console = Console(file=io.StringIO(), width=160)
    console.print(table)
    return console.file.getvalue()


def test_tables_have_a_line_per_method_and_a_gap_where_nothing_finished():
    comparison = Comparison(Path(), facts())
    table = curves_table(comparison)
    assert table.title == "accuracy on 550 test rows in percent (95 % band over 3 seeds and the rows)"
    table.title = None
    lines = printed(table).splitlines()
    assert "8 per label" in lines[0]
    assert lines[1].split() == ["tfidf", "80.0", "(75.0-85.0)", "80.0", "(75.0-85.0)"]
    assert lines[2].split() == ["lora", "80.0", "(75.0-85.0)", "-"]
    assert "price" not in printed(costs_table(comparison))
    priced = printed(costs_table(Comparison(Path(), facts(0.0013))))
    assert priced.splitlines()[-1].split() == [
        "lora", "all", "rows", "2.0", "s", "2.50", "s", "0.0013", "3.0", "MB", "94.0", "MB",
    ]  # fmt: skip


def test_figures_show_every_method(tmp_path):
    comparison = Comparison(tmp_path, facts())
    for plot in (plot_curves, plot_time):
        (axes,) = plot(comparison).axes
        assert [text.get_text() for text in axes.get_legend().get_texts()] == ["tfidf", "lora"]
        assert [line.get_linestyle() for line in axes.get_lines()] == ["--", "-"]
    drawn = write_figures(comparison)
    assert sorted(path.name for path in drawn) == ["curves.png", "curves.svg", "time.png", "time.svg"]
    assert all(path.stat().st_size > 1000 for path in drawn)


def test_without_matplotlib_the_comparison_stays_and_the_extra_is_named(monkeypatch, tmp_path, caplog):
    real = builtins.__import__

    def without(name, *arguments, **keywords):
        if name.startswith("matplotlib"):
            raise ImportError(name)
        return real(name, *arguments, **keywords)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingExtraError, match=r"nlptl\[plots\]"):
        plot_curves(Comparison(tmp_path, facts()))
    assert write_figures(Comparison(tmp_path, facts())) == []
    assert "No figures were drawn" in caplog.text
