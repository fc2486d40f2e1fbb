"""Cells of the label column as names of labels, and the forms of labels that are no names."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from nlptl.data.audit import is_empty
from nlptl.errors import shortened
from nlptl.tasks import TaskSpec

_WRITTEN_LIST = re.compile(r"\s*[\[({].*[\])}]\s*", re.DOTALL)
_NAMES_BY_CODE = 'frame["label"] = [[name for name, on in zip(NAMES, row) if int(on)] for row in frame["label"]]'


def label_name(value: Any) -> str:
    """The name of a label cell; whole numbers as a CSV would write them, `1` rather than `1.0`."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value).strip()


def label_of(value: Any, task: TaskSpec, label_map: Mapping[str, str]) -> str | list[str]:
    """A cell as a label name, or a list of names for multi_label; what the map leaves out is an empty name, or none."""
    if task.kind == "multi_label":
        names = [label_name(part) for part in _parts(value, task.label_separator)]
        return [new for name in dict.fromkeys(names) if (new := label_map.get(name, name))]
    name = label_name(value)
    return label_map.get(name, name)


def _parts(value: Any, separator: str) -> list[Any]:
    if isinstance(value, str):
        return value.split(separator)
    if pd.api.types.is_list_like(value):
        return list(value)
    return [] if is_empty(value) else [value]


def form_fault(cells: Iterable[Any], task: TaskSpec, label_map: Mapping[str, str]) -> str | None:
    """Why these cells cannot be names of labels, or None: vectors of 0 and 1, scores, lists written out as text.

    Each of them could be taken for names, and a classifier trained that answers `0` and `1`.
    """
    filled = [cell for cell in cells if not is_empty(cell)]
    if task.kind == "single_label":
        return _not_single(filled)
    known = set(label_map) | (set() if isinstance(task.labels, str) else set(task.labels))
    vectors = [_numbers(cell, task.label_separator) for cell in filled]
    if filled and all(vector is not None for vector in vectors):
        return _vectors_fault([vector for vector in vectors if vector is not None], filled, known)
    written = next((cell for cell in filled if isinstance(cell, str) and _WRITTEN_LIST.fullmatch(cell)), None)
    if written is not None and label_name(written) not in known:
        return (
            f"{shortened(written)!r} is a list written out as text. Give the names alone with {task.label_separator!r} "
            f"between them, such as a{task.label_separator}b, or lists in JSON Lines or Parquet."
        )
    return None


def _not_single(filled: Sequence[Any]) -> str | None:
    odd = next((c for c in filled if isinstance(c, bytes | dict) or pd.api.types.is_list_like(c)), None)
    if odd is None:
        return None
    return (
        f"{shortened(repr(odd))} is a list, an object or bytes, not the name of a label. For several labels per text, "
        "the task needs kind: multi_label."
    )


def _numbers(cell: Any, separator: str) -> list[float] | None:
    """The cell as numbers, where it is nothing but numbers: a list of them, or a text such as `[0, 1, 0]`."""
    parts: Sequence[Any]
    if isinstance(cell, str):
        parts = re.split(r"[\s,;]+", cell.strip(" \t[](){}").replace(separator, " "))
    elif isinstance(cell, dict):
        return None
    else:
        parts = list(cell) if pd.api.types.is_list_like(cell) else [cell]
    try:
        numbers = [float(part) for part in parts]
    except (TypeError, ValueError):
        return None
    return numbers if all(map(math.isfinite, numbers)) else None


def _vectors_fault(vectors: Sequence[Sequence[float]], cells: Sequence[Any], known: set[str]) -> str | None:
    lengths = {len(vector) for vector in vectors if vector}
    numbers = {number for vector in vectors for number in vector}
    shown = shortened(repr(cells[0]))
    if numbers - {0.0, 1.0}:
        scores = any(not number.is_integer() for number in numbers)
        return (
            f"{shown} holds scores, not the names of labels. Give the names of those that apply{_how()}"
            if scores and not {label_name(number) for number in numbers} <= known
            else None
        )
    if lengths == {1}:
        if {label_name(number) for number in numbers} <= known:
            return None
        return (
            "each cell is 0 or 1, which says of one label whether it applies. Put the names of all that apply into "
            "one column, such as frame['label'] = ['|'.join(name for name in NAMES if row[name]) for _, row in "
            "frame.iterrows()]"
        )
    repeated = any(len(set(vector)) < len(vector) for vector in vectors)
    if lengths and len(lengths) == 1 and (repeated or not {"0", "1"} <= known):
        return (
            f"{shown} is an indicator vector: each 0 or 1 says whether the label at that place applies. Give the names "
            f"of those that apply{_how()}"
        )
    return None


def _how() -> str:
    return f": names joined by the task's label_separator in CSV, lists of names elsewhere; in Python {_NAMES_BY_CODE}"
