"""The README is short, its marked commands name what exists, and the main job answers as told.

tests/docs/ runs its other blocks, as those of every page.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def marked(marker: str) -> str:
    """The bash block right under a marker; there is exactly one such marker."""
    found = re.findall(rf"^<!-- {marker} -->\n```bash\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
    assert len(found) == README.count(f"<!-- {marker} -->") == 1
    return str(found[0]).rstrip("\n")


@pytest.mark.parametrize("marker", ["quickstart-command", "test-command"])
def test_marked_command_is_one_line_that_names_what_exists(marker: str) -> None:
    command = marked(marker)
    assert "\n" not in command
    for path in re.findall(r"-c (\S+)", command):
        assert (ROOT / path).is_file()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    for extra in re.findall(r"\.\[(\w+)\]", command):
        assert extra in project["optional-dependencies"]
    assert "-e ." in command.replace('"', "")
    assert command.count(".venv/bin/nlptl") == (marker == "quickstart-command")
    assert "nlptl" in project["scripts"]


def test_make_target_of_the_test_command_reaches_the_tools_it_names() -> None:
    target = re.findall(r"\bmake (\w+)", marked("test-command"))
    assert target == ["check"]
    plan = subprocess.run(["make", "-n", *target], capture_output=True, text=True, cwd=ROOT, check=True).stdout
    dev = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"][
        "dev"
    ]
    for call, package in {
        "-m ruff format --check": "ruff",
        "-m ruff check": "ruff",
        "-m mypy": "mypy",
        "lint-imports": "import-linter",
        ".ci/audit.py": "pip-audit",
        "-m pytest": "pytest",
        "--dist": "pytest-xdist",
    }.items():
        assert call in plan
        assert any(re.match(rf"{package}\b(?!-)", requirement) for requirement in dev)


def test_ci_takes_the_test_command_from_the_readme() -> None:
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    extraction = re.findall(r"^command=\$\((.*)\)$", script, re.MULTILINE)
    assert len(extraction) == 1
    done = subprocess.run(["bash", "-c", extraction[0]], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout.strip() == marked("test-command")


def test_readme_is_short() -> None:
    assert len(README.splitlines()) <= 150


def test_main_job_trains_and_shows_its_results(reviews: Path, tmp_path: Path) -> None:
    """One screen, without progress frames, that ends with what transfer was worth and what to do next.

    On a part of the sample; `tests/test_samples.py` trains on all of it.
    """
    (tmp_path / "reviews.csv").write_bytes((reviews / "train.csv").read_bytes())
    call = [sys.executable, "-m", "nlptl", "train", "sentiment", "--data", "reviews.csv", "--compare"]
    call += ["--output", "tmp"]
    surroundings = {**os.environ, "COLUMNS": "100"}
    done = subprocess.run(call, capture_output=True, text=True, cwd=tmp_path, env=surroundings, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    lines = [
        line for line in done.stdout.splitlines() if not re.match(r"\w+.*: step \d+ of", line)
    ]  # of a slow machine
    assert len(lines) <= 30
    assert max(map(len, lines)) <= 100
    assert re.search(r"^Task sentiment: 2 labels; data: reviews\.csv; rows: train \d+", done.stdout, re.MULTILINE)
    assert re.search(r"^epoch 1/\d+: loss \d\.\d+, validation accuracy [01]\.\d{4}$", done.stdout, re.MULTILINE)
    assert re.search(r"^Results$", done.stdout, re.MULTILINE)
    assert re.search(r"accuracy\W+[01]\.\d{4}\W+[01]\.\d{4}", done.stdout)
    assert "Run folder: tmp" in done.stdout
    assert (tmp_path / "tmp" / "manifest.json").is_file()
    predictions = done.stdout.partition("Three predictions on test rows:")[2]
    assert len(re.findall(r"(?:positive|negative)\W+[01]\.\d{4}\W+(?:positive|negative)", predictions)) == 3
    assert re.search(r"Best on words alone \(TF-IDF \+ \w+, the best of 5 on validation\)", predictions)
    assert re.search(r"^Next: nlptl predict tmp ", predictions, re.MULTILINE)
    assert "Time and work" not in done.stdout
