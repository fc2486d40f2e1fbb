"""The table that compares the models of a domain adaptation: source only, adapted, oracle."""

from __future__ import annotations

from typing import Any

from rich.table import Table

from nlptl.evaluation.wording import shown

MODELS = {"source_only": "source only", "adapted": "adapted", "oracle": "oracle"}


def adaptation_table(facts: dict[str, Any]) -> Table:
    """The test metrics of the three models side by side.

    Args:
        facts: the section `adaptation` of a run's metrics.
    """
    title = f"Domain adaptation: {facts['method']}, test rows of the {facts['reported_on']}"
    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    table.add_column("metric")
    there = [name for name in MODELS if facts[name] is not None]
    for name in there:
        table.add_column(MODELS[name], justify="right")
    for metric in facts["adapted"]["test"]:
        table.add_row(metric, *(shown(facts[name]["test"][metric]) for name in there))
    return table
