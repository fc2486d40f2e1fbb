"""Rows of a benchmark: where and with what they were measured, and the file that keeps them."""

from __future__ import annotations

import json
import os
import platform
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any
from unittest.mock import patch

Row = dict[str, Any]


def surroundings(packages: Sequence[str]) -> Row:
    """Where and with what a row was measured."""
    import torch

    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    processor = torch.cpu.get_capabilities().get("cpu_name") or platform.processor() or platform.machine()
    return {
        "machine": gpu or f"{processor}, {os.cpu_count()} cores",
        "versions": {"python": platform.python_version(), **{name: version(name) for name in packages}},
        "date": date.today().isoformat(),
    }


@contextmanager
def own_cache() -> Iterator[None]:
    """While this lasts nlptl's cache is a new and empty one: no row depends on what was measured before it."""
    with tempfile.TemporaryDirectory() as folder, patch.dict(os.environ, {"NLPTL_CACHE": folder}):
        yield


def read(path: Path) -> list[Row]:
    """The rows that were measured before; none where there is no file."""
    rows: list[Row] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else []
    return rows


def write(path: Path, rows: list[Row]) -> None:
    """Write aside and rename: a stop in between loses nothing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(path.name + ".part")
    aside.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    aside.replace(path)


def put_into(page: Path, marker: str, shown: str) -> None:
    """Put a table between a page's markers `<!-- marker -->` and `<!-- /marker -->`, in place of what is there."""
    before, opening, rest = page.read_text(encoding="utf-8").partition(f"<!-- {marker} -->")
    _, closing, after = rest.partition(f"<!-- /{marker} -->")
    if not opening or not closing:
        raise SystemExit(f"{page} has no <!-- {marker} --> ... <!-- /{marker} --> to put the table between")
    page.write_text(f"{before}{opening}\n{shown}\n{closing}{after}", encoding="utf-8")


def is_measured(case: Row, rows: Iterable[Row]) -> bool:
    """Whether one of the rows is of this case."""
    return any(belongs(row, case) for row in rows)


def belongs(row: Row, case: Row) -> bool:
    """Whether a row was measured for a case: it holds all that the case says."""
    return all(key in row and row[key] == value for key, value in case.items())


def versions_and_dates(rows: list[Row]) -> list[str]:
    """What stands below a table: the packages' versions, and the first and last day."""
    return [
        " / ".join(in_order(", ".join(f"{k} {v}" for k, v in row["versions"].items()) for row in rows)),
        " to ".join(sorted({min(row["date"] for row in rows), max(row["date"] for row in rows)})) if rows else "",
    ]


def in_order(values: Iterable[str]) -> list[str]:
    """Each value once, where it first stood."""
    return list(dict.fromkeys(values))
