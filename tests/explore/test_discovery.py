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
    task = draft_task("chats", tmp_path / "out" / "draft.csv", tmp_path / "tasks")
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
        ({"method": "hdbscan", "groups": 3}, "Leave groups out"),
        ({"groups": 1}, "at least 2"),
        ({"limit": 5}, "at least 10 are needed"),
        ({"text_column": "mesage"}, "Did you mean 'message'"),
    ],
)
def test_mistakes(asked, message, chats, tmp_path):
    with pytest.raises(NlptlError, match=message):
        nlptl.discover(chats, tmp_path / "out", **{"text_column": "message", **asked})
    assert not list(tmp_path.iterdir())
