"""`nlptl predict` and `nlptl evaluate` in real processes: options, standard input, launchers, signals, outputs."""

import json
import os
import signal
import subprocess
import sys

import pandas as pd
import pytest
from forked import Blow, Group

import nlptl

TEXTS = ["a good film", "a bad book", "a great meal"]


@pytest.fixture(scope="module")
def run(trained_tiny):
    return nlptl.load(trained_tiny("bert", "full", "mean").run.folder, progress=False)


@pytest.fixture
def nlptl_says(tmp_path, monkeypatch):
    """Runs one command in a process of its own, and gives what it printed; checks its exit code."""
    monkeypatch.chdir(tmp_path)

    def command(*arguments: str, code: int = 0, count: int = 1, blow: Blow | None = None) -> str:
        group = Group([str(a) for a in arguments], tmp_path / "log", tmp_path / "cache", count, blow)
        codes, said = group.wait(), group.said()
        assert codes == [code] * count, said
        assert "Traceback" not in said
        return said

    return command


@pytest.fixture
def table(tmp_path):
    """Rows of more than two chunks."""
    path = tmp_path / "in.csv"
    pd.DataFrame({"id": range(21_000), "text": [TEXTS[i % 3] for i in range(21_000)]}).to_csv(path, index=False)
    return path


def test_under_a_launcher_one_process_predicts(run, nlptl_says, table, tmp_path):
    said = nlptl_says("predict", run.folder, "--input", "in.csv", "--output", "out.csv", count=2)
    assert said.count("21000 predictions written") == 1
    assert said.count("2 processes were launched, but `nlptl predict` runs in one") == 1
    found = pd.read_csv(tmp_path / "out.csv")
    assert found["id"].tolist() == list(range(21_000))
    assert found["predicted"].tolist() == [p.label for p in run.predict(TEXTS)] * 7000


def test_under_a_launcher_one_process_evaluates_and_merges(run, obvious, nlptl_says, tmp_path):
    said = nlptl_says("evaluate", run.folder, "--data", obvious / "test.csv", "--output", "m.json", count=2)
    assert said.count("Written to m.json") == 1
    assert json.loads((tmp_path / "m.json").read_text())["test"]["rows"] == 31
    assert nlptl_says("merge", run.folder, "--output", "merged", count=2).count("Merged run written") == 1


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129), (signal.SIGINT, 130)], ids=["TERM", "HUP", "INT"]
)
def test_a_signal_leaves_no_half_written_file(run, nlptl_says, table, tmp_path, number, code):
    (tmp_path / "out.csv").write_text("older")
    blow = Blow("nlptl.data.files:TableWriter.write", 2, number)
    nlptl_says("predict", run.folder, "--input", "in.csv", "--output", "out.csv", code=code, blow=blow)
    assert (tmp_path / "out.csv").read_text() == "older"
    assert not [path.name for path in tmp_path.iterdir() if ".part" in path.name]


def test_two_processes_write_one_file_once(run, table, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    arguments = ["predict", str(run.folder), "--input", "in.csv", "--output", "out.csv"]
    groups = [Group(arguments, tmp_path / f"log{i}", tmp_path / "cache") for i in range(2)]
    codes = sorted(code for group in groups for code in group.wait())
    said = "".join(group.said() for group in groups)
    assert codes in ([0, 0], [0, 2])  # one after the other, or the second refused
    assert said.count("21000 predictions written") == codes.count(0)
    assert ("is writing" in said) == (2 in codes)
    assert pd.read_csv(tmp_path / "out.csv")["id"].tolist() == list(range(21_000))


def piped(run, given: bytes, *arguments: str, code: int = 0) -> tuple[list[dict], str]:
    """Standard output as records, and standard error."""
    command = [sys.executable, "-m", "nlptl", "predict", str(run.folder), *arguments, "--format", "json"]
    done = subprocess.run(command, input=given, capture_output=True, check=False, env={**os.environ, "NO_COLOR": "1"})
    assert done.returncode == code, done.stderr.decode()
    assert b"Traceback" not in done.stderr
    *lines, end = done.stdout.decode().split("\n")
    assert end == ""
    return [json.loads(line) for line in lines], done.stderr.decode()


def test_a_dash_is_standard_input_without_its_mark_and_line_ends(run):
    records, _ = piped(run, b"\xef\xbb\xbfa good film\r\na bad\x0bbook\xe2\x80\xa8on\n\nfine", "-")
    assert [record["text"] for record in records] == ["a good film", "a bad\x0bbook\u2028on", "", "fine"]


def test_what_is_told_does_not_mix_with_the_answers(run, tmp_path):
    """A run whose precision this machine does not compute in, as its metrics say."""
    import shutil

    shutil.copytree(run.folder, tmp_path / "run")
    metrics = json.loads((run.folder / "metrics.json").read_text())
    metrics["runtime"]["precision"] = "fp16"
    (tmp_path / "run" / "metrics.json").write_text(json.dumps(metrics))
    command = [sys.executable, "-m", "nlptl", "predict", str(tmp_path / "run"), "-", "--format", "json"]
    done = subprocess.run(command, input="a good film\n", capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)["text"] == "a good film"
    assert "trained and measured in fp16" in done.stderr


def test_predict_imports_no_more_than_it_uses(run):
    command = [sys.executable, "-X", "importtime", "-m", "nlptl", "predict", str(run.folder), "a good film"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    names = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines() if line.startswith("import time:")}
    assert "torch" in names
    assert not names & {
        "evaluate",
        "sklearn",
        "datasets",
        "peft",
        "nlptl.strategies",
        "nlptl.baselines",
        "nlptl.explore.discovery",
        "nlptl.explore.layers",
        "nlptl.explore.ranking",
    }
