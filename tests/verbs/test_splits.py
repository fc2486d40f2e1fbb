"""`nlptl splits`: a random split flatters where rows of one campaign are on both sides, and else is not blamed."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

import nlptl
from nlptl import cli
from nlptl.errors import ConfigError, DataError

QUIET = {"runtime.progress": False, "baseline.features": ["words"]}


def campaigns(leaky: bool) -> pd.DataFrame:
    """Messages of 30 campaigns with words of their own, which tell the label only to those who saw the campaign."""
    rng = np.random.default_rng(0)
    rows = []
    for campaign in range(30):
        label = "fraud" if campaign % 2 else "legitimate"
        for number in range(12):
            words = [f"c{campaign}w{rng.integers(6)}" for _ in range(3)] if leaky else [f"w{rng.integers(60)}"]
            sign = "prize" if label == "fraud" and rng.random() < (0.3 if leaky else 0.8) else "hello"
            rows.append(
                {"text": f"{sign} {' '.join(words)} n{number}x{campaign}", "label": label, "campaign": campaign}
            )
    return pd.DataFrame(rows)


def test_random_splits_flatter_where_groups_have_words_of_their_own():
    found = nlptl.compare_splits(
        "fraud-text", data=campaigns(True), split="group:campaign", model="naive_bayes", seeds=2, settings=QUIET
    )
    assert [row["split"] for row in found.rows] == ["group:campaign"] * 2 + ["random"] * 2
    assert found.difference.mean > 0.1
    assert found.sentence.startswith("A random split flatters: macro f1 is ")
    assert json.loads(json.dumps(found.to_json()))["difference"]["difference"] == found.difference.mean


def test_where_groups_are_alike_nothing_is_said_against_random_splits():
    found = nlptl.compare_splits(
        "fraud-text",
        data=campaigns(False),
        split="group:campaign",
        model="naive_bayes",
        seeds=2,
        settings=QUIET,
    )
    assert found.sentence.startswith("No clear difference: ")


def test_the_command_measures_the_frozen_encoder_along_time(tiny, tmp_path):
    frame = campaigns(True).sample(120, random_state=0)
    frame["day"] = [f"2026-01-{1 + i % 28:02d}" for i in range(120)]
    frame.to_csv(tmp_path / "mails.csv", index=False)
    asked = ["splits", "fraud-text", "--data", str(tmp_path / "mails.csv"), "--split", "time:day", "--seeds", "1"]
    asked += ["--output", str(tmp_path / "found.json"), "--set", f"checkpoint={tiny['bert']}"]
    asked += ["--set", "runtime.precision=fp32", "--set", "runtime.progress=false"]
    done = CliRunner(env={"COLUMNS": "200"}).invoke(cli.app, asked)
    assert done.exit_code == 0, done.output
    written = json.loads((tmp_path / "found.json").read_text())
    assert [row["split"] for row in written["rows"]] == ["time:day", "random"]
    assert written["model"] == "feature_extraction"
    assert written["sentence"] in done.output
    assert sorted(path.name for path in tmp_path.iterdir()) == ["found.json", "mails.csv"]


@pytest.mark.parametrize(
    ("asked", "error", "message"),
    [
        ({}, ConfigError, "Say along which column"),
        ({"split": "time:when"}, DataError, "has no column 'when'"),
        ({"split": "day"}, ConfigError, "expected time:COLUMN or group:COLUMN"),
        ({"split": "group:campaign", "seeds": 0}, ConfigError, "at least one random split"),
    ],
)
def test_what_cannot_be_done_is_said(asked, error, message):
    with pytest.raises(error, match=message):
        nlptl.compare_splits("fraud-text", data=campaigns(False), model="naive_bayes", settings=QUIET, **asked)
