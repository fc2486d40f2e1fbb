"""`nlptl adapt` end to end; mistakes are answered before anything heavy is imported."""

import os
import re
import subprocess
import sys

import pandas as pd
import pytest

import nlptl
from nlptl.errors import ConfigError


def adapt(*arguments: str, code: int = 0) -> str:
    environment = {**os.environ, "COLUMNS": "200", "NO_COLOR": "1"}
    command = [sys.executable, "-m", "nlptl", "adapt", *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout if code == 0 else done.stderr


@pytest.fixture
def files(obvious, tmp_path):
    """Two domains: labelled files."""
    for name, split in (("plain", "train"), ("dressed", "validation")):
        frame = pd.read_csv(obvious / f"{split}.csv")
        frame.to_csv(tmp_path / f"{name}.csv", index=False)
    return [str(tmp_path / "plain.csv"), str(tmp_path / "dressed.csv")]


def test_domains_give_a_matrix(files, tiny, tmp_path):
    common = ["--mode", "feature_extraction", "--checkpoint", tiny["bert"], "--method", "coral"]
    text = adapt("sentiment", *common, "--output", str(tmp_path / "all"), "--domains", ",".join(files))
    assert re.search(r"\| plain \| \(\d+\.\d\) \| \d+\.\d -> \d+\.\d", text)
    assert {path.name for path in (tmp_path / "all").iterdir()} == {
        "plain",
        "dressed",
        "plain-to-dressed",
        "dressed-to-plain",
        "matrix.json",
        "matrix.md",
    }


def test_mistakes_say_what_to_do(files):
    assert "--source FILE --target FILE" in adapt("sentiment", code=2)
    assert "--output DIR" in adapt("sentiment", "--domain", files[0], "--domain", files[1], code=2)
    assert "Did you mean 'sentiment'" in adapt("sentimant", "--source", files[0], "--target", files[1], code=2)


@pytest.mark.parametrize("order", ["task first", "task last", "no task"])
def test_files_behind_domains_are_refused_with_the_form_that_works(files, order):
    """An option takes one value: what stands behind it would be read as the task."""
    task = [] if order == "no task" else ["sentiment"]
    behind = ["--domains", *files]
    told = adapt(*(task + behind if order == "task first" else behind + task), code=2)
    assert f"Write: nlptl adapt {task[0] if task else 'TASK'} --domains {','.join(files)}" in told
    assert len(told.strip().splitlines()) == 1


def test_a_loose_word_without_domains_is_refused(files):
    told = adapt("sentiment", files[0], "--source", files[1], "--target", files[0], code=2)
    assert f"Write: nlptl adapt sentiment --domains {files[0]}" in told


def test_a_matrix_has_its_oracles_and_takes_no_setting_for_them(files, tmp_path):
    asked = ["--domains", ",".join(files), "--output", str(tmp_path / "all")]
    for setting in (["--no-oracle"], ["--set", "adaptation.oracle=false"]):
        told = adapt("sentiment", *asked, *setting, code=2)
        assert "adaptation.oracle would have no effect: of several domains" in told
    with pytest.raises(ConfigError, match="adaptation.oracle would have no effect"):
        nlptl.adapt_matrix("sentiment", files, output=tmp_path / "all", settings={"adaptation.oracle": False})
    assert not (tmp_path / "all").exists()
