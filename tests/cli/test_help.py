"""Help shows what an option may be, in panels; the shell completes it; any value is still answered by one error."""

import os
import re
import subprocess
import sys

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from nlptl import cli
from nlptl.cli.choices import CHOICES, completing
from nlptl.cli.help import ANYWHERE, DATA, HOW, LEARN, OTHER, WHERE
from nlptl.registry import MODES

HEAVY = {"torch", "transformers", "accelerate", "datasets", "sklearn", "pandas", "numpy"}
ROOT = get_command(cli.app)
COMMANDS = {
    (*path, name): command
    for path, group in (((), ROOT), (("tasks",), ROOT.commands["tasks"]), (("cache",), ROOT.commands["cache"]))
    for name, command in group.commands.items()
}


def shown(*arguments: str, columns: int = 200) -> str:
    done = CliRunner().invoke(cli.app, [*arguments], env={"COLUMNS": str(columns), "NO_COLOR": "1", "TERM": "dumb"})
    return done.output


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
@pytest.mark.parametrize("columns", [80, 120])
def test_every_option_has_a_panel_and_help_fits(path, columns):
    command = COMMANDS[path]
    options = [p for p in command.params if p.param_type_name == "option" and not p.hidden]
    assert {p.rich_help_panel for p in options} <= {LEARN, DATA, HOW, WHERE, OTHER, ANYWHERE}
    text = shown(*path, "--help", columns=columns)
    assert max(map(len, text.splitlines())) <= columns
    assert "─ Options ─" not in text
    assert not re.search(r"<[a-z-]+>", text.replace("<str>", "").replace("<path>", "").replace("<list[str]>", ""))
    for option in ("--verbose", "--debug", "--version", "--help"):
        assert option in text


@pytest.mark.parametrize(
    ("command", "option", "what"),
    [
        ("train", "--mode", "modes"),
        ("train", "--strategy", "strategies"),
        ("adapt", "--method", "adaptations"),
        ("baseline", "--model", "baselines-or-all"),
        ("pretrain", "--objective", "objectives"),
        ("pretrain", "--shape", "shapes"),
        ("pretrain", "--tokenizer", "tokenizers"),
        ("discover", "--method", "groupings"),
        ("discover", "--quotes", "quotes"),
        ("predict", "--precision", "precisions"),
        ("predict", "--decision", "decisions"),
        ("predict", "--format", "formats"),
        ("evaluate", "--bad-rows", "bad-rows"),
    ],
)
def test_choices_stand_beside_their_option(command, option, what):
    names = list(CHOICES[what]())
    assert len(names) == len(set(names)) >= 1
    lines = shown(command, "--help", columns=1000).splitlines()
    (line,) = (line for line in lines if line.startswith("│") and f" {option} " in line)
    assert f"[{' | '.join(names)}]" in line


def test_choices_are_those_of_the_settings():
    assert set(CHOICES["adaptations"]()) == {"coral", "mmd", "dann", "self_training", "coral_self_training", "none"}
    assert set(CHOICES["quotes"]()) == {"doubled", "backslash", "none"}
    assert set(CHOICES["groupings"]()) == {"kmeans", "hdbscan"}


def completions(line: str) -> tuple[list[str], set[str]]:
    """What a shell is offered for the last word of a line, and the modules that it takes."""
    environment = {
        **os.environ,
        "_NLPTL_COMPLETE": "complete_bash",
        "COMP_WORDS": line,
        "COMP_CWORD": str(len(line.split(" ")) - 1),
    }
    command = [sys.executable, "-X", "importtime", "-m", "nlptl"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    names = [part.rpartition("|")[2].strip() for part in done.stderr.splitlines() if part.startswith("import time:")]
    return done.stdout.split(), {name.partition(".")[0] for name in names}


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("nlptl train --mode l", ["lora"]),
        ("nlptl train sent", ["sentiment"]),
        ("nlptl train sentiment+fr", ["sentiment+fraud-text"]),
        ("nlptl configs mul", ["multi_gpu", "multi_node"]),
    ],
)
def test_the_shell_completes_names_without_anything_heavy(line, offered):
    found, imported = completions(line)
    assert found == offered
    assert not imported & HEAVY


def test_completion_can_be_installed():
    assert "--install-completion" in shown("--help")


def test_names_of_other_packages_are_completed(monkeypatch):
    monkeypatch.setattr(MODES, "_entries", dict(MODES.entries()))
    MODES.add("borrowed", "nowhere:at_all", "what another package brings")
    assert completing("modes")("bor") == [("borrowed", "what another package brings")]
    assert completing("modes")("full,bor") == [("full,borrowed", "what another package brings")]


def test_finished_runs_are_completed(tmp_path, monkeypatch):
    for name in ("mine", "runs/one", "runs/unfinished"):
        (tmp_path / name).mkdir(parents=True)
    for name in ("mine", "runs/one"):
        (tmp_path / name / "manifest.json").touch()
    monkeypatch.chdir(tmp_path)
    assert [name for name, _ in completing("runs")("")] == ["mine", "runs/one"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("adapt", "sentiment", "--method", "corall"), "Did you mean 'coral'?"),
        (("discover", "--data", "a.txt", "--method", "kmean"), "Did you mean 'kmeans'?"),
        (("pretrain", "--data", "a.txt", "--shape", "tinny"), "Did you mean 'tiny'?"),
        (("pretrain", "--data", "a.txt", "--shape", "tiny", "--tokenizer", "bpee"), "Did you mean 'bpe'?"),
        (("baseline", "sentiment", "--model", "kn"), "Did you mean 'knn'?"),
        (("predict", "nowhere", "text", "--format", "jsn"), "Did you mean 'json'?"),
    ],
)
def test_a_value_that_is_no_choice_is_one_error(arguments, message, monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(cli, "configure_output", lambda debug: None)
    monkeypatch.setattr(sys, "argv", ["nlptl", *arguments])
    with pytest.raises(SystemExit) as caught:
        cli.main()
    told = capsys.readouterr().err
    assert caught.value.code == 2
    assert told.startswith("error: ")
    assert message in told


@pytest.mark.parametrize("arguments", [("--version",), ("train", "--version"), ("tasks", "show", "--version")])
def test_the_version_is_told_anywhere(arguments):
    assert re.fullmatch(r"\d+\.\d+\.\d+\S*\n", shown(*arguments))


@pytest.mark.parametrize("where", [0, 1, 2])
def test_debug_works_anywhere(where):
    arguments = ["train", "sentimnt"]
    arguments.insert(where, "--debug")
    done = subprocess.run([sys.executable, "-m", "nlptl", *arguments], capture_output=True, text=True, check=False)
    assert "Traceback" in done.stderr
    assert "Unknown task 'sentimnt'" in done.stderr
