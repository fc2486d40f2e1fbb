"""Bars are for terminals, and one at a time; elsewhere the log says how far long work is."""

import io
import logging
import re
import sys

import pytest

from nlptl.training import progress
from nlptl.training.progress import track


class Terminal(io.StringIO):
    """Standard error of a terminal."""

    def isatty(self) -> bool:
        return True


def a_terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """Put in place inside of a test: pytest puts its own in place between set-up and call."""
    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    return screen


def through(**more):
    settings = {"description": "reading", "total": None, "unit": "batch", "bars": True, "here": True, **more}
    return list(track(range(3), **settings))


def test_a_terminal_sees_one_bar_that_clears(monkeypatch):
    terminal = a_terminal(monkeypatch)
    for _ in track(range(2), "outer", None, "step", True, True):
        assert through() == [0, 1, 2]
    shown = terminal.getvalue()
    assert "outer" in shown
    assert "reading" not in shown
    assert shown.rstrip("\r").rpartition("\r")[2].strip() == ""


def test_without_a_terminal_there_are_lines_and_only_for_long_work(monkeypatch, capsys, caplog):
    caplog.set_level(logging.INFO, "nlptl")
    assert through() == [0, 1, 2]
    assert caplog.messages == []
    monkeypatch.setattr(progress, "SECONDS_BETWEEN_LINES", 0.0)
    assert through() == [0, 1, 2]
    assert any(line.startswith("reading: batch 2 of 3 after") for line in caplog.messages)
    assert re.fullmatch(r"reading: batch 3 of 3 after 00:0\d, .*batch/s, 00:00 left", caplog.messages[-1])
    assert not any("\r" in line or "%" in line for line in caplog.messages)
    assert capsys.readouterr().err == ""


def test_no_bars_where_none_are_asked_for(monkeypatch):
    terminal = a_terminal(monkeypatch)
    assert through(bars=False) == [0, 1, 2]
    assert terminal.getvalue() == ""


def test_only_one_process_speaks(monkeypatch, caplog):
    terminal = a_terminal(monkeypatch)
    caplog.set_level(logging.INFO, "nlptl")
    monkeypatch.setattr(progress, "SECONDS_BETWEEN_LINES", 0.0)
    assert through(here=False) == [0, 1, 2]
    assert (terminal.getvalue(), caplog.messages) == ("", [])
