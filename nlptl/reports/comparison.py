"""Tables of a comparison."""

from __future__ import annotations

from rich.table import Table

from nlptl.comparison.plan import size_name
from nlptl.comparison.result import Comparison
from nlptl.storage.sizes import show_size, show_span


def curves_table(comparison: Comparison) -> Table:
    """Mean of the metric on test by method and size, with the 95 % band, in percent."""
    rows = comparison.facts["test"]["rows"]
    title = (
        f"{comparison.metric} on {rows} test rows in percent (95 % band over {len(comparison.facts['seeds'])} seeds "
        "and the rows)"
    )
    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    table.add_column("method")
    for size in comparison.sizes:
        table.add_column(size_name(size), justify="right")
    for method in comparison.methods:
        points = [comparison.point(method, size) for size in comparison.sizes]
        values = [
            "-" if p is None else f"{100 * p['mean']:.1f} ({100 * p['low']:.1f}-{100 * p['high']:.1f})" for p in points
        ]
        table.add_row(method, *values)
    return table


def costs_table(comparison: Comparison) -> Table:
    """What each method took at the largest size that it finished: learning, a thousand predictions, disk."""
    price = any(cost["price_per_thousand"] is not None for cost in comparison.facts["costs"])
    table = Table(title="Cost on this machine", title_justify="left", box=None, pad_edge=False)
    table.add_column("method")
    for name in (
        "at",
        "learning",
        "1000 predictions",
        *(["price of 1000"] if price else []),
        "own files",
        "with checkpoint",
    ):
        table.add_column(name, justify="left" if name == "at" else "right")
    for method in comparison.methods:
        costs = [cost for cost in comparison.facts["costs"] if cost["method"] == method]
        if costs:
            last = costs[-1]
            thousand, paid = last["seconds_per_thousand"], last["price_per_thousand"]
            table.add_row(
                method,
                size_name(last["size"]),
                show_span(last["learning_seconds"]),
                "-" if thousand is None else f"{thousand:.2f} s",
                *([] if not price else ["-" if paid is None else f"{paid:.2g}"]),
                show_size(round(last["bytes"])),
                show_size(round(last["bytes_with_checkpoint"])),
            )
    return table
