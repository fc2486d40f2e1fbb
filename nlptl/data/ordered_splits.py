"""Splits along a column: the latest rows are held out, or whole groups are (`data.split`).

Random splits put messages of one campaign, sender or week on both sides, and flatter a model that will meet new ones.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd

from nlptl.config.data import DataConfig
from nlptl.data.audit import Audit
from nlptl.data.splits import cut, strata
from nlptl.data.text_keys import keys_of
from nlptl.errors import DataError, shortened
from nlptl.tasks import TaskSpec

TIME, GROUP = "time", "group"
SHOWN = 5
_NUMBER = re.compile(r"[-+]?\d+(?:\.\d+)?")
_ISO_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_ISO_TIME = re.compile(r"\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(?::\d{2}(?:[.,]\d+)?)?\s?(?:Z|[+-]\d{2}:?\d{2})?")
_ZONE = re.compile(r"(?:Z|[+-]\d{2}:?\d{2})$")
WRITE = "Write all of them in one form such as 2026-11-27 or 2026-11-27 09:30:00, or as numbers."


def kind_of(split: str | None) -> str | None:
    """`time` or `group`; None for random splits."""
    return None if split is None else split.partition(":")[0]


def column_of(split: str) -> str:
    """The column that the rows are split along."""
    return split.partition(":")[2]


def check_source(frames: Iterable[str], config: DataConfig) -> None:
    """Refuse data that bring a split of their own, which cannot be one along a column.

    Raises:
        DataError: they do.
    """
    own = sorted(set(frames) - {"train"})
    if config.split is not None and own:
        raise DataError(
            f"data.split={config.split} cuts validation and test off one table, but the data bring their own "
            f"{' and '.join(own)}. Give one file with all rows, or leave --split out."
        )


def in_order(frame: pd.DataFrame, split: str | None) -> pd.DataFrame:
    """The rows in the order of their times, read as such; as they are where they are not split by time.

    Args:
        frame: with the column `time` and, for messages, `file` and `row`.
        split: `data.split`.

    Raises:
        DataError: times of several forms, or cells that are no times.
    """
    if kind_of(split) != TIME or frame.empty:
        return frame
    times = read_times(frame, column_of(str(split)))
    return frame.assign(time=times).sort_values("time", kind="stable")


def read_times(frame: pd.DataFrame, column: str) -> pd.Series:
    """The column `time` as values that can be compared: numbers, or times.

    Raises:
        DataError: several forms, of which nothing says how they follow each other, or cells that are no times.
    """
    cells = frame["time"]
    if all(isinstance(cell, int | float | np.number) and not isinstance(cell, bool) for cell in cells):
        return cells.astype(float)
    texts = cells.map(lambda cell: cell.isoformat() if hasattr(cell, "isoformat") else str(cell).strip())
    forms = texts.map(_form)
    strange = frame[forms == ""]
    if len(strange):
        raise DataError(f"Column {column!r} holds what is no time: {_cells(strange)}. {WRITE}")
    found = sorted(forms.unique())
    if len(found) > 1:
        examples = "; ".join(f"{form}: {_cells(frame[forms == form], 2)}" for form in found)
        raise DataError(f"Column {column!r} holds times of {len(found)} forms ({examples}). {WRITE}")
    if found[0].startswith("number"):
        return texts.astype(float)
    times = pd.to_datetime(texts, format="ISO8601", utc=found[0].endswith("zone"), errors="coerce")
    if times.isna().any():
        raise DataError(f"Column {column!r} holds days that there are not: {_cells(frame[times.isna()])}. {WRITE}")
    return times


def _form(text: str) -> str:
    if _NUMBER.fullmatch(text):
        digits = len(text.partition(".")[0].lstrip("+-"))
        # 20261127 beside 1795737600: days written as numbers beside seconds.
        return "number" if digits < 7 else f"number of {digits} digits"
    if _ISO_DAY.fullmatch(text):
        return "day"
    if _ISO_TIME.fullmatch(text):
        return "time with zone" if _ZONE.search(text) else "time"
    return ""


def _cells(rows: pd.DataFrame, most: int = SHOWN) -> str:
    where = [
        f"{shortened(repr(str(cell)), 40)} ({file} row {row})"
        for cell, file, row in zip(rows["time"][:most], rows["file"], rows["row"], strict=False)
    ]
    return ", ".join(where) + (f" and {len(rows) - most} more" if len(rows) > most else "")


def cut_off(
    frame: pd.DataFrame, fraction: float, seed: int, config: DataConfig, audit: Audit, part: str
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Cut a share of the rows off: at random, the latest ones, or those of whole groups.

    A text that stands on both sides leaves one of them, unless leaks are kept. Of a split by time that is the later
    one, since what comes later must change nothing about what is learned before; of groups it is the larger part.

    Args:
        frame: the rows; to be split by time, in their order (`in_order`).
        fraction: share of them.
        seed: of what is drawn.
        config: `split` and `leaks`.
        audit: takes what was left out.
        part: what the rows that are cut off become: validation or test.

    Returns:
        (the rest, the part cut off), both in the frame's order.

    Raises:
        DataError: the column does not allow such a cut.
    """
    kind = kind_of(config.split)
    if kind is None:
        return cut(frame, fraction, seed)
    column = column_of(str(config.split))
    if kind == TIME:
        rest, off = _latest(frame, fraction, column)
        repeated = keys_of(off).isin(set(keys_of(rest)))
        _tell_repeats(audit, part, int(repeated.sum()), "earlier", config.leaks == "drop")
        return rest, off[~repeated] if config.leaks == "drop" else off
    rest, off = _whole_groups(frame, fraction, seed, column)
    repeated = keys_of(rest).isin(set(keys_of(off)))
    if part == "validation":  # those of test are told by the audit of leaks
        _tell_repeats(audit, "train", int(repeated.sum()), "in another group", config.leaks == "drop")
        rest = rest[~repeated] if config.leaks == "drop" else rest
    return rest, off


def _tell_repeats(audit: Audit, split: str, count: int, where: str, dropped: bool) -> None:
    done = "left out" if dropped else "kept"
    audit.warn(f"{split}_repeats", count, f"{split}: {count} rows whose text also stands {where} {done}")


def _latest(frame: pd.DataFrame, fraction: float, column: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The cut lies between two times, as near to the share as can be: rows of one time are on one side."""
    times = frame["time"].to_numpy()
    borders = np.flatnonzero(times[1:] != times[:-1]) + 1
    if not len(borders):
        raise DataError(
            f"All {len(frame)} rows have the same time in column {column!r}, so that none is later than another."
        )
    border = int(borders[np.abs(borders - (1 - fraction) * len(frame)).argmin()])
    return frame.iloc[:border], frame.iloc[border:]


def _whole_groups(frame: pd.DataFrame, fraction: float, seed: int, column: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """A fold of scikit-learn's StratifiedGroupKFold: near to the share, and with the labels that both sides need."""
    from sklearn.model_selection import StratifiedGroupKFold

    groups = frame["group"].map(str).to_numpy()
    count, labels = len(np.unique(groups)), strata(frame["label"])
    if count < 2:
        raise DataError(f"All {len(frame)} rows are of one group in column {column!r} ({groups[0]!r}).")
    ids = np.unique(labels, return_inverse=True)[1]
    places = np.arange(len(frame))
    wanted = min(max(2, round(1 / fraction)), count)
    best: tuple[float, np.ndarray] | None = None
    for folds in range(wanted, 1, -1):
        if np.bincount(ids).max() < folds:
            continue
        with warnings.catch_warnings():  # of labels with fewer rows than folds, which is looked at below
            warnings.simplefilter("ignore")
            cuts = list(StratifiedGroupKFold(folds, shuffle=True, random_state=seed).split(places, ids, groups))
        for _, held_out in cuts:
            away = abs(len(held_out) / len(frame) - fraction)
            rest = np.setdiff1d(places, held_out)
            enough = len(held_out) and len(rest) and _labels_on_both_sides(ids[held_out], ids[rest])
            if enough and (best is None or away < best[0]):
                best = away, held_out
        if best is not None:
            break
    if best is None:
        raise DataError(_forced(frame, groups, labels, column))
    off = np.isin(places, best[1])
    return frame[~off], frame[off]


def _labels_on_both_sides(first: np.ndarray, second: np.ndarray) -> bool:
    return len(np.unique(first)) > 1 and len(np.unique(second)) > 1


def _forced(frame: pd.DataFrame, groups: np.ndarray, labels: np.ndarray, column: str) -> str:
    """Which group makes a cut impossible: the one that holds most of the label with the fewest groups."""
    table = pd.DataFrame({"group": groups, "label": labels})
    per_label = table.groupby("label")["group"].nunique()
    label = str(per_label.idxmin())
    largest = table[table["label"] == label]["group"].value_counts()
    return (
        f"No split by column {column!r} gives each part two labels: the {int(largest.sum())} rows of {label!r} are of "
        f"{len(largest)} group(s), {int(largest.iloc[0])} of them of {str(largest.index[0])!r}. Split by another "
        "column, or add rows."
    )


def check_labels_there(frames: dict[str, pd.DataFrame], task: TaskSpec, config: DataConfig) -> None:
    """See that each split along a column can be measured: with two labels, and the positive one.

    Raises:
        DataError: it says which split lacks what, and where the label stands.
    """
    if config.split is None or task.kind != "single_label":
        return
    kind, column = kind_of(config.split), column_of(config.split)
    for split in ("train", "validation", "test"):
        there = set(frames[split]["label"])
        lacking = [name for name in (task.positive_label,) if name is not None and name not in there]
        if not lacking and len(there) < 2:
            lacking = sorted(set(task.label_list()) - there)[:1]
        if not lacking:
            continue
        rows = pd.concat([frame[frame["label"] == lacking[0]] for frame in frames.values()])
        span = f"from {rows[kind].min()} to {rows[kind].max()}" if kind == TIME else f"of group {_most(rows)}"
        raise DataError(
            f"data.split={config.split}: {split} ({len(frames[split])} rows) has no row of {lacking[0]!r}, whose "
            f"{len(rows)} rows are {span}. Change data.test_fraction or data.validation_fraction, or split by another "
            f"column than {column!r}."
        )


def _most(rows: pd.DataFrame) -> str:
    counts = rows["group"].map(str).value_counts()
    return ", ".join(f"{name!r} ({count})" for name, count in counts.head(SHOWN).items())


def described(frames: dict[str, pd.DataFrame], split: str | None) -> dict[str, Any]:
    """What `metrics.json` says of a split along a column: where each part begins and ends, or its groups."""
    if split is None:
        return {}
    kind = str(kind_of(split))
    found: dict[str, Any] = {"by": kind, "column": column_of(split)}
    for name, frame in frames.items():
        if kind == TIME:
            found[name] = {"first": _plain(frame["time"].min()), "last": _plain(frame["time"].max())}
        else:
            found[name] = {"groups": int(frame["group"].map(str).nunique())}
    return found


def _plain(value: Any) -> Any:
    return value.isoformat() if hasattr(value, "isoformat") else float(value)


def along_sentence(along: dict[str, Any]) -> str:
    """In words what `described` says."""
    parts = [
        f"{name} {facts['first']} to {facts['last']}" if "first" in facts else f"{name} {facts['groups']} groups"
        for name, facts in along.items()
        if isinstance(facts, dict)
    ]
    return f"Split by {along['by']} ({along['column']}): {', '.join(parts)}".replace("T00:00:00", "")
