"""Texts on the command line and on standard input; options of predict and evaluate."""

import json

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

import nlptl
from nlptl import cli
from nlptl.errors import NlptlError
from tests.inference.conftest import labels_in


@pytest.fixture(scope="module")
def run(trained_tiny):
    return nlptl.load(trained_tiny("bert", "full", "mean").run.folder, progress=False)


@pytest.fixture(scope="module")
def pairs(tiny, tmp_path_factory):
    """A run of a pair task."""
    folder = tmp_path_factory.mktemp("pairs")
    (folder / "tasks" / "same").mkdir(parents=True)
    (folder / "tasks" / "same" / "task.yaml").write_text(
        "{name: same, description: x, labels: [different, same], text_columns: [left, right]}"
    )
    things = ("film", "book", "meal", "song")
    rows = [
        {"left": f"a {a} in round {i}", "right": f"the {b}", "label": "same" if a == b else "different"}
        for i in range(4)
        for a in things
        for b in (a, things[(things.index(a) + 1 + i % 3) % 4])
    ]
    pd.DataFrame(rows).to_csv(folder / "train.csv", index=False)
    return nlptl.train(
        "same",
        data=folder / "train.csv",
        mode="feature_extraction",
        checkpoint=tiny["bert"],
        output=folder / "run",
        settings={"tasks_dir": str(folder / "tasks"), "runtime.progress": False},
    )


def asked(*arguments: object, given: str | bytes | None = None) -> str:
    """What a command prints."""
    done = CliRunner().invoke(cli.app, [str(a) for a in arguments], input=given, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout


def refused(*arguments: object, given: str | bytes | None = None) -> str:
    """The sentence with which a command refuses."""
    done = CliRunner().invoke(cli.app, [str(a) for a in arguments], input=given)
    assert isinstance(done.exception, NlptlError), done.output
    return str(done.exception)


def records(run, *arguments: object, given: str | bytes | None = None) -> list[dict]:
    return [
        json.loads(line)
        for line in asked("predict", run.folder, *arguments, "--format", "json", given=given).splitlines()
    ]


def test_standard_input_in_the_encoding_that_is_named(run):
    given = "café\n".encode("cp1252")
    assert [r["text"] for r in records(run, "-", "--encoding", "cp1252", given=given)] == ["café"]
    assert [r["text"] for r in records(run, "--set", "data.encoding=cp1252", given=given)] == ["café"]
    assert "--encoding cp1252" in refused("predict", run.folder, "-", given=given)
    assert "Python knows names such as" in refused("predict", run.folder, "-", "--encoding", "utf-9", given=given)
    assert [r["text"] for r in records(run, "-", given="café\n".encode("utf-16"))] == ["café"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("a film", "-"), "stands for standard input"),
        (("-", "-"), "stands for standard input"),
        (("--input", "-", "--output", "o.csv"), "nlptl predict RUN -"),
        (("a film", "--encoding", "cp1252"), "--encoding is for files and standard input"),
        (("a film", "--text-column", "body"), "--text-column and --delimiter are for --input"),
        (("a film", "--delimiter", ";"), "--text-column and --delimiter are for --input"),
        (("a film", "--set", "training.epochs=2"), "training.epochs has no effect on a run that is trained"),
        (("a film", "--set", "data.shots=2"), "Settings that have: data.text_columns, data.encoding"),
        (("a film", "--set", "data.encodin=x"), "Did you mean 'data.encoding'"),
        (("a film", "--precision", "fp8"), "Unknown precision 'fp8'"),
    ],
)
def test_what_cannot_be_meant_is_refused(run, arguments, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert message in refused("predict", run.folder, *arguments, given="a text\n")
    assert list(tmp_path.iterdir()) == []


def test_an_empty_standard_input_is_told(run):
    for arguments in ((), ("-",)):
        assert "standard input was empty" in refused("predict", run.folder, *arguments, given="")
    assert [r["text"] for r in records(run, given="\n")] == [""]


def test_pairs_on_standard_input_stand_on_one_line(pairs):
    expected = pairs.predict([("a film", "the film"), ("a film", "the book")])
    for end in ("\n", "\r\n"):
        found = records(pairs, "-", given=f"a film\tthe film{end}a film\tthe book{end}")
        assert [record["text"] for record in found] == [["a film", "the film"], ["a film", "the book"]]
        assert [record["label"] for record in found] == [p.label for p in expected]
    assert "Line 2 holds 1" in refused("predict", pairs.folder, "-", given="a film\tthe film\na film\n")
    assert "Line 1 holds 3" in refused("predict", pairs.folder, given="a\tb\tc\n")
    assert [r["label"] for r in records(pairs, "a film", "the film")] == [expected[0].label]
    assert "has no partner: 'a film'" in refused("predict", pairs.folder, "a film")


def test_tsv_has_one_line_a_text_and_every_score(run):
    text = "a good\tfilm\nwith \\ more"
    fields = asked("predict", run.folder, text, "--format", "tsv", "--all-scores").rstrip("\n").split("\t")
    assert fields[-1] == r"a good\tfilm\nwith \\ more"
    (prediction,), (probabilities,) = run.predict([text]), run.predict_proba([text])
    assert fields[0] == prediction.label
    np.testing.assert_allclose([float(field) for field in fields[1:4]], [prediction.score, *probabilities], atol=1e-6)


@pytest.mark.parametrize("option", [("--precision", "bf16"), ("--set", "runtime.precision=bf16")])
def test_the_precision_can_be_chosen(run, obvious, option, tmp_path):
    expected = nlptl.load(run.folder, "bf16", progress=False).evaluate(obvious / "test.csv")
    asked("evaluate", run.folder, "--data", obvious / "test.csv", *option, "--output", tmp_path / "m.json")
    assert json.loads((tmp_path / "m.json").read_text())["test"]["loss"] == expected["loss"]
    assert expected["loss"] != run.metrics["test"]["loss"]


def test_options_say_how_a_file_is_read(foreign, tmp_path):
    """A run trained on a file in cp1252 needs none of them for such a file, and all of them for another one."""
    run = nlptl.load(foreign / "run", progress=False)
    gold = pd.read_csv(foreign / "test.csv", encoding="cp1252")
    expected = [p.label for p in run.predict(gold["body"])]
    asked("predict", run.folder, "--input", foreign / "test.csv", "--output", tmp_path / "a.csv")
    assert labels_in(tmp_path / "a.csv") == expected
    other = gold.assign(verdict=gold["verdict"].map({"+": "yes", "-": "no"}))[["body", "verdict"]]
    other.loc[len(other)] = ["", "yes"]
    other.rename(columns={"body": "review", "verdict": "fine"}).to_csv(
        tmp_path / "o.csv", index=False, encoding="cp437"
    )
    reading = ("--text-column", "review", "--encoding", "cp437")
    asked("predict", run.folder, "--input", tmp_path / "o.csv", "--output", tmp_path / "b.csv", *reading)
    assert labels_in(tmp_path / "b.csv")[:-1] == expected
    labels = ("--label-column", "fine", "--label-map", "yes=positive,no=negative")
    where = ("evaluate", run.folder, "--data", tmp_path / "o.csv", *reading, *labels)
    assert "bad_rows=drop" in refused(*where)
    for advice in (("--bad-rows", "drop"), ("--set", "data.bad_rows=drop")):
        assert "test rows without text: 1" in asked(*where, *advice)


@pytest.mark.parametrize("kind", ["pipe", "dash", "hard link", "no folder"])
def test_outputs_that_writing_would_harm_are_refused(run, kind, tmp_path):
    import os

    (tmp_path / "in.csv").write_text("text\nfine\n")
    output = {"pipe": "p.csv", "dash": "-", "hard link": "l.csv", "no folder": "no/o.csv"}[kind]
    if kind == "pipe":
        os.mkfifo(tmp_path / output)
    if kind == "hard link":
        os.link(tmp_path / "in.csv", tmp_path / output)
    before = sorted(path.name for path in tmp_path.iterdir())
    path = output if kind == "dash" else tmp_path / output
    message = {"pipe": "is no file", "dash": "--format json", "hard link": "the input itself", "no folder": "does not"}
    assert message[kind] in refused("predict", run.folder, "--input", tmp_path / "in.csv", "--output", path)
    assert sorted(path.name for path in tmp_path.iterdir()) == before
    assert (tmp_path / "in.csv").read_text() == "text\nfine\n"


def test_numbers_do_not_overwrite_the_data(run, obvious, tmp_path):
    (tmp_path / "d.csv").write_text((obvious / "test.csv").read_text())
    where = ("evaluate", run.folder, "--data", tmp_path / "d.csv", "--output", tmp_path / "d.csv")
    assert "is the data itself" in refused(*where)
    assert (tmp_path / "d.csv").read_text() == (obvious / "test.csv").read_text()


def test_a_folder_is_evaluated_on_its_test_file(run, obvious, tmp_path):
    asked("evaluate", run.folder, "--data", obvious, "--output", tmp_path / "m.json")
    assert json.loads((tmp_path / "m.json").read_text())["test"]["loss"] == pytest.approx(run.metrics["test"]["loss"])
