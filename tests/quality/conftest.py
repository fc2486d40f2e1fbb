"""A small real set with planted mistakes, intents of the bundled sample, and what one inspection makes of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import nlptl
from tests.conftest import sample

INTENTS = 15
SETTINGS = {"runtime.progress": False, "runtime.precision": "fp32", "probe.regularisation": [0.1, 1.0, 10.0]}


@dataclass(frozen=True)
class Planted:
    """Split files, what is wrong with them, and what an inspection found."""

    folder: Path
    flipped: set[tuple[str, int]]
    """Split and number of rows whose label was changed."""
    doubles: list[tuple[tuple[str, int], tuple[str, int]]]
    """Pairs of rows whose texts are alike."""
    found: Any


def intents(split: str) -> pd.DataFrame:
    """The rows of the first intents."""
    rows = sample("chatbot-intent", split, 10_000)
    return rows[rows["label"].isin(sorted(rows["label"].unique())[:INTENTS])].reset_index(drop=True)


@pytest.fixture(scope="session")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Planted:
    folder = tmp_path_factory.mktemp("planted")
    rng = np.random.default_rng(0)
    frames = {split: intents(split).assign(channel="app") for split in ("train", "validation", "test")}
    train, names = frames["train"], sorted(frames["train"]["label"].unique())
    flipped = set()
    for row in rng.permutation(len(train))[: len(train) // 20].tolist():
        train.loc[row, "label"] = names[
            (names.index(train.loc[row, "label"]) + int(rng.integers(1, INTENTS))) % INTENTS
        ]
        flipped.add(("train", row + 1))
    kept = [row for row in range(len(train)) if ("train", row + 1) not in flipped and len(train.loc[row, "text"]) > 30]
    doubles = []
    for place, (source, target) in enumerate((s, t) for s in ("train", "test") for t in ("train", "test") if s != t):
        for row in (kept if source == "train" else range(len(frames["test"])))[3 * place : 3 * place + 3]:
            doubles.append(_double(frames, source, target, int(row), place))
    doubles += [_double(frames, "train", "train", int(row), 7) for row in kept[20:23]]
    frames["train"].loc[len(frames["train"])] = ["quite rare indeed, this one", "seldom", "web"]
    frames["train"].loc[len(frames["train"])] = ["hardly ever asked by anybody", "seldom", "web"]
    for split, frame in frames.items():
        frame.to_csv(folder / f"{split}.csv", index=False)
    task = write_task(folder, [*names, "seldom"])
    found = nlptl.inspect("helpdesk", data=folder, tasks_dir=task, slices="channel", settings=SETTINGS)
    return Planted(folder, flipped, doubles, found)


def _double(
    frames: dict[str, pd.DataFrame], source: str, target: str, row: int, way: int
) -> tuple[tuple[str, int], tuple[str, int]]:
    """Add a row's text once more: with other case and signs, or with a word or letter more."""
    text, label = frames[source].loc[row, ["text", "label"]]
    changed = [f"{text.upper()} !", f"{text} please"][(row + way) % 2]
    frames[target].loc[len(frames[target])] = [changed, label, "app"]
    return (source, row + 1), (target, len(frames[target]))


def write_task(folder: Path, labels: list[str]) -> Path:
    """A folder with the task `helpdesk`."""
    home = folder / "tasks" / "helpdesk"
    home.mkdir(parents=True)
    listed = "\n".join(f"  - {label}" for label in labels)
    (home / "task.yaml").write_text(
        f"name: helpdesk\ndescription: Requests.\nkind: single_label\nlabels:\n{listed}\ntext_columns: [text]\n"
        "label_column: label\nmetric: accuracy\n"
    )
    return folder / "tasks"
