"""Finished runs to report on: small ones on the bundled checkpoint, and copies whose test rows are made up."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from nlptl.config.records import read_record
from nlptl.evaluation.decisions import open_decision
from nlptl.evaluation.evaluator import full_report, probabilities_of
from nlptl.runs.answers import SplitAnswers, read_answers, write_answers
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
    task = TaskSpec(name="topics", description="What is it about?", kind="multi_label")
    output = tmp_path_factory.mktemp("several") / "run"
    return Path(train(task, folder, output, mode="feature_extraction", checkpoint=tiny["bert"]).run.folder)


@pytest.fixture(scope="session")
def with_rows(tmp_path_factory: pytest.TempPathFactory) -> WithRows:
    """A copy of a run of one label a text, whose test rows are others."""

    def made(run: Path, texts: Sequence[str], targets: np.ndarray, logits: np.ndarray, labels: Any = None) -> Path:
        folder = tmp_path_factory.mktemp("rows") / "run"
        shutil.copytree(run, folder)
        task = read_record(TaskSpec, folder / "task.yaml")
        validation = read_answers(folder)["validation"]
        if labels is not None:
            task = task.model_copy(update={"labels": labels, "positive_label": labels[-1]})
            (folder / "task.yaml").write_text(json.dumps(task.model_dump(mode="json")), encoding="utf-8")
            validation = SplitAnswers(
                np.resize(validation.logits, (len(validation.logits), len(labels))), validation.targets
            )
        found = SplitAnswers(logits.astype(np.float32), targets)
        write_answers(folder, {"validation": validation, "test": found})
        decision = open_decision(json.loads((folder / "decision.json").read_text()))
        metrics = json.loads((folder / "metrics.json").read_text())
        metrics["test"] = full_report(task, found.logits, targets, decision)
        metrics["validation"] = full_report(task, validation.logits, validation.targets, decision)
        (folder / "metrics.json").write_text(
            json.dumps(metrics, default=float).replace("NaN", "null"), encoding="utf-8"
        )
        names, probabilities = np.array(task.label_list(), object), probabilities_of(found.logits, False)
        decided, scores = decision.apply(probabilities, list(names))
        table = {"text": texts, "label": names[targets], "predicted": decided}
        table |= {"most_probable": names[probabilities.argmax(1)], "score": scores.round(6)}
        pd.DataFrame(table).to_csv(folder / "predictions.csv", index=False)
        return folder

    return made


def made_up(rows: int, labels: int = 2, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Targets and logits of a model that is often right."""
    random = np.random.default_rng(seed)
    targets = random.integers(labels, size=rows)
    return targets, random.normal(size=(rows, labels)) * 1.5 + 2 * np.eye(labels)[targets]
