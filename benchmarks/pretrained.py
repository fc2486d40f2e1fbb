"""Checkpoints that studies pre-train: each is made once and kept in the cache under everything that decides it."""

from __future__ import annotations

import hashlib
import json
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd


def pretrained(settings: dict[str, Any], **asked: Any) -> Path:
    """`nlptl.pretrain(**asked, settings=settings)`, unless the cache has its result already."""
    import nlptl
    from nlptl.storage.paths import cache_dir

    files = [Path(path) for path in asked.get("data") or []]
    known = [settings, {**asked, "data": [[file.name, file.stat().st_size] for file in files]}, version("nlptl")]
    key = hashlib.sha256(json.dumps(known, sort_keys=True, default=str).encode()).hexdigest()[:16]
    folder = cache_dir() / "studies" / key
    if not folder.exists():
        nlptl.pretrain(**asked, output=folder, settings={"runtime.progress": False, **settings})
    return folder


def accuracy(
    root: Path, task: str, checkpoint: str | Path, mode: str, labels: int, seed: int, classes: int, **settings: Any
) -> float:
    """Test accuracy of a run with so many labels in all, those of validation included; the run is not kept.

    Args:
        root: a folder with train.csv and test.csv; a validation file there is left alone, its labels would be more.
        task: a registered task.
        checkpoint: a name or folder.
        mode: of the run.
        labels: how many rows are labelled, spread evenly.
        seed: draws them.
        classes: number of different labels.
        settings: more of them, `__` for the dot.
    """
    import nlptl

    with tempfile.TemporaryDirectory() as folder:
        run = nlptl.train(
            task,
            data=train_and_test(root),
            mode=mode,
            checkpoint=str(checkpoint),
            seed=seed,
            output=Path(folder) / "run",
            settings={
                "data.shots": labels // classes,
                "runtime.progress": False,
                **{key.replace("__", "."): value for key, value in settings.items()},
            },
        )
        return float(run.metrics["test"]["accuracy"])


def train_and_test(root: Path) -> dict[str, pd.DataFrame]:
    """The two splits of a folder; validation is then cut from train."""
    return {split: pd.read_csv(root / f"{split}.csv", keep_default_na=False) for split in ("train", "test")}
