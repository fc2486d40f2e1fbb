"""What domain adaptation did, for people: source only, adapted, oracle."""

from __future__ import annotations

from typing import Any

from rich.table import Table

from nlptl.reports.tables import shown
from nlptl.transfer.verdict import sentence

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


def adaptation_section(facts: dict[str, Any], metric: str) -> str:
    """A section of the model card."""
    there = [name for name in MODELS if facts[name] is not None]
    values = [f"{MODELS[name]} {shown(facts[name]['test'][metric])}" for name in there]
    doubts = "".join(f"\n- Sign of harm, seen without labels: {doubt}" for doubt in facts["doubts"])
    return f"""
## Domain adaptation
Adapted by `{facts["method"]}` to {facts["target_rows"]} texts of another domain, without their labels. Validation above
is the source's, test is the {facts["reported_on"]}'s.

- {metric} on test: {", ".join(values)}
- {sentence(facts)}{doubts}
"""
