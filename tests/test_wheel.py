"""The wheel stands alone: it carries tasks and configs, and works where there is no checkout."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
# The installed package goes first on the path, and the call itself proves which copy answered: an editable install of
# the checkout must not stand in for it. -P keeps the working folder off the path.
CALL = """
import sys
from pathlib import Path
import nlptl
site = Path(sys.argv.pop(1)).resolve()
assert Path(nlptl.__file__).resolve().is_relative_to(site), nlptl.__file__
from nlptl.storage.paths import bundled
assert bundled("tasks").is_relative_to(site), bundled("tasks")
from nlptl.cli import main
main()
"""


def execute(*call: str, cwd: Path, **environment: str) -> str:
    """Run a command and give its output; a failure shows what it said."""
    done = subprocess.run(call, capture_output=True, text=True, cwd=cwd, env={**os.environ, **environment}, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    # No isolation: the build backend is installed, and isolation would ask a package index for it.
    execute(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT), cwd=folder)
    (built,) = folder.glob("nlptl-*.whl")
    return built


@pytest.fixture(scope="module")
def site(wheel: Path) -> Path:
    folder = wheel.parent / "site"
    pip = ("-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", str(folder), str(wheel))
    execute(sys.executable, *pip, cwd=wheel.parent)
    return folder


def test_wheel_carries_every_file_that_users_read(wheel: Path) -> None:
    packed = set(zipfile.ZipFile(wheel).namelist())
    for name in ("tasks", "accelerate_configs"):
        files = [path for path in (ROOT / name).rglob("*") if path.is_file()]
        assert files
        assert {f"nlptl/_bundled/{path.relative_to(ROOT).as_posix()}" for path in files} <= packed
    for task in ("sentiment", "chatbot-intent", "fraud-text"):
        wanted = ("task.yaml", *(f"sample/{split}.csv" for split in ("train", "validation", "test")))
        assert {f"nlptl/_bundled/tasks/{task}/{file}" for file in wanted} <= packed
    assert not [name for name in packed if name.startswith(("tests/", "notebooks/", "benchmarks/"))]


def test_installed_wheel_lists_the_tasks(site: Path, tmp_path: Path) -> None:
    listed = execute(
        sys.executable, "-P", "-c", CALL, str(site), "tasks", cwd=tmp_path, PYTHONPATH=str(site), COLUMNS="200"
    )
    for task in ("sentiment", "chatbot-intent", "fraud-text"):
        assert task in listed


def test_installed_wheel_trains(site: Path, tmp_path: Path) -> None:
    train = ("train", "sentiment", "--mode", "feature_extraction", "--output", "run")
    said = execute(sys.executable, "-P", "-c", CALL, str(site), *train, cwd=tmp_path, PYTHONPATH=str(site))
    assert "Run folder: run" in said
    assert (tmp_path / "run" / "manifest.json").is_file()
