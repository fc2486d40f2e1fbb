"""What a run's numbers come to, in sentences; with each statement of a difference stands what it rests on."""

from __future__ import annotations

import numpy as np

from nlptl.evaluation.intervals import Interval
from nlptl.evaluation.wording import shown, titled
from nlptl.reports.facts.confusions import confused_pairs
from nlptl.reports.facts.curves import Reliability
from nlptl.reports.facts.rows import TestRows
from nlptl.reports.facts.run import Part

FEW_ROWS, FEW_OF_A_LABEL = 200, 10
FAR_OFF = 0.05
"""Distance of probabilities and shares right, without chance, from which on it is named."""
MOST_NAMED = 5


def with_interval(value: float | None, interval: Interval | None) -> str:
    """A number, and its 95 % interval where there is one."""
    return shown3(value) + (f" (95 % interval {interval})" if interval is not None else "")


def shown3(value: float | None) -> str:
    """Three decimals: more would be noise on most test splits."""
    if value is None or not np.isfinite(value):
        return "-"
    return f"{value:.3f}" if isinstance(value, float) else shown(value)


def found_sentences(part: Part, rows: TestRows | None, reliability: Reliability | None) -> list[str]:
    """What was found, the main thing first."""
    test, metric = part.report["test"], part.task.metric
    interval = part.intervals["test"].get(metric)
    said = [f"{titled(metric)} is {with_interval(test[metric], interval)} on {test['rows']:,} test rows."]
    if (constant := _constant_answer(part)) is not None:
        said.append(constant)
    said += [_decided(part, rows)] if rows is not None else []
    if reliability is not None and reliability.said:
        said.append(
            f"Probabilities differ from shares that are right by {100 * reliability.error:.1f} points on average over "
            f"{len(reliability.said)} groups of rows; without what chance adds, by {100 * reliability.debiased:.1f}."
        )
    return said


def _decided(part: Part, rows: TestRows) -> str:
    """What `predict` answers, by the decision policy."""
    right, count = int(rows.right.sum()), len(rows.right)
    if part.policy.gives_sets:
        return f"As predict answers, with sets of labels, {right:,} of {count:,} sets hold the right label."
    left = f", {rows.unanswered:,} are left unanswered" if rows.unanswered else ""
    wrong = f"{rows.wrong:,} {'is' if rows.wrong == 1 else 'are'} wrong{left}"
    return (
        f"As predict answers, by the policy {part.policy.policy}, {right:,} of {count:,} test rows are right; {wrong}."
    )


def look_sentences(part: Part, reliability: Reliability | None) -> list[str]:
    """What deserves a look before the run is relied on."""
    test, said = part.report["test"], []
    if test["rows"] < FEW_ROWS:
        said.append(f"The test split has only {test['rows']} rows: every number here is uncertain by points.")
    apart = _splits_apart(part)
    said += [apart] if apart else []
    each = test["per_class"]
    rare = [name for name, values in each.items() if values["rows"] < FEW_OF_A_LABEL]
    if rare:
        said.append(
            f"{len(rare)} of {len(each)} labels have fewer than {FEW_OF_A_LABEL} test rows and are hardly measured: "
            f"{_named(rare)}."
        )
    measured = {name: values for name, values in each.items() if name not in rare}
    if measured:
        name = min(measured, key=lambda label: measured[label]["f1"])
        values = measured[name]
        said.append(
            f"The weakest label is {_quoted(name)}: precision {values['precision']:.3f}, recall "
            f"{values['recall']:.3f} on {values['rows']:,} rows."
        )
    matrix = part.matrix()
    pairs = confused_pairs(matrix, part.labels, 1) if matrix is not None else []
    if pairs:
        pair = pairs[0]
        said.append(
            f"The most frequent confusion: {pair.rows:,} of {pair.of:,} rows of {_quoted(pair.gold)} are answered "
            f"{_quoted(pair.predicted)}."
        )
    if reliability is not None and reliability.said and reliability.debiased > FAR_OFF:
        said.append("The probabilities cannot be read as shares of right answers; see the reliability diagram.")
    return said


def _quoted(name: str) -> str:
    return f"“{name if len(name) <= 60 else name[:60] + '…'}”"


def _named(names: list[str]) -> str:
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    return ", ".join(map(_quoted, names[:MOST_NAMED])) + more


def _constant_answer(part: Part) -> str | None:
    """How the run compares with always giving the most frequent label."""
    matrix, test = part.matrix(), part.report["test"]
    if matrix is None or not matrix.sum():
        return None
    counts = matrix.sum(1)
    label, share = part.labels[int(counts.argmax())], float(counts.max() / counts.sum())
    interval = part.intervals["test"].get("accuracy")
    if interval is None:
        return None
    clear = "clearly more" if interval.low > share else "clearly fewer" if interval.high < share else None
    verdict = f"the run has {clear} right" if clear else "on these rows the run cannot be told from that"
    accuracy = "" if part.task.metric == "accuracy" else f": accuracy {test['accuracy']:.3f}, 95 % interval {interval}"
    return f"Always answering {_quoted(label)} would be right on {share:.3f} of them; {verdict}{accuracy}."


def _splits_apart(part: Part) -> str | None:
    """Where validation and test differ by more than their rows explain."""
    metric = part.task.metric
    here, there = (part.intervals[split].get(metric) for split in ("test", "validation"))
    if here is None or there is None or (here.low <= there.high and there.low <= here.high):
        return None
    values = [
        with_interval(part.report[split][metric], part.intervals[split][metric]) for split in ("validation", "test")
    ]
    return (
        f"{titled(metric)} differs between validation, {values[0]}, and test, {values[1]}, by more than their rows "
        "explain: are both drawn from the same texts?"
    )
