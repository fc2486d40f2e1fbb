"""The rows that a run with other labels learns from: new ones, and those of the earlier run under their new names."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from nlptl.data.loading import Splits
from nlptl.data.splits import cut, draw_shots
from nlptl.errors import DataError, shortened, unknown
from nlptl.evolution.changes import Changes

log = logging.getLogger("nlptl")
FEWEST = 5
"""Rows of a new label: with fewer, none could be held out and some learned from."""
TEST, VALIDATION = 0.2, 0.1
"""Shares of new rows that are held out."""
Frames = dict[str, pd.DataFrame]


@dataclass(frozen=True)
class NewRows:
    """Labelled rows that the earlier run has not seen: the common columns text, text_pair for pairs, and label."""

    frame: pd.DataFrame

    def check(self, changes: Changes, known: Sequence[str]) -> None:
        """Refuse labels that nobody asked for, and new ones with too few rows.

        Raises:
            DataError: names them.
        """
        there, wanted = self.frame["label"].value_counts(), {*changes.labels(known), *known}
        strange = [str(label) for label in there.index if label not in wanted]
        if strange:
            raise DataError(
                f"{unknown('label of the new rows', strange[0], sorted(wanted))} {len(strange)} label(s) of them are "
                f"neither the run's nor added: {', '.join(map(shortened, strange[:5]))}. Add them: --add LABEL"
            )
        few = {label: int(there.get(label, 0)) for label in changes.added if there.get(label, 0) < FEWEST}
        if few:
            said = ", ".join(f"{label} has {count}" for label, count in few.items())
            raise DataError(f"A new label needs {FEWEST} rows, some of which are held out; {said}.")

    def splits(self, seed: int) -> Frames:
        """Train, validation and test, stratified and drawn with the seed."""
        rest, test = cut(self.frame, TEST, seed)
        train, validation = cut(rest, VALIDATION, seed)
        return {"train": train, "validation": validation, "test": test}


def joined_rows(
    new: NewRows | None, old: Splits | None, changes: Changes, keep: int | None, seed: int
) -> tuple[Frames, Mapping[str, int]]:
    """The rows of each split of the new run, labels under their old names where they had one.

    Old test rows stay test rows, and old validation rows validation rows, so that nothing that measures has been
    learned from.

    Args:
        new: rows that are added.
        old: what the earlier run was made from; None: it cannot be had.
        changes: of the labels.
        keep: training rows that are kept of each old label, drawn with the seed; None: all.
        seed: of the draws.

    Returns:
        The rows by split; and how many old training rows each label keeps.
    """
    columns = ["text", "text_pair", "label"]
    parts: dict[str, list[pd.DataFrame]] = {"train": [], "validation": [], "test": []}
    kept: dict[str, int] = {}
    if old is not None:
        train = old.train if keep is None else draw_shots(old.train, keep, seed)
        kept = {str(label): int(count) for label, count in train["label"].value_counts().items()}
        for split, frame in (("train", train), ("validation", old.validation), ("test", old.test)):
            parts[split].append(frame)
    if new is not None:
        for split, frame in new.splits(seed).items():
            parts[split].append(frame)
    frames = {
        split: pd.concat([each[[c for c in columns if c in each]] for each in those], ignore_index=True)
        for split, those in parts.items()
    }
    if old is None:
        _refuse_a_lone_label(frames["train"], changes)
    return frames, kept


def _refuse_a_lone_label(train: pd.DataFrame, changes: Changes) -> None:
    names: dict[Any, str] = dict(changes.names)
    known = {names.get(label, label) for label in train["label"].unique()} - set(changes.added)
    if not known:
        raise DataError(
            "New labels cannot be told from the old ones by their own rows alone. Give rows of old labels with them, "
            "or the run's own data: --training-data"
        )
    log.warning(f"Only {len(known)} of the old labels have rows to learn from; the others may be forgotten.")
