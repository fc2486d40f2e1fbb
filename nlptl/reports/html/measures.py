"""Metrics with intervals, labels one by one, confusions and curves."""

from __future__ import annotations

from typing import Any

from nlptl.evaluation.intervals import Interval, matrix_intervals, of_share
from nlptl.evaluation.wording import titled
from nlptl.reports.facts.confusions import confused_pairs
from nlptl.reports.facts.curves import Cuts, Reliability
from nlptl.reports.facts.run import Part
from nlptl.reports.facts.words import shown3
from nlptl.reports.figures import curves as drawn_curves
from nlptl.reports.figures.confusion import MOST_LABELS, WITH_NUMBERS, confusion
from nlptl.reports.figures.kept import Drawings
from nlptl.reports.html.markup import Content, Html, element, joined, named, table
from nlptl.reports.html.page import columns, figure, note

MOST_ROWS = 150
"""Labels in a table; the weakest are shown."""
NO_ANSWERS = (
    "This run is of an earlier version, which kept no logits: curves, calibration, thresholds and some intervals need "
    "them. Train it again to have them."
)
_NO_METRIC = ("rows", "per_class", "confusion_matrix", "decided", "calibration", "data")


def ranged(value: float | None, interval: Interval | None) -> Html:
    """A number and, smaller, its interval."""
    said = joined(shown3(value))
    return (
        joined(said, " ", element("span", f"[{interval.low:.3f}, {interval.high:.3f}]", class_="range"))
        if interval
        else said
    )


def metrics(part: Part) -> Html:
    """The metrics of validation and test, and what the decision policy makes of them."""
    test, validation = part.report["test"], part.report["validation"]
    names = [n for n, v in test.items() if n not in _NO_METRIC and (v is None or isinstance(v, int | float))]
    lines: list[list[Content]] = [
        [
            titled(name),
            *(
                ranged(part.report[split].get(name), part.intervals[split].get(name))
                for split in ("validation", "test")
            ),
        ]
        for name in names
    ]
    lines += _decided(validation.get("decided", {}), test.get("decided", {}), validation["rows"], test["rows"])
    caption = "Metrics, with 95 % intervals over the rows of the split"
    return joined(
        "" if part.answers else note(NO_ANSWERS),
        table(caption, ["metric", f"validation ({validation['rows']:,} rows)", f"test ({test['rows']:,} rows)"], lines),
        element(
            "p",
            "Intervals: Wilson's for accuracy and, as a share of the positive rows, for average precision; Newcombe's "
            "for ROC AUC; Hall's for the loss; bootstrap over rows for F1; exact binomial for what a policy promises. "
            "Numbers without “as decided” measure the most probable label.",
            class_="quiet",
        ),
    )


def _decided(validation: dict[str, Any], test: dict[str, Any], *rows: int) -> list[list[Content]]:
    lines: list[list[Content]] = []
    for name, value in test.items():
        if name == "threshold" or isinstance(value, bool) or not isinstance(value, int | float):
            continue
        cells = []
        for split, count in zip((validation, test), rows, strict=True):
            found, noted = split.get(name), split.get(f"{name}_interval")
            interval = Interval(*noted) if noted else None
            if name == "accuracy" and found is not None:
                interval = of_share(found * count, count)
            cells.append(ranged(found, interval))
        lines.append([f"{titled(name)}, as decided ({test['policy']})", *cells])
    return lines


def trust(part: Part) -> Html:
    """How far probabilities can be trusted, before and after calibration."""
    found = part.report["test"].get("calibration")
    if not found:
        return Html("")
    names = {"ece": "ECE", "ece_debiased": "ECE, debiased", "brier": "Brier score", "log_loss": "Log-loss"}
    lines: list[list[Content]] = [
        [title, shown3(found["before"].get(name)), shown3(found["after"].get(name))] for name, title in names.items()
    ]
    method = "not calibrated" if found["method"] == "none" else f"calibrated by {found['method']}"
    return joined(
        element("h3", "How far probabilities can be trusted"),
        table(f"On test, {method} on validation; the lower, the better", ["measure", "before", "after"], lines),
        note(str(found["note"])) if found.get("note") else "",
    )


def labels(part: Part) -> Html:
    """Precision, recall and F1 of each label."""
    each, matrix = part.report["test"]["per_class"], part.matrix()
    found = dict(zip(part.labels, matrix_intervals(matrix)[1], strict=False)) if matrix is not None else {}
    worst = sorted(each.items(), key=lambda item: item[1]["f1"])[:MOST_ROWS]
    lines = [
        [
            named(name),
            *(ranged(values[m], found.get(name, {}).get(m)) for m in ("precision", "recall", "f1")),
            f"{values['rows']:,}",
        ]
        for name, values in worst
    ]
    shown = f"the {len(worst)} weakest of {len(each)}" if len(worst) < len(each) else "weakest first"
    return table(
        f"Labels on test, {shown}, with 95 % intervals", ["label", "precision", "recall", "F1", "test rows"], lines
    )


def confusions(part: Part, drawings: Drawings, name: str) -> Html:
    """Heat map and the most confused pairs; nothing for several labels a text."""
    matrix = part.matrix()
    if matrix is None:
        return element("p", "A text may have several labels, so there is no confusion matrix; see the labels above.")
    pairs = confused_pairs(matrix, part.labels)
    lines = [
        [
            named(pair.gold),
            named(pair.predicted),
            f"{pair.rows:,}",
            ranged(pair.rows / pair.of, of_share(pair.rows, pair.of)),
        ]
        for pair in pairs
    ]
    drawn = drawings.inline(
        f"{name}confusion",
        confusion(matrix, part.labels),
        f"Confusion matrix of {min(len(matrix), MOST_LABELS)} labels; the table names the most confused pairs.",
    )
    thinned = f" Drawn are the {MOST_LABELS} labels with the most mistakes." if len(matrix) > MOST_LABELS else ""
    said = (
        "Rows: gold labels, columns: answers. The stronger the colour, the larger the share of the row; blue is right."
    )
    caption = f"{said}{thinned}"
    whole = table(
        "Most confused pairs on test", ["gold label", "answered", "rows", "of that label"], lines, ("answered",)
    )
    beside = whole if pairs else element("p", "No test row is confused.")
    if len(matrix) > WITH_NUMBERS:
        return joined(element("div", figure(Html(drawn), caption), class_="wide"), beside)
    return columns(figure(Html(drawn), caption), beside)


def curves(
    part: Part,
    training: dict[str, Any],
    cuts: Cuts | None,
    reliability: dict[str, Reliability],
    drawings: Drawings,
    name: str,
) -> Html:
    """Loss, precision and recall, ROC and reliability, as far as the run has them."""
    shown: list[Html] = []
    if training.get("losses"):
        drawn = drawn_curves.loss(training["losses"], training.get("epochs") or [])
        best = training.get("best_epoch")
        described = f"Training loss over {len(training['losses'])} steps, and validation loss."
        kept = f" The state of epoch {best} was kept." if best is not None else ""
        shown.append(figure(Html(drawings.inline(f"{name}loss", drawn, described)), f"Loss.{kept}"))
    if cuts is not None and cuts.positives and cuts.negatives:
        label, fitted = str(part.task.positive_label), part.threshold
        thinned = f" {len(cuts.thresholds)} of {cuts.thinned_from:,} thresholds are drawn."
        thinned = thinned if cuts.thinned_from > len(cuts.thresholds) else ""
        described = f"Precision against recall of {label[:60]}."
        drawn = drawn_curves.precision_recall(cuts, label, fitted)
        shown.append(
            figure(
                Html(drawings.inline(f"{name}precision-recall", drawn, described)),
                f"Precision and recall over all thresholds on test.{thinned}",
            )
        )
        described = f"Recall of {label[:60]} against the share of other rows that are flagged."
        drawn = drawn_curves.roc(cuts, label, fitted)
        shown.append(
            figure(Html(drawings.inline(f"{name}roc", drawn, described)), f"ROC over all thresholds on test.{thinned}")
        )
    if reliability:
        described = "Share of right answers against their probability; on the diagonal both are equal."
        drawn = drawn_curves.reliability(reliability)
        errors = ", ".join(f"{100 * found.error:.1f} points {how}" for how, found in reliability.items())
        caption = f"Reliability on test: groups of as many rows each, 95 % intervals. Mean distance: {errors}."
        shown.append(figure(Html(drawings.inline(f"{name}reliability", drawn, described)), caption))
    if not shown:
        return note(NO_ANSWERS) if not part.answers else element("p", "This run has no curves.")
    return joined(columns(*shown), trust(part))
