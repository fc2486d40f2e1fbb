"""What domain adaptation did, for people: source only, adapted, oracle."""

from __future__ import annotations

from typing import Any

from rich.table import Table

from nlptl.evaluation.wording import shown

MODELS = {"source_only": "source only", "adapted": "adapted", "oracle": "oracle"}


def adaptation_table(facts: dict[str, Any]) -> Table:
    """Test metrics of the models side by side."""
    table = Table(title=f"Domain adaptation: {facts['method']}, test rows of the {facts['reported_on']}")
    table.title_justify = "left"
    table.add_column("metric")
    there = [name for name in MODELS if facts[name] is not None]
    for name in there:
        table.add_column(MODELS[name], justify="right")
    for metric in facts["adapted"]["test"]:
        table.add_row(metric, *(shown(facts[name]["test"][metric]) for name in there))
    return table
