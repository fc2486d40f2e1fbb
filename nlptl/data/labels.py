"""Cells of the label column as names of labels, and the forms of labels that are no names."""

from __future__ import annotations

import ast
import json
import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any

import pandas as pd

from nlptl.data.audit import is_empty
from nlptl.errors import shortened
from nlptl.tasks import TaskSpec

SEPARATORS = ("|", ";", ",", "\t")
"""What stands between the labels of a cell, where people write several into one."""
_WRITTEN_LIST = re.compile(r"\s*[\[({].*[\])}]\s*", re.DOTALL)
_NO_COMMA_BETWEEN = re.compile(r"""['"]\s+['"]""")  # as numpy prints; Python would join the two texts
_NAMES_BY_CODE = 'frame["label"] = [[name for name, on in zip(NAMES, row) if int(on)] for row in frame["label"]]'


def label_name(value: Any) -> str:
    """The name of a label cell; whole numbers as a CSV would write them, `1` rather than `1.0`."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value).strip()


def label_of(value: Any, task: TaskSpec, label_map: Mapping[str, str]) -> str | list[str]:
    """A cell as a label name, or a list of names for multi_label; what the map leaves out is an empty name, or none.

    Several labels are a list, a list written out as text (`["a", "b"]`, as JSON or Python writes it), or names with the
    task's `label_separator` between them.
    """
    if task.kind == "multi_label":
        names = [label_name(part) for part in _parts(value, task, label_map)]
        return [new for name in dict.fromkeys(names) if (new := label_map.get(name, name))]
    name = label_name(value)
    return label_map.get(name, name)


def _parts(value: Any, task: TaskSpec, label_map: Mapping[str, str]) -> list[Any]:
    if isinstance(value, str):
        listed = None if value.strip() in _known(task, label_map) else written_list(value)
        return [part for part in value.split(task.label_separator) if part.strip()] if listed is None else listed
    if pd.api.types.is_list_like(value):
        return list(value)
    return [] if is_empty(value) else [value]


def _known(task: TaskSpec, label_map: Mapping[str, str]) -> set[str]:
    """Names that the task or the map says are labels, whatever they look like."""
    return set(label_map) | (set() if isinstance(task.labels, str) else set(task.labels))


def written_list(cell: Any) -> list[Any] | None:
    """The elements of a list that is written out as text, as JSON or Python writes it; None for any other cell."""
    if not isinstance(cell, str) or not _WRITTEN_LIST.fullmatch(cell) or _NO_COMMA_BETWEEN.search(cell):
        return None
    for read in (json.loads, ast.literal_eval):
        with suppress(ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
            found = read(cell.strip())
            if not isinstance(found, list | tuple | set):
                return None
            listed = sorted(found, key=str) if isinstance(found, set) else list(found)
            return listed if all(isinstance(part, str | int | float) for part in listed) else None
    return None


def separated_otherwise(cells: Iterable[Any], separator: str, known: set[str]) -> tuple[str, str] | None:
    """A cell that holds several labels with another separator than the given one, and that separator; None: no cell.

    A part counts as a label where it is known, or, where no label is known, stands in another cell as well.

    Args:
        cells: of a label column.
        separator: the one that the cells should have; empty: none.
        known: labels; empty: they are read from the data.
    """
    texts = {cell for cell in cells if isinstance(cell, str) and written_list(cell) is None}
    names = {part.strip() for cell in texts for part in (cell.split(separator) if separator else [cell])} - {"", *known}
    for other in SEPARATORS:
        if other == separator:
            continue
        split = {name: {part.strip() for part in name.split(other)} - {""} for name in sorted(names)}
        seen = Counter(part for parts in split.values() for part in parts)
        for name, parts in split.items():
            if len(parts) > 1 and all(part in known if known else seen[part] > 1 for part in parts):
                return name, other
    return None


def form_fault(cells: Iterable[Any], task: TaskSpec, label_map: Mapping[str, str]) -> str | None:
    """Why these cells cannot be names of labels, or None: vectors of 0 and 1, scores, lists that cannot be read.

    Each of them could be taken for names, and a classifier trained that answers `0` and `1`.
    """
    filled = [cell for cell in cells if not is_empty(cell)]
    if task.kind == "single_label":
        return _not_single(filled)
    known = _known(task, label_map)
    vectors = [_numbers(cell, task.label_separator) for cell in filled]
    if filled and all(vector is not None for vector in vectors):
        return _vectors_fault([vector for vector in vectors if vector is not None], filled, known)
    written = [cell for cell in filled if isinstance(cell, str) and _WRITTEN_LIST.fullmatch(cell)]
    odd = next((cell for cell in written if label_name(cell) not in known and written_list(cell) is None), None)
    if odd is not None:
        return (
            f"{shortened(odd)!r} looks like a list, but neither JSON nor Python reads it as a list of names. Write it "
            f'as ["a", "b"], or the names alone with {task.label_separator!r} between them.'
        )
    if found := separated_otherwise(filled, task.label_separator, known):
        cell, other = found
        return (
            f"{shortened(cell)!r} looks like several labels with {other!r} between them, but the task's "
            f"label_separator is {task.label_separator!r}. Write the labels so, or label_separator: {other!r} into "
            "task.yaml before training; or, if it is one label, list it under labels there."
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
            "each cell is 0 or 1, which says of one label whether it applies. Where each label has such a column, list "
            "the names of these columns as labels in task.yaml, without a label_column (nlptl tasks new drafts it: "
            "--label-column A --label-column B)"
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
