"""Commands that are shown can be copied: they begin as the shell of the reader finds the program."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from nlptl.cli.console import program


@pytest.mark.parametrize(
    ("called", "on_path", "shown"),
    [
        (".venv/bin/nlptl", False, ".venv/bin/nlptl"),
        ("my folder/nlptl", False, "'my folder/nlptl'"),
        (".venv/bin/nlptl", True, "nlptl"),
        ("nlptl/__main__.py", False, "nlptl"),
    ],
)
def test_a_shown_command_begins_as_the_shell_finds_the_program(
    called: str, on_path: bool, shown: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if on_path:
        (tmp_path / "nlptl").write_text("")
        (tmp_path / "nlptl").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "argv", [called, "train"])
    assert program() == shown
