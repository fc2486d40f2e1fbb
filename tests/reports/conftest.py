"""Finished runs to report on: small ones on the bundled checkpoint, and copies whose test rows are made up."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from nlptl.config.records import read_record, write_yaml
from nlptl.runs.answers import SplitAnswers, read_answers, write_answers
from nlptl.storage.json_files import read_json, write_json
from nlptl.strategies.saving import fitted_head, reports_of, write_predictions
from nlptl.tasks import TaskSpec
from tests.conftest import Train, sample
from tests.docs.written import mentions

WithRows = Callable[..., Path]
HOSTILE = (
    "</script><script>alert(1)</script>",
    "<!-- <script> --> <img src=x onerror=alert(2)> ]]> &lt;b&gt;",
    "\u2028line\u2029 \x00\x07 \ufffe",
    "مرحبا، حسابك مغلق! <b>שלום</b> \u202eevil",
    "=cmd|' /C calc'!A0",
)


@pytest.fixture(scope="session")
def fraud(train: Train, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A task with a positive label and a fitted threshold, on the bundled checkpoint."""
    folder = tmp_path_factory.mktemp("messages")
    for split, rows in (("train", 160), ("validation", 80), ("test", 120)):
        sample("fraud-text", split, rows).to_csv(folder / f"{split}.csv", index=False)
    output = tmp_path_factory.mktemp("fraud") / "run"
    return Path(train("fraud-text", folder, output, mode="feature_extraction").run.folder)


@pytest.fixture(scope="session")
def topics(tiny: dict[str, str], train: Train, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Several labels a text, on a tiny checkpoint."""
    folder = tmp_path_factory.mktemp("topics")
    texts, found = mentions(300)
    rows = pd.DataFrame({"text": texts, "label": ["|".join(names) for names in found]})
    for split, part in zip(("train", "validation", "test"), np.array_split(np.arange(300), 3), strict=True):
        rows.iloc[part].to_csv(folder / f"{split}.csv", index=False)
    home = tmp_path_factory.mktemp("several")
    task = TaskSpec(name="topics", description="What is it about?", kind="multi_label")
    (home / "topics").mkdir()
    write_yaml(home / "topics" / "task.yaml", task)
    settings = {"tasks_dir": str(home)}
    run = train("topics", folder, home / "run", settings, mode="feature_extraction", checkpoint=tiny["bert"]).run
    return Path(run.folder)


@pytest.fixture(scope="session")
def with_rows(tmp_path_factory: pytest.TempPathFactory) -> WithRows:
    """A copy of a run of one label a text, whose test rows are others."""

    def made(run: Path, texts: Sequence[str], targets: np.ndarray, logits: np.ndarray, labels: Any = None) -> Path:
        folder = tmp_path_factory.mktemp("rows") / "run"
        shutil.copytree(run, folder)
        task = read_record(TaskSpec, folder / "task.yaml")
        answers = {**read_answers(folder), "test": SplitAnswers(logits.astype(np.float32), targets)}
        if labels is not None:
            task = task.model_copy(update={"labels": labels, "positive_label": labels[-1]})
            write_yaml(folder / "task.yaml", task)
            answers["validation"] = answers["test"]
        write_answers(folder, answers)
        head = fitted_head(task, answers["validation"], 0)
        write_json(folder / "calibration.json", head.calibration.to_json())
        write_json(folder / "decision.json", head.decision.to_json())
        write_json(folder / "metrics.json", {**read_json(folder / "metrics.json"), **reports_of(head, answers)})
        frame = pd.DataFrame({"text": texts, "label": np.array(task.label_list(), object)[targets]})
        write_predictions(head, frame, answers["test"], folder / "predictions.csv")
        return folder

    return made


def made_up(rows: int, labels: int = 2, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Targets and logits of a model that is often right."""
    random = np.random.default_rng(seed)
    targets = random.integers(labels, size=rows)
    return targets, random.normal(size=(rows, labels)) * 1.5 + 2 * np.eye(labels)[targets]
