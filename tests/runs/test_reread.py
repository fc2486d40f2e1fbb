"""The rows of a run, read again: the same ones under today's names, or a sentence that says why not."""

from __future__ import annotations

import json
import shutil

import pandas as pd
import pytest

import nlptl
from nlptl.data.digest import rows_digest
from nlptl.errors import DataError
from nlptl.runs.reread import reread
from nlptl.tasks import SPLITS
from tests.conftest import sample

SETTINGS = {"runtime.progress": False, "baseline.features": ["words"]}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A baseline on one file, whose splits were cut."""
    folder = tmp_path_factory.mktemp("made")
    sample("sentiment", "train", 60).to_csv(folder / "rows.csv", index=False)
    nlptl.train_baseline("sentiment", data=folder / "rows.csv", output=folder / "run", settings=SETTINGS)
    return folder


def test_the_rows_are_those_of_training(made):
    splits, noted = reread(made / "run"), json.loads((made / "run" / "inputs.json").read_text())
    for split in SPLITS:
        assert rows_digest(splits.frames()[split]) == noted[f"{split} rows of sentiment"]
    kept = pd.read_csv(made / "run" / "predictions.csv")
    assert list(splits.test["text"]) == list(kept["text"])
    assert not set(splits.train["text"]) & set(kept["text"])


def test_rows_that_changed_or_are_gone_are_refused(made, tmp_path):
    home = shutil.copytree(made / "run", tmp_path / "run")
    rows = pd.read_csv(made / "rows.csv")
    rows.assign(text=[f"{text}!" for text in rows["text"]]).to_csv(tmp_path / "changed.csv", index=False)
    with pytest.raises(DataError, match=r"cannot be had: train, validation, test of .*changed.csv are no longer the"):
        reread(home, str(tmp_path / "changed.csv"))
    shutil.copy(made / "rows.csv", tmp_path / "moved.csv")
    assert reread(home, str(tmp_path / "moved.csv")).sizes() == reread(made / "run").sizes()
    run_yaml = (home / "run.yaml").read_text()
    (home / "run.yaml").write_text(run_yaml.replace(str(made / "rows.csv"), str(tmp_path / "gone.csv")))
    with pytest.raises(DataError, match=r"cannot be had: reading them fails: .*gone.csv"):
        reread(home)
    (home / "inputs.json").unlink()
    with pytest.raises(DataError, match="noted no digests"):
        reread(home)


def test_rows_of_the_bundled_sample_and_of_python_data(tmp_path):
    rows = sample("sentiment", "train", 40)
    run = nlptl.train_baseline("sentiment", data=rows, output=tmp_path / "run", settings=SETTINGS)
    with pytest.raises(DataError, match="they were given in Python. Give them again"):
        reread(run.folder)
    assert len(reread(run.folder, given=rows).train) == run.metrics["data"]["train"]
    with pytest.raises(DataError, match="no longer the rows"):
        reread(run.folder, given=rows.iloc[1:])
    bundled = nlptl.train_baseline("fraud-text", output=tmp_path / "bundled", settings=SETTINGS)
    assert len(reread(bundled.folder).train) == bundled.metrics["data"]["train"]
