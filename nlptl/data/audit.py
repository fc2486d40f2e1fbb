"""Looks at every row before anything is trained: faults stop with all of them listed, oddities are counted and told."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from typing import Any

import numpy as np
import pandas as pd

from nlptl.data.files.tables import CHUNK, holds_texts
from nlptl.data.text_keys import keys_of, text_key
from nlptl.errors import DataError, closest, shortened

FEW_ROWS = 5
SHOWN = 10


@dataclass
class Audit:
    """What was found. `counts` goes into the run; `warnings` are told; `faults` stop."""

    faults: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)

    def warn(self, name: str, count: int, sentence: str) -> None:
        """Count something and say it, if there is any."""
        if count:
            self.counts[name] = self.counts.get(name, 0) + count
            self.warnings.append(sentence)

    def stop_if_faulty(self) -> None:
        """Raise for all faults found so far.

        Raises:
            DataError: lists every fault.
        """
        if self.faults:
            listed = "\n".join(f"  - {fault}" for fault in self.faults)
            raise DataError(
                f"The data cannot be used as it is ({len(self.faults)} fault{'s' * (len(self.faults) > 1)}):\n{listed}"
            )


def check_cells(frame: pd.DataFrame, split: str, columns: dict[str, str], drop: bool, audit: Audit) -> pd.DataFrame:
    """Find rows without text or label.

    Args:
        frame: a split with the common columns.
        columns: common column -> its name in the file, for the message.
        drop: drop and count such rows instead of making them faults.

    Returns:
        The frame without those rows.
    """
    bad = pd.Series(False, index=frame.index)
    for column, original in columns.items():
        empty = _mapped(is_empty, frame[column])
        if empty.any() and not drop:
            audit.faults.append(
                f"{_where(frame[empty])}, column {original!r}: {column.replace('_', ' ')} is missing or empty "
                "(--set data.bad_rows=drop leaves such rows out)"
            )
        elif empty.any():
            audit.warn(
                f"{split}_rows_without_{column}",
                int(empty.sum()),
                f"{split}: dropped {int(empty.sum())} rows without {column} ({_where(frame[empty])})",
            )
        bad |= empty
        fine = column == "label" or holds_texts(frame[column])
        strange = empty & False if fine else _mapped(_is_no_text, frame[column])
        if strange.any():
            audit.faults.append(
                f"{_where(frame[strange])}, column {original!r}: a list, an object or bytes, not a text"
            )
            bad |= strange
    return frame[~bad] if bad.any() else frame


def leave_out_unlabelled(frame: pd.DataFrame, split: str, audit: Audit) -> pd.DataFrame:
    """The frame without the rows whose label the label map left empty; they are counted."""
    left_out = frame["label"].map(lambda label: label == "").astype(bool)
    audit.warn(
        f"{split}_rows_left_out_by_label_map",
        int(left_out.sum()),
        f"{split}: {int(left_out.sum())} rows left out, as the label map gives their label no name",
    )
    return frame[~left_out] if left_out.any() else frame


def check_labels(
    frame: pd.DataFrame,
    known: list[str],
    column: str,
    audit: Audit,
    split: str | None = None,
    drop: bool = False,
    given: Mapping[str, str] | None = None,
) -> pd.DataFrame:
    """Find labels that the task does not know: a fault that shows both lists and the flag that maps them.

    Args:
        frame: a split with the common columns.
        known: the task's labels.
        column: the label column's name in the file, for the message.
        audit: takes the fault, or the count.
        split: the split's name, where such rows may be left out; None for rows that are learned from.
        drop: leave such rows of that split out and count them, instead of making them a fault.
        given: the label map there is, which the one that is suggested continues.

    Returns:
        The frame without the dropped rows.
    """
    names = frame["label"].explode().dropna()  # a multi_label row without labels explodes to NaN
    unknown_rows = names[~names.isin(known)]
    if unknown_rows.empty:
        return frame
    found = [shortened(str(name)) for name, _ in Counter(names).most_common(30)]
    strangers = sorted(set(map(str, unknown_rows)))
    if split is not None and drop:
        strange = frame.index.isin(unknown_rows.index)
        listed = ", ".join(repr(shortened(name)) for name in strangers[:SHOWN])
        audit.warn(
            f"{split}_rows_with_unknown_label",
            int(strange.sum()),
            f"{split}: dropped {int(strange.sum())} rows with a label that train does not have: {listed} "
            f"({_where(frame[strange])})",
        )
        return frame[~strange]
    wanted = dict(given or {}) | {shortened(name): _suggest(name, known, strangers) for name in strangers[:10]}
    suggested = ",".join(f"{old}={new}" for old, new in wanted.items())
    audit.faults.append(
        f"{_where(frame.loc[unknown_rows.index.unique()])}, column {column!r}: unknown label "
        f"{', '.join(repr(shortened(name)) for name in strangers[:SHOWN])}. Labels in the data: {', '.join(found)}. "
        f"Labels of the task: {', '.join(known[:30])}. Map them, for example: --label-map {suggested}"
        + (" with a label of the task for each ... (nothing leaves its rows out)" if "..." in suggested else "")
        + (" (or leave such rows out: --set data.bad_rows=drop)" if split is not None else "")
    )
    return frame


def check_balance(train: pd.DataFrame, audit: Audit, known: list[str] | None = None) -> None:
    """A single label is a fault; labels with very few rows or none, and likely misspellings, are told.

    Args:
        train: the training split.
        audit: takes what was found.
        known: labels that should have rows.
    """
    counts = Counter(map(str, train["label"].explode().dropna()))
    never = [name for name in known or [] if name not in counts]
    audit.warn(
        "labels_without_rows",
        len(never),
        f"train: no row has the label {', '.join(map(repr, never[:SHOWN]))}, so no text will be given it",
    )
    if len(counts) < 2 and not isinstance(next(iter(train["label"]), None), list):
        only = next(iter(counts), "none")
        audit.faults.append(f"train holds one label only ({only!r}); a classifier needs at least two")
    few = {name: n for name, n in sorted(counts.items()) if n < FEW_ROWS}
    listed = ", ".join(f"{name} ({n})" for name, n in list(few.items())[:SHOWN])
    audit.warn("labels_with_few_rows", len(few), f"train: fewer than {FEW_ROWS} rows for {len(few)} labels: {listed}")
    often = [name for name, n in counts.items() if n >= 10 * FEW_ROWS]
    typos = {name: near for name in few if (near := _near_twin(name, often))}
    listed = ", ".join(f"{a!r} (meant {b!r}?)" for a, b in list(typos.items())[:SHOWN])
    audit.warn("labels_perhaps_misspelt", len(typos), f"train: perhaps misspelt labels: {listed}")


def check_repeats(frame: pd.DataFrame, split: str, drop: bool, audit: Audit) -> pd.DataFrame:
    """Count repeated texts and texts with two labels inside one split; optionally drop the repeats."""
    table = pd.DataFrame({"key": keys_of(frame), "label": pd.factorize(frame["label"].map(str))[0]})
    same = table.duplicated()
    alike = frame[table.duplicated(keep=False)]  # those that are exactly alike are among them
    texts = [column for column in ("text", "text_pair") if column in frame]
    exact = alike.assign(label=alike["label"].map(str)).duplicated(subset=[*texts, "label"])
    done = "dropped" if drop else "kept"
    audit.warn(
        f"{split}_duplicates",
        int(same.sum()),
        f"{split}: {int(same.sum())} repeated rows {done} ({int(exact.sum())} exact, the others but for case, "
        f"spaces or punctuation)",
    )
    several = table.drop_duplicates().groupby("key")["label"].transform("size") > 1
    conflicting = table.loc[several[several].index, "key"].nunique()
    first = frame.loc[several[several].index[:4]] if conflicting else frame.iloc[:0]
    audit.warn(
        f"{split}_conflicting_texts",
        int(conflicting),
        f"{split}: {conflicting} texts stand there with more than one label ({_where(first)} ...)",
    )
    return frame[~same] if drop and same.any() else frame


def drop_leaks(frames: dict[str, pd.DataFrame], drop: bool, audit: Audit) -> None:
    """Texts that stand in two splits leave the earlier one: train gives way to both others, validation to test."""
    for split, others in (("train", ("validation", "test")), ("validation", ("test",))):
        if split not in frames:
            continue
        elsewhere = np.concatenate([keys_of(frames[other]) for other in others if other in frames])
        leaked = keys_of(frames[split]).isin(elsewhere)
        done = "dropped" if drop else "kept"
        audit.warn(
            f"{split}_leaks",
            int(leaked.sum()),
            f"{split}: {int(leaked.sum())} rows whose text also stands in {' or '.join(others)} {done} "
            f"({_where(frames[split][leaked])})",
        )
        if drop and leaked.any():
            frames[split] = frames[split][~leaked]


def _mapped(test: Callable[[Any], bool], column: pd.Series) -> pd.Series:
    """Which cells of a column pass a test, chunk by chunk: of all texts at once, each would be an object."""
    found = np.zeros(len(column), bool)
    for start in range(0, len(column), CHUNK):
        stop = start + CHUNK
        found[start:stop] = [test(cell) for cell in column.iloc[start:stop].tolist()]
    return pd.Series(found, index=column.index)


def is_empty(value: Any) -> bool:
    """Whether a cell says nothing: blank text, None or NaN."""
    if isinstance(value, str):
        return not value.strip()
    if pd.api.types.is_list_like(value):
        return False  # a multi_label row may have no label at all
    return bool(value is None or pd.isna(value))


def _is_no_text(value: Any) -> bool:
    return isinstance(value, bytes | bytearray | dict) or pd.api.types.is_list_like(value)


def _where(rows: pd.DataFrame) -> str:
    """`file row 3, 7 and 12 more`, at most SHOWN rows."""
    if rows.empty:
        return ""
    parts = []
    for file, group in rows.groupby("file", sort=False):
        numbers = [str(n) for n in group["row"].head(SHOWN)]
        more = f" and {len(group) - SHOWN} more" if len(group) > SHOWN else ""
        parts.append(f"{file} row {', '.join(numbers)}{more}")
    return "; ".join(parts)


def _suggest(name: str, known: list[str], strangers: list[str]) -> str:
    """The label that a name may stand for; dots where nothing tells, since a guess might be taken for an answer.

    Numbers are taken for class ids only where all of them could be.
    """
    if all(stranger.isdigit() and int(stranger) < len(known) for stranger in strangers):
        return known[int(name)]
    return closest(name, known) or "..."


def _near_twin(name: str, often: list[str]) -> str | None:
    """An often-seen label that differs by case, spaces or one or two letters."""
    for other in often:
        if text_key(other) == text_key(name):
            return other
    near = closest(name, often)
    if near is None or len(name) <= 3:
        return None
    shared = sum(block.size for block in SequenceMatcher(None, name, near).get_matching_blocks())
    return near if max(len(name), len(near)) - shared <= 2 else None
