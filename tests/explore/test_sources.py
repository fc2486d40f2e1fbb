"""Other data ranked by the nearness of their texts."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

import nlptl
from nlptl import cli
from nlptl.errors import NlptlError
from tests.conftest import sample


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    root = tmp_path_factory.mktemp("sources")
    sample("sentiment", "test", 40).to_csv(root / "reviews.csv", index=False)
    sample("fraud-text", "test", 40).to_csv(root / "messages.csv", index=False)
    (root / "mine").mkdir()
    for split in ("train", "validation", "test"):
        sample("sentiment", split, 24).to_csv(root / "mine" / f"{split}.csv", index=False)
    return root


def test_texts_of_the_same_kind_come_first(places):
    names = [str(places / name) for name in ("messages.csv", "reviews.csv")]
    ranking = nlptl.rank("sentiment", sources=names, data=places / "mine", settings={"runtime.progress": False})
    assert [row["source"] for row in ranking.sources] == names[::-1]
    near, far = (row["nearness"] for row in ranking.sources)
    assert 1 > near > far > -1
    assert ranking.rows == []


def test_the_command_ranks_checkpoints_and_sources(places, tmp_path):
    arguments = ["rank", "sentiment", "--data", str(places / "mine"), "--checkpoints", "minilm"]
    arguments += [
        "--sources",
        f"{places / 'reviews.csv'},{places / 'messages.csv'}",
        "--output",
        str(tmp_path / "r.json"),
    ]
    done = CliRunner().invoke(cli.app, arguments)
    assert done.exit_code == 0, done.output
    assert "the nearest texts first" in done.output
    told = json.loads((tmp_path / "r.json").read_text())
    assert (len(told["candidates"]), len(told["sources"])) == (1, 2)


def test_what_cannot_be_ranked_is_refused(places, trained_tiny):
    for sources, message in (
        (["no-such"], "no-such does not exist"),
        ([str(places / "reviews.csv")] * 2, "Named twice"),
        ([str(trained_tiny("bert", "full").run.folder)], "is a finished run, whose encoder is ranked as a checkpoint"),
    ):
        with pytest.raises(NlptlError, match=message):
            nlptl.rank("sentiment", sources=sources, data=places / "mine")
