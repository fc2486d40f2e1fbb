import json

import pandas as pd
import pytest

import nlptl
from nlptl.data.drafting import draft_task
from nlptl.errors import NlptlError

INTENTS = {
    "card": ["my card has not arrived", "where is my new card", "the card is still not here", "card delivery is late"],
    "weather": [
        "will it rain tomorrow",
        "is it sunny today",
        "weather forecast for the week",
        "how cold is it outside",
    ],
    "music": ["play some jazz", "put on my favourite song", "play the next song", "turn the music up"],
}
ENDINGS = ("", " please", " now", "?", " thanks")


@pytest.fixture(scope="module")
def chats(tmp_path_factory):
    rows = [
        {"who": f"user{i % 7}", "message": text + ending, "intent": name}
        for name, texts in INTENTS.items()
        for text in texts
        for i, ending in enumerate(ENDINGS)
    ]
    file = tmp_path_factory.mktemp("chats") / "chats.csv"
    pd.DataFrame(rows).sample(frac=1.0, random_state=0).to_csv(file, index=False)
    return file


def test_groups_are_the_intents_and_the_draft_becomes_a_task(chats, tmp_path):
    found = nlptl.discover(chats, tmp_path / "out", text_column="message", groups=3, noise=0.0, progress=False)
    draft = pd.read_csv(tmp_path / "out" / "draft.csv")
    gold = pd.read_csv(chats).set_index("message")["intent"]
    pairs = {(label, gold[text]) for text, label in zip(draft["text"], draft["label"], strict=True)}
    assert len(pairs) == len(found.groups) == 3  # each group holds one intent, whole
    for group in found.groups:
        intent = gold[group.examples[0]]
        assert any(word in " ".join(INTENTS[intent]) for word in group.words[:3])
        assert group.name in (tmp_path / "out" / "groups.md").read_text()
    task = draft_task("chats", tmp_path / "out" / "draft.csv", tmp_path / "tasks").task
    assert task.label_list() == sorted(group.name for group in found.groups)
    assert (task.text_columns, task.label_column) == (["text"], "label")


def test_the_number_of_groups_is_searched_and_noise_set_aside(chats, tmp_path):
    texts = list(pd.read_csv(chats)["message"])
    found = nlptl.discover(
        None, tmp_path / "out", texts=[*texts, texts[0]], noise=0.1, smallest_group=2, progress=False
    )
    noted = json.loads((tmp_path / "out" / "discovery.json").read_text())
    assert noted["texts"] == len(found.texts) == len(texts)
    assert len(noted["tried"]) > 2
    assert noted["unassigned"] == found.labels.count(None) == len(pd.read_csv(tmp_path / "out" / "unassigned.csv")) >= 6
    assert len(pd.read_csv(tmp_path / "out" / "draft.csv")) + noted["unassigned"] == noted["texts"]


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"method": "kmean"}, "Did you mean 'kmeans'"),
        ({"method": "hdbscan", "groups": 3}, "groups.number would have no effect: hdbscan finds"),
        ({"groups": 3, "most_groups": 9}, "groups.most would have no effect"),
        ({"groups": 1}, "groups.number: Input should be greater than or equal to 2"),
        ({"settings": {"groups.smalest": 3}}, "Did you mean 'groups.smallest'"),
        ({"limit": 5}, "at least 10 are needed"),
        ({"text_column": "mesage"}, "Did you mean 'message'"),
    ],
)
def test_mistakes(asked, message, chats, tmp_path):
    with pytest.raises(NlptlError, match=message):
        nlptl.discover(chats, tmp_path / "out", **{"text_column": "message", **asked})
    assert not list(tmp_path.iterdir())


def test_the_settings_in_the_folder_repeat_it(chats, tmp_path):
    first = nlptl.discover(
        chats,
        tmp_path / "first",
        text_column="message",
        groups=4,
        seed=3,
        max_length=32,
        settings={"groups.smallest": 2},
    )
    noted = tmp_path / "first" / "discover.yaml"
    again = nlptl.discover(config=noted, output=tmp_path / "again")
    assert again.groups == first.groups
    assert (tmp_path / "again" / "discover.yaml").read_text() == noted.read_text()
    assert nlptl.discover(config=noted, output=tmp_path / "three", groups=3).labels != first.labels


def test_the_command_asks_as_the_function_does(chats, tmp_path, monkeypatch):
    """Every fault at once, and a file with options over it."""
    from typer.testing import CliRunner

    from nlptl import cli

    asked = []
    monkeypatch.setattr("nlptl.explore.discovery.discover_config", lambda config: asked.append(config) or _nothing())
    (tmp_path / "d.yaml").write_text("groups: {number: 4, smallest: 2}\ntexts: {text_column: message}\n")
    arguments = ["discover", "--config", str(tmp_path / "d.yaml"), "--data", str(chats), "--groups", "3"]
    done = CliRunner().invoke(cli.app, [*arguments, "--set", "texts.max_length=16"])
    assert done.exit_code == 0, done.output
    (config,) = asked
    assert (config.groups.number, config.groups.smallest, config.texts.max_length) == (3, 2, 16)
    assert (config.texts.text_column, config.texts.sources) == ("message", [str(chats)])
    wrong = CliRunner().invoke(cli.app, ["discover", "--method", "kmean", "--checkpoint", "minilmm", "--set", "sed=1"])
    told = str(wrong.exception)
    for fault in ("Did you mean 'kmeans'", "Did you mean 'minilm'", "Did you mean 'seed'"):
        assert fault in told


def _nothing():
    from pathlib import Path

    from nlptl.explore.discovery import Discovery

    return Discovery(Path("nowhere"), [], [], [], "", {})
