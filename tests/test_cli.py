import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from nlptl import cli
from nlptl.config.data import DataConfig
from nlptl.data.loading import load_splits
from nlptl.storage.cache import Cache
from nlptl.storage.paths import bundled
from nlptl.tasks import load_task

HEAVY = {"torch", "transformers", "accelerate", "datasets", "peft", "evaluate", "sklearn", "pandas", "numpy"}


def nlptl(*arguments: str, code: int = 0, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "nlptl", *arguments]
    surroundings = {**os.environ, "COLUMNS": "200", "NO_COLOR": "1", "HF_HUB_OFFLINE": "1", **environment}
    done = subprocess.run(command, env=surroundings, capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done


def imported(*arguments: str) -> set[str]:
    """Top-level modules that a command imports."""
    command = [sys.executable, "-X", "importtime", "-m", "nlptl", *arguments]
    done = subprocess.run(command, env={**os.environ}, capture_output=True, text=True, check=True)
    names = [line.rpartition("|")[2].strip() for line in done.stderr.splitlines() if line.startswith("import time:")]
    return {name.partition(".")[0] for name in names}


@pytest.mark.parametrize("arguments", [("--help",), ("tasks",), ("train", "--help"), ("pretrain", "--help")])
def test_light_commands_import_nothing_heavy(arguments):
    seen = imported(*arguments)
    assert {"nlptl", "typer"} <= seen
    assert not seen & HEAVY


def test_help_names_every_verb():
    text = nlptl("--help").stdout
    for verb in (
        "train",
        "adapt",
        "baseline",
        "evaluate",
        "predict",
        "merge",
        "pretrain",
        "discover",
        "probe",
        "rank",
        "tasks",
        "checkpoints",
        "configs",
        "env",
        "version",
    ):
        assert f" {verb} " in text


def test_version():
    assert nlptl("version").stdout.strip() == version("nlptl")


def test_tasks_lists_bundled_and_own(tmp_path):
    (tmp_path / "mail").mkdir()
    (tmp_path / "mail" / "task.yaml").write_text("{name: mail, description: My own mail, labels: [a, b]}")
    text = nlptl("tasks", "--tasks-dir", str(tmp_path)).stdout
    for word in ("sentiment", "chatbot-intent", "fraud-text", "mail", "My own mail"):
        assert word in text
    assert "My own mail" in nlptl("tasks", NLPTL_TASKS=str(tmp_path)).stdout


def test_tasks_show_is_the_tasks_yaml():
    shown = yaml.safe_load(nlptl("tasks", "show", "fraud-text").stdout)
    assert shown["labels"] == ["legitimate", "fraud"]
    assert shown == load_task("fraud-text").model_dump(mode="json", exclude_none=True)


def test_tasks_new_writes_a_task_that_loads(tmp_path):
    frame = pd.DataFrame({"message": [f"message {i}" for i in range(40)], "kind": ["ham", "spam"] * 20})
    frame.to_csv(tmp_path / "mail.csv", index=False)
    tasks_dir = tmp_path / "tasks"
    arguments = ("tasks", "new", "mail", "--data", str(tmp_path / "mail.csv"), "--tasks-dir", str(tasks_dir))
    text = nlptl(*arguments).stdout
    assert "ham, spam" in text
    task = load_task("mail", tasks_dir)
    assert (task.text_columns, task.label_column) == (["message"], "kind")
    assert sum(load_splits(task, DataConfig(), 0).sizes().values()) == 40
    assert "exists already" in nlptl(*arguments, code=2).stderr
    assert "There is a task 'sentiment' already" in nlptl("tasks", "new", "sentiment", *arguments[3:], code=2).stderr


def test_configs():
    names = sorted(path.stem for path in bundled("accelerate_configs").glob("*.yaml"))
    assert [line.split()[0] for line in nlptl("configs").stdout.splitlines()] == names
    path = Path(nlptl("configs", "cpu").stdout.strip())
    assert yaml.safe_load(path.read_text())["use_cpu"] is True


def test_the_cache_is_shown_and_cleared(tmp_path):
    cache = Cache(tmp_path, 10**6)
    for kind, name in (("features", "a"), ("heads", "b"), ("heads", "c")):
        cache.write(cache.place(kind, name), {"rows": np.zeros(10)})
    old = tmp_path / "heads" / f"{'d' * 32}.npy"
    old.parent.mkdir()
    old.write_bytes(b"x" * 1000)
    surroundings = {"NLPTL_CACHE": str(tmp_path), "NLPTL_CACHE_LIMIT": "2GB"}
    shown = nlptl("cache", **surroundings).stdout
    counts = {words[1]: words[3:6] for line in shown.splitlines() if len(words := line.split()) > 5}
    assert counts["heads"] == ["2", "│", "416"]
    assert counts["earlier"] == ["1", "│", "1.0"]
    assert f"{tmp_path}: 1.6 kB of at most 2.0 GB" in shown
    assert "Removed 0 entries" in nlptl("cache", "clear", "--older-than", "1h", **surroundings).stdout
    assert "Removed 2 entries, 416 B" in nlptl("cache", "clear", "--kind", "heads", **surroundings).stdout
    assert "Removed 2 entries, 1.2 kB" in nlptl("cache", "clear", **surroundings).stdout
    assert nlptl("cache", **surroundings).stdout.startswith(f"{tmp_path}: 0 B of at most")
    assert "'7 years' is no age" in nlptl("cache", "clear", "--older-than", "7 years", code=2).stderr
    assert "Did you mean 'heads'" in nlptl("cache", "clear", "--kind", "head", code=2, **surroundings).stderr


def test_checkpoints():
    text = nlptl("checkpoints").stdout
    assert "minilm" in text
    assert "google-bert/bert-base-uncased" in text


def test_env_says_what_a_bug_report_needs(tmp_path):
    lines = nlptl("env", NLPTL_CACHE=str(tmp_path)).stdout.splitlines()
    facts = dict(line.split(": ", 1) for line in lines)
    assert {"python", "torch", "transformers", "platform", "threads", "gpus"} <= set(facts)
    assert facts["feature cache"] == facts["NLPTL_CACHE"] == str(tmp_path)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("train", "sentimnt"), "Did you mean 'sentiment'?"),
        (("train", "sentiment", "--set", "training.epoch=2"), "Did you mean 'training.epochs'?"),
        (("train", "sentiment", "--set", "training.epochs"), "Write section.key=value."),
        (("train", "sentiment", "--label-map", "ham"), "'ham' is not old=new"),
        (("train", "sentiment", "--mode", "lorra"), "Did you mean 'lora'?"),
        (("train", "sentiment", "--tasks-dir", "nowhere"), "does not exist. Check --tasks-dir"),
        (("train", "--config", "nowhere.yaml"), "Cannot read nowhere.yaml"),
        (("pretrain", "--data", "a.txt", "--set", "details.mas=1"), "Did you mean 'details.mask'?"),
        (("pretrain", "--data", "a.txt", "--label-map", "a=b"), "belong to --task"),
        (("pretrain", "--task", "sentimnt"), "Did you mean 'sentiment'?"),
        (("tasks", "show", "fraudtext"), "Did you mean 'fraud-text'?"),
        (("configs", "gpu"), "Unknown accelerate config 'gpu'"),
        (("predict", "nowhere", "--input", "a.csv"), "--input FILE together with --output FILE"),
        (("predict", "nowhere", "text", "--format", "xml"), "Unknown format 'xml'"),
    ],
)
def test_a_mistake_is_one_line(arguments, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = nlptl(*arguments, code=2, NLPTL_CACHE=str(tmp_path / "cache"))
    (line,) = done.stderr.strip().splitlines()
    assert line.startswith("error: ")
    assert message in line
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("train", "sentiment", "--checkpoint", "minilmm"), "Did you mean 'minilm'?"),
        (("train", "sentiment", "--checkpoint", "acme/absent"), "'minilm' (bundled)"),
        (("pretrain", "--data", "nowhere.txt", "--checkpoint", "minilm", "--shape", "tiny"), "not both"),
        (("discover", "--data", "nowhere.txt", "--output", "found"), "nowhere.txt does not exist"),
        (("train", "sentiment", "--data", "nowhere.csv"), "Unknown data source 'nowhere.csv'"),
        (("predict", "nowhere", "text"), "nowhere"),
    ],
)
def test_a_mistake_that_only_the_heavy_rooms_see(arguments, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(cli, "_configure_output", lambda debug: None)
    monkeypatch.setattr(sys, "argv", ["nlptl", *arguments])
    with pytest.raises(SystemExit) as caught:
        cli.main()
    assert caught.value.code == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert line.startswith("error: ")
    assert message in line
    assert list(tmp_path.iterdir()) == []


def test_all_faults_of_the_configuration_are_listed(tmp_path):
    (tmp_path / "run.yaml").write_text("task: sentiment\nseed: -1\ntraining: {epochs: 0}\n")
    done = nlptl("train", "--config", str(tmp_path / "run.yaml"), code=2)
    assert done.stderr.startswith("error: ")
    assert len(done.stderr.strip().splitlines()) == 3


def test_debug_shows_where_it_went_wrong():
    command = [sys.executable, "-m", "nlptl", "--debug", "tasks", "show", "nope"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "Traceback" in done.stderr
    assert "Unknown task 'nope'" in done.stderr
