"""The test rows of a run, read once and chunk by chunk: lengths, what was right, and the worst mistakes with texts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from nlptl.errors import ArtifactError
from nlptl.reports.facts.run import Part

PREDICTIONS = "predictions.csv"
CHUNK = 100_000
"""Rows in memory."""
MOST_MISTAKES = 30
LONGEST_TEXT = 400
"""Characters of a text that are shown."""


@dataclass(frozen=True)
class Mistake:
    """A test row whose answer is wrong."""

    place: str
    """File and row, or the number of the test row."""
    texts: list[str]
    """Shortened; empty where texts are left out."""
    characters: int
    gold: str
    predicted: str
    probability: float | None
    """Of the right label (of all right answers, for several labels); None where the run kept no answers."""
    score: float
    """The probability behind the answer."""


@dataclass(frozen=True)
class TestRows:
    """N test rows."""

    characters: np.ndarray
    """(N,) of text, both texts of a pair together."""
    right: np.ndarray
    """(N,) bool: the answer, as decided, is the gold label or exactly the gold labels; a set that is answered holds the
    gold label."""
    mistakes: list[Mistake]
    """The worst, worst first."""
    wrong: int
    """All mistakes."""
    unanswered: int
    """Rows that the policy left unanswered; they are neither right nor wrong."""


def read_rows(part: Part, texts: bool) -> TestRows | None:
    """Read `predictions.csv`; None where the run has it no more, as where its texts were not to be kept.

    Args:
        part: whose.
        texts: whether the mistakes have their texts.

    Raises:
        ArtifactError: it cannot be read, or has other rows than the answers.
    """
    if not (part.home / PREDICTIONS).exists():
        return None
    given = _given(part)
    lengths, right, worst, start, unanswered = [], [], pd.DataFrame(), 0, 0
    left = part.policy.label if part.policy.label not in part.labels else None
    for chunk in _chunks(part.home / PREDICTIONS):
        table = chunk.assign(number=np.arange(start, start + len(chunk)))
        _check(part.home, given, start + len(table), at_least=True)
        table["characters"] = sum(table[name].str.len() for name in ("text", "text_pair") if name in table)
        gold, said = (table[name].to_numpy(object) for name in ("label", "predicted"))
        is_right = _holds(said, gold, part.task.label_separator) if part.policy.gives_sets else said == gold
        is_left = np.asarray(said == left, bool)
        unanswered += int(is_left.sum())
        score = table["score"].astype(float)
        # The worst first: the right label was held least probable; without answers, the wrong one most.
        table["badness"] = -given[start : start + len(table)] if given is not None else score
        worst = pd.concat([worst, table[~is_right & ~is_left]]).nlargest(MOST_MISTAKES, "badness")
        lengths.append(table["characters"].to_numpy(np.int64))
        right.append(is_right)
        start += len(table)
    _check(part.home, given, start)
    flags = np.concatenate([*right, np.zeros(0, bool)])
    mistakes = [_mistake(row, texts, given is not None) for row in worst.to_dict("records")]
    characters = np.concatenate([*lengths, np.zeros(0, np.int64)])
    return TestRows(characters, flags, mistakes, int((~flags).sum()) - unanswered, unanswered)


def _chunks(path: Path) -> Iterator[pd.DataFrame]:
    """The file as it was written, all cells as text; the reader of users' files would look for other forms of CSV."""
    try:
        with pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8", chunksize=CHUNK) as chunks:
            for chunk in chunks:
                if missing := {"text", "label", "predicted", "score"} - {*chunk.columns}:
                    raise ArtifactError(f"{path} is damaged: it lacks {', '.join(sorted(missing))}.")
                yield chunk
    except (OSError, ValueError) as error:
        raise ArtifactError(f"{path} cannot be read: {error}") from error


def _holds(sets: np.ndarray, gold: np.ndarray, separator: str) -> np.ndarray:
    """(N,) bool: the set of labels, written in one cell, holds the gold one."""
    pairs = zip(sets, gold, strict=True)
    return np.fromiter((label in said.split(separator) for said, label in pairs), bool, len(gold))


def _given(part: Part) -> np.ndarray | None:
    """(N,) the probability that the right answer got; None without answers."""
    if part.probabilities is None or part.targets is None:
        return None
    if part.several_labels:
        each = np.where(part.targets > 0.5, part.probabilities, 1.0 - part.probabilities)
        return np.asarray(each.prod(1))
    return np.asarray(part.probabilities[np.arange(len(part.targets)), part.targets])


def _check(home: Path, given: np.ndarray | None, rows: int, at_least: bool = False) -> None:
    if given is None or len(given) == rows or (at_least and rows < len(given)):
        return
    raise ArtifactError(
        f"{home / PREDICTIONS} has {rows} rows{' or more' * at_least} and answers.safetensors {len(given)}: they "
        "are not of one run. Train the run again."
    )


def _mistake(row: dict[str, Any], texts: bool, given: bool) -> Mistake:
    named = [row[name] for name in ("text", "text_pair") if name in row] if texts else []
    place = f"{row['file']}, row {row['row']}" if "file" in row and "row" in row else f"test row {row['number'] + 1}"
    return Mistake(
        place,
        [_shortened(text) for text in named],
        int(row["characters"]),
        row["label"],
        row["predicted"],
        -float(row["badness"]) if given else None,
        float(row["score"]),
    )


def _shortened(text: str) -> str:
    return text if len(text) <= LONGEST_TEXT else f"{text[:LONGEST_TEXT]}…"
