"""How a run shows itself in a notebook."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def splits_html(metrics: dict[str, Any], shown: Sequence[str]) -> str:
    """A table with a row for validation and one for test.

    Args:
        metrics: of a run or of one of its tasks.
        shown: names of the metrics that get a column.
    """
    rows = ""
    for split in ("validation", "test"):
        values = metrics.get(split, {})
        cells = "".join(f"<td>{_shown(values.get(name))}</td>" for name in shown)
        rows += f"<tr><th>{split}</th>{cells}</tr>"
    names = "".join(f"<th>{name.replace('macro_f1', 'macro F1')}</th>" for name in shown)
    return f"<table><tr><th></th>{names}</tr>{rows}</table>"


def _shown(value: Any) -> str:
    return f"{value:.4f}" if isinstance(value, float) else str(value)
