"""Files that `nlptl discover` reads: how they are written can be said, and messages say how."""

import re

import pytest
from typer.testing import CliRunner

from nlptl import cli
from nlptl.errors import NlptlError
from nlptl.verbs.discover import discover

ROWS = [f"a café in town, number {i}" for i in range(12)]


@pytest.fixture
def latin(tmp_path):
    file = tmp_path / "latin.csv"
    file.write_bytes(("text\n" + "\n".join(f'"{row}"' for row in ROWS)).encode("cp1252"))
    return file


def test_the_advice_on_an_encoding_can_be_followed(latin, tmp_path, tiny):
    with pytest.raises(NlptlError, match="name its encoding: --encoding cp1252"):
        discover(latin, tmp_path / "out", checkpoint=tiny["bert"])
    found = discover(latin, tmp_path / "out", checkpoint=tiny["bert"], encoding="cp1252", groups=2, progress=False)
    assert set(found.texts) == set(ROWS)


def test_the_advice_on_a_delimiter_can_be_followed(tmp_path, tiny):
    file = tmp_path / "two.csv"
    file.write_text("text;a,b\n" + "\n".join(f"some text {i};x,y" for i in range(12)))
    with pytest.raises(NlptlError) as caught:
        discover(file, tmp_path / "out", checkpoint=tiny["bert"])
    (advised,) = re.findall(r"--delimiter '(.)'", str(caught.value))
    found = discover(
        file,
        tmp_path / "out",
        text_column="text" if advised == ";" else "text;a",
        delimiter=advised,
        checkpoint=tiny["bert"],
        groups=2,
        progress=False,
    )
    assert len(found.texts) == 12


def test_the_command_has_the_options_that_messages_name():
    said = CliRunner().invoke(cli.app, ["discover", "--help"], env={"COLUMNS": "200", "NO_COLOR": "1"}).output
    assert all(option in said for option in ("--encoding", "--delimiter", "--quotes"))


def test_what_is_no_delimiter_is_refused(latin, tmp_path, tiny):
    with pytest.raises(NlptlError, match=r"delimiter: expected one character.*\n.*quotes"):
        discover(latin, tmp_path / "out", checkpoint=tiny["bert"], delimiter="abc", quotes="single")
