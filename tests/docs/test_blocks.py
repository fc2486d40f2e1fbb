"""Every block of Python and bash on a page runs, in the page's order and in a folder of the page's own.

Whether a page says what a command does is not tested, only that it runs: samples are cut and trainings take one epoch.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from nlptl import cli
from nlptl.models.modes import Full, Lora
from nlptl.registry import REGISTRIES
from tests.docs.files import BUILDERS, lay, lay_cut_samples
from tests.docs.pages import ROOT, Block, blocks, needs_shell, nlptl_calls, pages

BLOCKS = {page: found for page in pages() if (found := [block for block in blocks(page) if not block.not_run])}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of every page's folder."""
    folder = tmp_path_factory.mktemp("files")
    lay(folder)
    return folder


@pytest.fixture(scope="module")
def quick(files: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Samples of few rows, and one epoch where nothing else is asked for."""
    home = tmp_path_factory.mktemp("bundled")
    lay_cut_samples(home)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("nlptl.storage.paths._PACKAGE", home / "nlptl")
        for mode in (Full, Lora):
            patch.setitem(mode.defaults, "training.epochs", 1)
        yield


@pytest.mark.parametrize("page", BLOCKS, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_blocks_of_a_page_run(
    page: Path, files: Path, quick: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(files, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    for registry in REGISTRIES.values():  # what a page registers is gone after it
        monkeypatch.setattr(registry, "_entries", dict(registry.entries()))
    names: dict[str, Any] = {"__name__": "__main__"}
    for block in BLOCKS[page]:
        if block.language == "python":
            run_python(block, names)
        else:
            for line, command in block.commands():
                run_command(f"{page.relative_to(ROOT)}:{line}", command)


def run_python(block: Block, names: dict[str, Any]) -> None:
    """Run a block in the page's names; its lines are numbered as in the page."""
    try:
        exec(compile("\n" * (block.line - 1) + block.code, str(block.page), "exec"), names)
    except Exception as error:
        pytest.fail(f"{block.place} (python) raised {type(error).__name__}: {error}\n{block.code}")


def run_command(place: str, command: str) -> None:
    """Run a line of bash: one call of nlptl in this process, which is quicker, and all else in a shell."""
    words = shlex.split(command, comments=True)
    if words[0] == "nlptl" and not needs_shell(command):
        done = CliRunner().invoke(cli.app, words[1:])
        code, said = done.exit_code, done.output
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            said += f"\n{type(done.exception).__name__}: {done.exception}"
    else:
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        environment = {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT)}
        shell = ["bash", "-euo", "pipefail", "-c", command]
        finished = subprocess.run(shell, capture_output=True, text=True, env=environment, check=False)
        code, said = finished.returncode, finished.stdout + finished.stderr
    if code != 0:
        pytest.fail(f"{place} ended with exit code {code}: {command}\n{said[-4000:]}")


def test_there_are_blocks_and_each_that_is_not_run_says_why() -> None:
    assert BLOCKS
    reasons = {block.place: block.not_run for page in pages() for block in blocks(page) if block.not_run}
    assert not [place for place, reason in reasons.items() if len(reason.split()) < 3 and "-command" not in reason]


def test_a_failing_block_is_named_by_page_and_line(tmp_path: Path) -> None:
    page = ROOT / "docs" / "made-up.md"
    with pytest.raises(
        pytest.fail.Exception, match=r"docs/made-up\.md:7 ended with exit code [12]: nlptl no-such-verb"
    ):
        run_command(f"{page.relative_to(ROOT)}:7", "nlptl no-such-verb --x 1")
    with pytest.raises(pytest.fail.Exception, match=r"docs/made-up\.md:3 \(python\) raised KeyError"):
        run_python(Block(page, 3, "python", "{}['a']", None), {})


def test_blocks_are_found_in_order_with_lines_reasons_and_continuations(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "# Title\n```bash\n# a comment\nnlptl train sentiment \\\n    --mode lora  # why\n\nnlptl tasks\n```\n"
        "<!-- not run: needs two machines -->\n```bash\naccelerate launch x\n```\n"
        "```{tip}\n<!-- not run: needs the Hub -->\n```\n````{note}\n```python\nimport nlptl\n```\n````\n"
        "```text\nnlptl never\n```\n",
        encoding="utf-8",
    )
    first, second, third = blocks(page)
    assert [(line, nlptl_calls(command)) for line, command in first.commands()] == [
        (4, [["train", "sentiment", "--mode", "lora"]]),
        (7, [["tasks"]]),
    ]
    assert (second.not_run, second.line) == ("needs two machines", 11)
    assert (third.language, third.line, third.code, third.not_run) == ("python", 18, "import nlptl\n", None)


def test_calls_are_found_behind_pipes_quotes_and_launchers() -> None:
    assert nlptl_calls('echo "one; nlptl (two)" | nlptl predict my-run - > out.txt') == [["predict", "my-run", "-"]]
    assert nlptl_calls("accelerate launch --config_file $(nlptl configs cpu) -m nlptl train sentiment && ls") == [
        ["configs", "cpu"],
        ["train", "sentiment"],
    ]
    assert not needs_shell("""nlptl predict my-run "It's fine; really (yes)." 'Costs $5'  --all-scores""")
    assert needs_shell('nlptl predict my-run "$TEXT"')
    assert needs_shell("nlptl predict my-run - < texts.txt")


def test_every_builder_makes_its_file(tmp_path: Path) -> None:
    lay(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(BUILDERS)
