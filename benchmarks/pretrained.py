"""Checkpoints that studies pre-train: each is made once, and kept under the name of everything that decides it."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

import pandas as pd


def kept_checkpoints() -> Path:
    """Where they are kept: the folder that the variable `NLPTL_STUDIES` names, else `~/.cache/nlptl-studies`.

    Not in nlptl's cache, of which each measured case has one of its own.
    """
    return Path(os.environ.get("NLPTL_STUDIES") or Path.home() / ".cache" / "nlptl-studies")


def pretrained(settings: dict[str, Any], **asked: Any) -> Path:
    """`nlptl.pretrain(**asked, settings=settings)`, unless its result is there already."""
    import nlptl
    from nlptl.checkpoints import resolve_checkpoint
    from nlptl.storage.identity import file_digest, identity, versions

    start = asked.get("checkpoint")
    decides = {
        **asked,
        "data": [file_digest(Path(path)) for path in asked.get("data") or []],
        "checkpoint": start and resolve_checkpoint(str(start)).revision,
    }
    folder = kept_checkpoints() / identity(settings=settings, asked=decides, versions=versions())
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
