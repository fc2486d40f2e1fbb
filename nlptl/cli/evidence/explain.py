"""`nlptl explain`: why a run answers texts as it does."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from nlptl.cli.help import DATA, HOW, WHERE
from nlptl.cli.options import RunArgument, Seed, TaskName, TextColumn, option, out
from nlptl.cli.predictions import is_first_process, messages_to_standard_error
from nlptl.errors import ConfigError

COLOURS = {True: ("#d0e4f5", "#7fb8e6", "#1f77b4"), False: ("#fbe3cf", "#f2a766", "#d6600c")}
"""Backgrounds of words for a label and against it, the larger the share the stronger."""
NAMED = 5
"""Words that are named on either side below a text."""
LONGEST = 100
"""Letters of a training row that are shown."""


def explain(
    run: RunArgument,
    texts: Annotated[
        list[str] | None,
        typer.Argument(metavar="TEXT", help="Texts; of a pair task two for each.", show_default=False),
    ] = None,
    task: TaskName = None,
    input: Annotated[
        Path | None, option(panel=DATA, metavar="FILE", help="A CSV, TSV, JSONL or Parquet file of texts instead.")
    ] = None,
    rows: Annotated[
        int, option(panel=DATA, metavar="N", min=1, help="Rows of --input that are explained, drawn with the seed.")
    ] = 200,
    text_column: TextColumn = None,
    training_data: Annotated[
        str | None,
        option(
            panel=DATA,
            metavar="FILE|DIR",
            help="For --nearest: where the run's training data lie now. Default: where they lay in training.",
        ),
    ] = None,
    label: Annotated[
        str | None, option(panel=HOW, metavar="LABEL", help="Whose logit. Default: that of each text's decided label.")
    ] = None,
    nearest: Annotated[
        int,
        option(
            panel=HOW,
            metavar="N",
            min=0,
            help="Also show the N training rows that the encoder sees nearest to each text.",
        ),
    ] = 0,
    faithfulness: Annotated[
        bool,
        option(
            "--faithfulness",
            panel=HOW,
            help="Remove the words with the largest shares, and random ones, and compare what becomes of the "
            "probability.",
        ),
    ] = False,
    removed: Annotated[
        int, option(panel=HOW, metavar="N", min=1, help="For --faithfulness: words of each text that are removed.")
    ] = 3,
    seed: Seed = None,
    format: Annotated[
        str, option(panel=WHERE, among="explanations", help="On the terminal: <explanations>.")
    ] = "table",
    output: Annotated[
        Path | None, option(panel=WHERE, metavar="FILE", help="Also write all of it: .json, or .html to look at.")
    ] = None,
) -> None:
    """Show what each word of a text adds to the answer, and the training rows near it.

    A word's share is a part of the label's logit: blue words speak for the label, orange ones against it. With --input
    the words that speak most for each label are shown, over many texts.

    Examples:

      nlptl explain RUN "Not half as bad as I feared."

      nlptl explain RUN "Not half as bad as I feared." --nearest 3

      nlptl explain RUN --input new.csv --rows 200 --faithfulness --output words.html
    """
    if (input is None) == (not texts):
        raise ConfigError("Give texts to explain, or --input FILE.")
    if text_column and input is None:
        raise ConfigError("--text-column is for --input FILE; texts on the command line have no columns.")
    if training_data is not None and not nearest:
        raise ConfigError("--training-data is for --nearest N.")
    from nlptl.cli.choices import EXPLANATIONS
    from nlptl.errors import unknown
    from nlptl.explore.explained import check_ending

    if format not in EXPLANATIONS:
        raise ConfigError(unknown("format", format, EXPLANATIONS))
    if output is not None:
        check_ending(output)
    if not is_first_process("explain"):
        return
    messages_to_standard_error()
    found = _found(
        run, task, texts or [], input,
        rows=rows, label=label, nearest=nearest, training_data=training_data, faithfulness=faithfulness,
        removed=removed, seed=seed or 0, text_column=text_column or None,
    )  # fmt: skip
    if format == "json":
        print(json.dumps(found.to_json(), ensure_ascii=False))
    else:
        _show(found)
    if output is not None:
        found.write(output)
        if format != "json":
            out.print(f"Written to {output}")


def _found(run: Path, task: str | None, texts: list[str], input: Path | None, **asked: Any) -> Any:
    from nlptl.cli.given_texts import Given, pairs_of
    from nlptl.inference.predictor import load
    from nlptl.verbs.explain import explain as explained

    opened = load(run)
    opened = opened if task is None else opened.task(task)
    if input is not None:
        return explained(opened, data=input, **asked)
    items: Sequence[Any] = pairs_of(Given(texts, lines=False)) if opened.text_columns == 2 else texts
    return explained(opened, list(items), **asked)


def _show(found: Any) -> None:
    from nlptl.explore.explained import SHOWN

    few = len(found.explanations) <= SHOWN
    for place, one in enumerate(found.explanations if few else ()):
        out.print(
            f"{one.label} ({one.probability:.4f}): logit {one.logit:+.2f}, without words {one.base:+.2f}, "
            f"special tokens {one.special:+.2f}, gap {one.relative_gap:.1%}",
            highlight=False,
        )
        for i, text in enumerate(one.texts):
            out.print(Text("  "), _coloured(text, [word for word in one.words if word.text == i], one))
        for said, words in (("for", _largest(one, 1)), ("against", _largest(one, -1))):
            if words:
                out.print(f"  {said}: {', '.join(f'{w.word} {w.share:+.2f}' for w in words)}", highlight=False)
        for note in one.notes:
            out.print(f"  {note}", highlight=False)
        for row in found.nearest[place] if found.nearest else ():
            out.print(f"  near {row.similarity:.3f}  {row.label}  {_short(row.text)}  ({row.place})", highlight=False)
    if not few:
        out.print(f"{len(found.explanations)} texts explained; widest gap {found.widest_gap:.1%}", highlight=False)
        table = Table("label", "words that speak most for it (mean share where they stand, texts)", box=None)
        for label, words in found.by_label.items():
            table.add_row(label, ", ".join(f"{w.word} {w.share:+.2f} ({w.texts})" for w in words) or "(none)")
        out.print(table)
    if found.faithfulness is not None:
        out.print(found.faithfulness.sentence, highlight=False)


def _coloured(text: str, words: Sequence[Any], one: Any) -> Text:
    """The text with a background behind its words; elsewhere than on a terminal, without."""
    shown, most = Text(text), max((abs(word.share) for word in one.words), default=0.0) or 1.0
    for word in words:
        strength = abs(word.share) / most
        if strength >= 0.1:
            colour = COLOURS[word.share > 0][min(int(strength * 3), 2)]
            shown.stylize(f"black on {colour}", word.start, word.stop)
    return shown


def _largest(one: Any, sign: int) -> list[Any]:
    found = sorted((word for word in one.words if sign * word.share > 0), key=lambda word: -sign * word.share)
    return found[:NAMED]


def _short(text: Any) -> str:
    said = text if isinstance(text, str) else " | ".join(text)
    return said if len(said) <= LONGEST else f"{said[: LONGEST - 3]}..."
