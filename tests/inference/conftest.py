"""Runs on a tiny checkpoint whose training data had columns, labels and an encoding of their own."""

from pathlib import Path

import pandas as pd
import pytest

import nlptl

SIGNS = {"positive": "+", "negative": "-"}
LABEL_MAP = {"+": "positive", "-": "negative"}


def foreign_table(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows under other names: texts in `body`, labels as signs in `verdict`; their `text` says the opposite."""
    opposite = frame["label"].map({"positive": "a bad film", "negative": "a good film"})
    return pd.DataFrame({"text": opposite, "body": frame["text"] + " é", "verdict": frame["label"].map(SIGNS)})


@pytest.fixture(scope="session")
def foreign(tiny, obvious, tmp_path_factory):
    """A folder with `run`, trained on `train.csv` in cp1252, and `test.csv`, its test split."""
    folder = tmp_path_factory.mktemp("foreign")
    for split in ("train", "validation", "test"):
        frame = foreign_table(pd.read_csv(obvious / f"{split}.csv"))
        frame.to_csv(folder / f"{split}.csv", index=False, encoding="cp1252")
    settings = {
        "data.validation": str(folder / "validation.csv"),
        "data.test": str(folder / "test.csv"),
        "data.text_columns": ["body"],
        "data.label_column": "verdict",
        "data.label_map": LABEL_MAP,
        "data.encoding": "cp1252",
        "runtime.precision": "fp32",
        "runtime.progress": False,
    }
    nlptl.train(
        "sentiment",
        data=folder / "train.csv",
        mode="feature_extraction",
        checkpoint=tiny["bert"],
        output=folder / "run",
        settings=settings,
    )
    return folder


@pytest.fixture
def said(caplog):
    """What the package told, warnings and notes."""
    caplog.set_level("INFO", logger="nlptl")
    return lambda: [record.getMessage() for record in caplog.records if record.name == "nlptl"]


def labels_in(path: Path) -> list[str]:
    """The predictions in a CSV file."""
    return pd.read_csv(path, keep_default_na=False, encoding="utf-8")["predicted"].tolist()
