"""Labels' names as training texts: what a name says of its label counts most where there are few rows of it."""

from __future__ import annotations

import logging
import re
from collections import Counter

import pandas as pd

from nlptl.data.text_keys import keys_of
from nlptl.errors import DataError, shortened
from nlptl.tasks import TaskSpec

log = logging.getLogger("nlptl")
ORIGIN = "label names"
"""Stands in the column `file` of rows that no file holds."""
_JOINT = re.compile(r"[\W_]+|(?<=[a-z])(?=[A-Z])")
_LETTERS = re.compile(r"[^\W\d_]{2,}")


def readable(name: str) -> str:
    """A label's name as somebody would write it: `card_arrival` and `cardArrival` are `card arrival`."""
    return " ".join(part.lower() for part in _JOINT.split(name) if part)


def with_label_names(frames: dict[str, pd.DataFrame], task: TaskSpec, asked: bool | None, few: bool) -> pd.DataFrame:
    """The training rows and, where it applies, one more for each label, whose text is its name.

    A sentence encoder places a name near the texts that it names, so that a name is a text of its label (Chang et al.
    2008 classify by nothing else). Left out are names that are no words, or differ from another's in numbers and single
    letters alone (`LABEL_0`); the label of texts that are out of scope, which says nothing of them; and a name that
    stands as a text in one of the splits.

    Args:
        frames: the rows by split.
        task: its labels are fixed.
        asked: True: add them; False: do not; None: with `few` rows, one label and one text to a row.
        few: whether a few rows per label were drawn.

    Raises:
        DataError: they were asked for, and a row has two texts, or no name is of use.
    """
    train, several = frames["train"], task.kind == "multi_label"
    pairs = "text_pair" in train
    if asked is False or (asked is None and (not few or several or pairs)):
        return train
    names = _telling([name for name in task.label_list() if name != task.decision.label])
    if asked and (pairs or not names):
        why = "a row of this task has two texts" if pairs else "no name is made of words that tell it from the others"
        shown = shortened(", ".join(task.label_list()))
        raise DataError(f"data.label_names asks for the labels' names as texts, but {why} ({shown}). Leave it out.")
    known = pd.concat([keys_of(frame) for frame in frames.values()])
    written = keys_of(pd.DataFrame({"text": [readable(name) for name in names]}, dtype=object))
    added = [name for name, stands in zip(names, written.isin(known), strict=True) if not stands]
    if not added:
        return train
    log.info(f"Learned from as well: the names of {len(added)} labels, as texts (data.label_names)")
    rows = {
        "text": [readable(name) for name in added],
        "label": [[name] for name in added] if several else added,
        "file": ORIGIN,
        "row": range(1, len(added) + 1),
    }
    return pd.concat([train, pd.DataFrame(rows).astype(train.dtypes[list(rows)].to_dict())])


def _telling(names: list[str]) -> list[str]:
    """The names that are words, and other words than each other name."""
    words = {name: " ".join(_LETTERS.findall(name.lower())) for name in names}
    counts = Counter(words.values())
    return [name for name in names if words[name] and counts[words[name]] == 1]
