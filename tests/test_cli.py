import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from typer.testing import CliRunner

from nlptl import cli
from nlptl.cli.loose_words import listed
from nlptl.config.data import DataConfig
from nlptl.data.loading import load_splits
from nlptl.errors import ConfigError
from nlptl.registry import BASELINES, MODES, OBJECTIVES, STRATEGIES
from nlptl.storage.cache import Cache
from nlptl.storage.paths import bundled
from nlptl.tasks import load_task
from nlptl.verbs.look_request import LOOKED_AT, of_run
from nlptl.verbs.request import checked_config

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
    assert nlptl("version").stdout.strip() == nlptl("--version").stdout.strip() == version("nlptl")


def test_help_names_debug():
    assert "--debug" in nlptl("--help").stdout


@pytest.mark.parametrize(
    ("verb", "registry"), [("train", MODES), ("train", STRATEGIES), ("baseline", BASELINES), ("pretrain", OBJECTIVES)]
)
def test_help_takes_choices_from_the_registries(verb, registry, monkeypatch):
    """Also those of other packages, which are added before help is asked for."""
    monkeypatch.setattr(registry, "_entries", dict(registry.entries()))
    registry.add("borrowed", "nowhere:at_all", "what another package brings")
    shown = " ".join(CliRunner().invoke(cli.app, [verb, "--help"], env={"COLUMNS": "2000"}).output.split())
    for name in registry:
        assert f"{name} ({registry.help(name)})" in shown


def test_every_fault_of_a_command_is_told_at_once(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    arguments = ("train", "sentimnt", "--mode", "lorra", "--set", "training.epoch=2", "--set", "seed", "--epochs", "0")
    told = nlptl(*arguments, code=2).stderr
    for fault in ("Unknown task 'sentimnt'", "Unknown mode 'lorra'", "'training.epoch'", "'seed'", "training.epochs"):
        assert fault in told
    assert "has 5 faults" in told
    told = nlptl("pretrain", "--data", "a.txt", "--objective", "masked", "--checkpoint", "minilmm", code=2).stderr
    assert "Unknown objective 'masked'" in told
    assert "Unknown checkpoint 'minilmm'" in told


@pytest.mark.parametrize(
    ("arguments", "advice"),
    [
        (("--checkpoints", "minilm", "bert-base", "sentiment"), "nlptl rank sentiment --checkpoints minilm,bert-base"),
        (("sentiment", "--checkpoints", "minilm", "bert-base"), "nlptl rank sentiment --checkpoints minilm,bert-base"),
        (("sentiment", "minilm", "bert-base"), "nlptl rank sentiment --checkpoints minilm,bert-base"),
        (("--checkpoints", "minilm", "bert-base"), "nlptl rank TASK --checkpoints minilm,bert-base"),
    ],
)
def test_names_behind_an_option_of_one_value_are_refused_with_the_form_that_works(arguments, advice):
    (line,) = nlptl("rank", *arguments, code=2).stderr.strip().splitlines()
    assert line.endswith(f"Write: {advice}")
    assert "commas between them, or is repeated" in line


def test_a_mistyped_task_of_rank_is_still_suggested():
    assert "Did you mean 'sentiment'?" in nlptl("rank", "sentimnt", "--checkpoints", "minilm", code=2).stderr


@pytest.mark.parametrize("given", [["a,b", "c"], ["a", "b", "c"], ["a, b ,c,"]])
def test_an_option_is_repeated_or_takes_commas(given):
    assert listed(given) == ["a", "b", "c"]


def test_a_file_with_a_comma_in_its_name_is_one(tmp_path):
    file = tmp_path / "a,b.csv"
    file.write_text("x")
    assert listed([str(file)]) == [str(file)]


def test_settings_without_effect_are_refused():
    told = nlptl("train", "sentiment", "--set", "lora.rank=4", "--set", "soup.members=2", code=2).stderr
    assert "lora.rank would have no effect: mode full has no adapters. Leave it out." in told
    assert "soup.members would have no effect: it belongs to strategy soup. Leave it out." in told


def test_probe_of_a_run_needs_no_task(trained_tiny, obvious):
    """The run says its task, and its data."""
    run = trained_tiny("bert", "full").run.folder
    done = nlptl("probe", "--run", str(run), "--rows", "30")
    assert "accuracy of a linear probe on each layer" in done.stdout
    assert done.stderr == ""
    told = nlptl("probe", "fraud-text", "--run", str(run), code=2).stderr
    assert f"{run} learned sentiment, not fraud-text. Leave the task out" in told
    assert "no finished run" in nlptl("probe", "--run", str(run / "model"), code=2).stderr
    assert "task: required" in nlptl("probe", "--rows", "30", code=2).stderr


def test_a_run_looks_at_its_own_data_unless_others_are_named(trained_tiny, obvious, tmp_path):
    run = trained_tiny("bert", "full").run.folder
    task, settings = of_run(run, {"seed": 5})
    assert (task.name, settings["data.source"], settings["seed"]) == ("sentiment", str(obvious), 5)
    assert checked_config(None, settings, known_task=task, reads=LOOKED_AT).data.source == str(obvious)
    noted = yaml.safe_load((run / "run.yaml").read_text())
    (tmp_path / "task.yaml").write_text((run / "task.yaml").read_text())
    for source in ("(python data)", "a.csv"):
        noted["data"] |= {"source": source, "validation": "v.csv", "label_column": "stars"}
        (tmp_path / "run.yaml").write_text(yaml.safe_dump(noted))
        settings = of_run(tmp_path, {"data.source": "b.csv"})[1]
        assert (settings["data.source"], settings["data.label_column"]) == ("b.csv", "stars")
        assert "data.validation" not in settings
    (tmp_path / "run.yaml").write_text(yaml.safe_dump(noted | {"data": {"source": "(python data)"}}))
    with pytest.raises(ConfigError, match="data that were given in Python"):
        of_run(tmp_path, {})


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


def test_the_advice_on_how_a_tasks_file_is_written_can_be_followed(tmp_path):
    rows = [f"Grüße {i};{'ham' if i % 2 else 'spam'}" for i in range(40)]
    (tmp_path / "mail.csv").write_bytes("\n".join(["message;kind", *rows]).encode("cp1252"))
    tasks_dir = tmp_path / "tasks"
    arguments = ("tasks", "new", "mail", "--data", str(tmp_path / "mail.csv"), "--tasks-dir", str(tasks_dir))
    assert "--encoding cp1252" in nlptl(*arguments, code=2).stderr
    assert "ham, spam" in nlptl(*arguments, "--encoding", "cp1252", "--delimiter", ";").stdout
    splits = load_splits(load_task("mail", tasks_dir), DataConfig(), 0)
    assert splits.train["text"].str.startswith("Grüße").all()
    assert "Did you mean 'doubled'" in nlptl(*arguments, "--quotes", "double", code=2).stderr


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
    monkeypatch.setattr(cli, "configure_output", lambda debug: None)
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
