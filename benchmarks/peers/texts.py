"""What every script here shares: texts from CSV files, and the JSON line at its end."""

from __future__ import annotations

import argparse
import csv
import json
import os
from pathlib import Path
from typing import Any


def parser(description: str | None) -> argparse.ArgumentParser:
    """A command line with the arguments that all have."""
    made = argparse.ArgumentParser(description=(description or "").split("\n", 1)[0])
    made.add_argument("--data", type=Path, required=True, help="folder with train.csv, validation.csv, test.csv")
    made.add_argument("--checkpoint", required=True, help="folder of the encoder")
    made.add_argument("--batch-size", type=int, default=32)
    made.add_argument("--max-length", type=int, default=128)
    made.add_argument("--seed", type=int, default=0)
    return made


def read(folder: Path, *splits: str) -> tuple[list[str], list[str]]:
    """Texts and label names of some splits, one after the other."""
    rows: list[dict[str, str]] = []
    for split in splits:
        with (folder / f"{split}.csv").open(newline="", encoding="utf-8") as stream:
            rows += csv.DictReader(stream)
    return [row["text"] for row in rows], [row["label"] for row in rows]


def threads() -> int:
    """What torch should use: OMP_NUM_THREADS, else all cores."""
    return int(os.environ.get("OMP_NUM_THREADS") or os.cpu_count() or 1)


def say(**numbers: Any) -> None:
    """The result, as the last line of output."""
    rounded = {name: round(value, 4) if isinstance(value, float) else value for name, value in numbers.items()}
    print(json.dumps(rounded), flush=True)
