"""`nlptl explain` on the command line: colours on a terminal, words elsewhere, one object as JSON."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from nlptl import cli
from nlptl.cli.evidence.explain import _coloured
from nlptl.errors import ConfigError
from nlptl.inference.explanation import Word

TEXT = "a good film and more of it"


def called(*arguments):
    return CliRunner().invoke(cli.app, ["explain", *map(str, arguments)], env={"COLUMNS": "200"})


@pytest.fixture(scope="module")
def folder(trained_tiny):
    return trained_tiny("bert", "feature_extraction").run.folder


def test_words_are_named_and_plain_where_nobody_sees_colours(folder):
    done = called(folder, TEXT, "--nearest", 1)
    assert done.exit_code == 0, done.output
    assert f"  {TEXT}" in done.output
    assert "for: " in done.output
    assert "gap 0." in done.output
    assert "near " in done.output
    assert "\x1b" not in done.output


def test_on_a_terminal_words_have_colours():
    class One:
        words = ()

    one = One()
    one.words = [Word("good", 2, 6, 2.0), Word("film", 7, 11, -1.0), Word("and", 12, 15, 0.01)]
    shown = _coloured("a good film and", one.words, one)
    assert [(span.start, span.end) for span in shown.spans] == [(2, 6), (7, 11)]
    assert shown.spans[0].style != shown.spans[1].style


def test_json_is_one_object_on_standard_output(folder, tmp_path):
    done = called(folder, TEXT, "a bad film", "--format", "json", "--output", tmp_path / "x.json")
    assert done.exit_code == 0, done.output
    noted = json.loads(done.stdout)
    assert [one["texts"] for one in noted["texts"]] == [[TEXT], ["a bad film"]]
    assert noted == json.loads((tmp_path / "x.json").read_text())


def test_of_a_file_the_words_of_each_label_are_shown(folder, obvious):
    done = called(folder, "--input", obvious / "test.csv", "--rows", 25, "--faithfulness", "--removed", 1)
    assert done.exit_code == 0, done.output
    assert "25 texts explained; widest gap" in done.output
    assert "random words" in done.output
    assert {"positive", "negative"} & set(done.output.split())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "Give texts to explain, or --input FILE"),
        ((TEXT, "--input", "x.csv"), "Give texts to explain, or --input FILE"),
        ((TEXT, "--text-column", "x"), "--text-column is for --input"),
        ((TEXT, "--training-data", "x"), "--training-data is for --nearest"),
        ((TEXT, "--output", "x.pdf"), r"written as \.json or \.html"),
        ((TEXT, "--format", "tsv"), "Unknown format 'tsv'. Available: json, table"),
    ],
)
def test_what_does_not_go_together_is_refused_at_once(folder, arguments, message):
    done = called(folder, *arguments)
    assert isinstance(done.exception, ConfigError)
    assert done.exception.exit_code == 2
    with pytest.raises(ConfigError, match=message):
        raise done.exception
