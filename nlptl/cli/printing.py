"""Predictions on standard output: as a table to read, or as JSON or TSV lines for another program."""

from __future__ import annotations

import json
from typing import Any

from rich.table import Table

from nlptl.cli.options import out

SHOWN = 100
"""Letters of a text in a table."""


def print_predictions(
    run: Any,
    texts: list[Any],
    all_scores: bool,
    decision: str | None,
    style: str,
    gold: list[str] | None = None,
    width: int | None = None,
) -> None:
    """Print what a run answers.

    Args:
        run: a `Run`.
        texts: texts, or pairs of them.
        all_scores: also the probability of every label.
        decision: as `Run.predict`.
        style: table, json or tsv.
        gold: the texts' own labels, for a column beside.
        width: columns of the table, in which each text has one line; None: those of the terminal.
    """
    predictions, probabilities, scope = run.answer(texts, decision)
    if style == "table":
        letters = SHOWN
        if width is not None:
            names = ["label", *(_label(run, prediction.label) for prediction in predictions), *(gold or [])]
            letters = max(width - 2 * max(map(len, names)) - 16, 20)
        beside = ["label", "score", *(["gold"] if gold else []), *(run.labels if all_scores else [])]
        table = Table("text", *beside, box=None, pad_edge=False)
        for i, (text, prediction) in enumerate(zip(texts, predictions, strict=True)):
            extra = [gold[i]] if gold else []
            extra += [f"{p:.4f}" for p in probabilities[i]] if all_scores else []
            shown = str(text) if len(str(text)) <= letters else str(text)[: letters - 3] + "..."
            table.add_row(shown, _label(run, prediction.label) or "(none)", f"{prediction.score:.4f}", *extra)
        out.print(table)
        return
    for i, (text, prediction) in enumerate(zip(texts, predictions, strict=True)):
        scores = [round(float(p), 6) for p in probabilities[i]] if all_scores else []
        if style == "json":
            record = {"text": text, "label": prediction.label, "score": round(prediction.score, 6)}
            if scope is not None:
                record["scope"] = round(float(scope[i]), 6)
            if all_scores:
                record["scores"] = dict(zip(run.labels, scores, strict=True))
            print(json.dumps(record, ensure_ascii=False))
        else:
            label = _label(run, prediction.label)
            parts = text if isinstance(text, tuple) else (text,)
            print(*map(_cell, (label, round(prediction.score, 6), *scores, *parts)), sep="\t")


def _label(run: Any, label: str | list[str]) -> str:
    """A decided label; several as the cells of the task's label column have them."""
    return label if isinstance(label, str) else str(run.label_separator.join(label))


def _cell(value: Any) -> str:
    """One cell of a line of TSV: what would end it is written as an escape."""
    text = str(value)
    for sign, escape in (("\\", r"\\"), ("\t", r"\t"), ("\n", r"\n"), ("\r", r"\r")):
        text = text.replace(sign, escape)
    return text
