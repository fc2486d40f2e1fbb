"""How a run shows itself in a terminal and in a notebook."""

from __future__ import annotations

from typing import Any


def test_result(metrics: dict[str, Any]) -> str:
    """Accuracy on test, or of several tasks the mean of their metrics.

    Args:
        metrics: of a run or of one of its tasks.
    """
    test = metrics.get("test", {})
    named = "mean" if "mean" in test else "accuracy"
    return f"test {named} {test.get(named)}"


def splits_html(metrics: dict[str, Any]) -> str:
    """A table with a row for validation and one for test.

    Args:
        metrics: of a run or of one of its tasks.
    """
    test = metrics.get("test", {})
    columns = list(test) if "mean" in test else ["rows", "accuracy", "macro_f1", "loss"]
    rows = ""
    for split in ("validation", "test"):
        values = metrics.get(split, {})
        cells = "".join(f"<td>{_shown(values.get(name))}</td>" for name in columns)
        rows += f"<tr><th>{split}</th>{cells}</tr>"
    names = "".join(f"<th>{name.replace('macro_f1', 'macro F1')}</th>" for name in columns)
    return f"<table><tr><th></th>{names}</tr>{rows}</table>"


def _shown(value: Any) -> str:
    return f"{value:.4f}" if isinstance(value, float) else str(value)
