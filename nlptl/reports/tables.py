"""Tables for the terminal."""

from __future__ import annotations

from typing import Any

from rich.table import Table

from nlptl.evaluation.wording import decision_title, shown, with_interval


def results_table(metrics: dict[str, Any]) -> Table:
    """The metrics of a run on validation and test, side by side.

    Args:
        metrics: those of the run, by split.
    """
    table = Table(title="Results", title_justify="left", box=None, pad_edge=False)
    table.add_column("metric")
    splits = [split for split in ("validation", "test") if split in metrics]
    for split in splits:
        table.add_column(split, justify="right")
    skipped = ("per_class", "confusion_matrix", "calibration", "decided", "audit", "alerts", "out_of_scope")
    for name in metrics[splits[-1]]:
        if name not in skipped:
            table.add_row(name, *(shown(metrics[split].get(name)) for split in splits))
    policy = metrics[splits[-1]].get("decided")
    if policy and policy["policy"] != "argmax":
        for budget in metrics[splits[-1]].get("alerts", {}).get("recall_at", {}):
            cells = [_recall(metrics[split].get("alerts", {}).get("recall_at", {}).get(budget)) for split in splits]
            table.add_row(f"recall at {budget} alerts per 1000", *cells)
        for name in ("accuracy", "macro_f1", "micro_f1", "in_scope_kept", "out_of_scope_recall"):
            if policy.get(name) is not None:
                label = f"{name} as decided ({policy['policy']})"
                table.add_row(label, *(shown(metrics[split]["decided"].get(name)) for split in splits))
    _add_scope(table, [metrics[split].get("out_of_scope", {}) for split in splits])
    return table


def _add_scope(table: Table, splits: list[dict[str, Any]]) -> None:
    """How well a scorer tells texts out of scope apart, and what each road finds, where the decision goes by one."""
    for name in ("auroc", "aupr_in", "aupr_out", "fpr_at_95_in_scope"):
        if splits[-1].get(name) is not None:
            table.add_row(f"{name} of the scorer", *(_noted(split.get(name)) for split in splits))
    roads = splits[-1].get("roads", {})
    for road in roads if len(roads) > 1 else ():
        found = [split.get("roads", {}).get(road, {}).get("out_of_scope_recall") for split in splits]
        table.add_row(f"out_of_scope_recall by {road}", *map(_noted, found))


def _noted(found: dict[str, Any] | None) -> str:
    return "-" if found is None else "{} [{}, {}]".format(shown(found["value"]), *map(shown, found["interval"]))


def _recall(found: dict[str, Any] | None) -> str:
    return "-" if found is None else "{} [{}, {}]".format(shown(found["recall"]), *map(shown, found["interval"]))


def decisions_table(metrics: dict[str, Any]) -> Table:
    """How far probabilities can be trusted, and what the decisions are worth, on validation and test.

    Args:
        metrics: of the run, or of one of its tasks.
    """
    table = Table(title=decision_title(metrics["test"]), title_justify="left", box=None, pad_edge=False)
    for column in ("", "validation", "test"):
        table.add_column(column, justify="right" if column else "left")
    splits = [metrics[split] for split in ("validation", "test")]
    table.add_row("rows", *(str(split["rows"]) for split in splits))
    for name, said in (("ece", "calibration error"), ("brier", "Brier score"), ("log_loss", "log-loss")):
        for when in ("before", "after"):
            table.add_row(f"{said}, {when}", *(shown(split["calibration"][when][name]) for split in splits))
    for name, value in splits[1]["decided"].items():
        if name not in ("policy", "note", "per_class") and not name.endswith("interval") and value is not None:
            cells = [with_interval(split["decided"], name) for split in splits]
            table.add_row(name.replace("_", " "), *cells)
    _add_scope(table, [split.get("out_of_scope", {}) for split in splits])
    return table


def comparison_table(tasks: dict[str, Any]) -> Table:
    """The tasks of one run, and beside each the same task trained alone, where that was measured.

    Args:
        tasks: the section `tasks` of the run's metrics.
    """
    table = Table(
        title="Tasks together and alone (primary metric on test)", title_justify="left", box=None, pad_edge=False
    )
    for column in ("task", "metric", "together", "alone", "difference", "forgetting on validation"):
        table.add_column(column, justify="left" if column in ("task", "metric") else "right")
    for name, facts in tasks.items():
        difference = facts.get("difference", {}).get("test")
        table.add_row(
            name,
            facts["metric"],
            shown(facts["test"][facts["metric"]]),
            shown(facts.get("alone", {}).get("test")),
            "-" if difference is None else f"{difference:+.4f}",
            shown(facts.get("forgetting")),
        )
    return table


def time_table(metrics: dict[str, Any]) -> Table:
    """The seconds that each part of a run took, and the rates of its work."""
    table = Table(title="Time and work", title_justify="left", box=None, pad_edge=False)
    table.add_column("part")
    table.add_column("", justify="right")
    for name, value in metrics["time"].items():
        if value is not None:
            table.add_row(name.replace("_", " "), f"{value:.2f}")
    return table


def per_class_table(report: dict[str, Any], most: int = 20) -> Table:
    """Precision, recall and F1 of each label, the lowest F1 first; for several labels a text, as decided.

    Args:
        report: the metrics of one split.
        most: the largest number of labels that are shown.
    """
    table = Table(title=f"Labels, lowest F1 first (at most {most})", title_justify="left", box=None, pad_edge=False)
    for column in ("label", "precision", "recall", "f1", "rows"):
        table.add_column(column, justify="left" if column == "label" else "right")
    labels = report["decided"].get("per_class", report["per_class"])
    worst = sorted(labels.items(), key=lambda item: item[1]["f1"])
    for label, values in worst[:most]:
        table.add_row(label, *(shown(values[name]) for name in ("precision", "recall", "f1", "rows")))
    return table


def rows_table(rows: list[dict[str, Any]], title: str) -> Table:
    """A table of records that have the same keys, which become the head of the table."""
    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    for name in rows[0]:
        table.add_column(name.replace("_", " "), justify="left" if isinstance(rows[0][name], str) else "right")
    for row in rows:
        table.add_row(*(shown(value) for value in row.values()))
    return table
