"""The files that the pages' blocks read: small parts of the bundled samples, laid into each page's folder.

A page that needs another file adds its builder to BUILDERS. Small, because each block has seconds; the bundled samples
themselves are cut for the blocks as well.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pandas as pd

from nlptl.storage.paths import bundled
from tests.conftest import sample
from tests.docs import written

CUT = {"train": 64, "validation": 32, "test": 32}
"""Rows of a cut sample."""


def reviews(path: Path) -> None:
    rows = sample("sentiment", "train", 48)
    stars = rows["label"].map({"negative": 1, "positive": 5})
    pd.DataFrame({"review": rows["text"], "stars": stars}).to_csv(path, index=False)


def new_reviews(path: Path) -> None:
    rows = sample("sentiment", "test", 12)
    pd.DataFrame({"review": rows["text"], "id": range(1, len(rows) + 1)}).to_csv(path, index=False)


def messages(path: Path) -> None:
    rows = sample("fraud-text", "train", 48)
    kind = rows["label"].map({"legitimate": "ham", "fraud": "spam"})
    pd.DataFrame({"message": rows["text"], "kind": kind}).to_csv(path, index=False)


def dated_messages(path: Path) -> None:
    """Three messages a day from one of nine senders."""
    rows = sample("fraud-text", "train", 90)
    kind = rows["label"].map({"legitimate": "ham", "fraud": "spam"})
    days = pd.Timestamp("2026-01-01") + pd.to_timedelta([i // 3 for i in range(len(rows))], unit="D")
    senders = [f"sender {i * 5 % 9}" for i in range(len(rows))]
    columns = {"message": rows["text"], "kind": kind, "received": days.strftime("%Y-%m-%d"), "sender": senders}
    pd.DataFrame(columns).to_csv(path, index=False)


def new_messages(path: Path) -> None:
    rows = sample("fraud-text", "test", 12)
    pd.DataFrame({"message": rows["text"], "id": range(1, len(rows) + 1)}).to_csv(path, index=False)


def questions(folder: Path) -> None:
    folder.mkdir()
    for split, each in (("train", 5), ("validation", 2), ("test", 2)):
        rows = sample("chatbot-intent", split, 10_000)
        rows.groupby("label").head(each).to_csv(folder / f"{split}.csv", index=False)


def new_questions(path: Path) -> None:
    sample("chatbot-intent", "test", 12)[["text"]].to_csv(path, index=False)


def chats(path: Path) -> None:
    texts = sample("chatbot-intent", "train", 80)["text"]
    path.write_text("".join(f"{' '.join(text.split())}\n" for text in texts), encoding="utf-8")


def this_year(path: Path) -> None:
    rows = sample("chatbot-intent", "test", 10_000)
    kept = sorted(rows["label"].unique())[3:6]
    new = pd.DataFrame({"text": [f"Do you have a {x} for {y}?" for x in ("gift", "voucher") for y in "abcdef"]})
    pd.concat([rows[rows["label"].isin(kept)], new.assign(label="gift_card")]).to_csv(path, index=False)


def gift_cards(path: Path) -> None:
    asked = [
        f"{ask} {what} {aim}"
        for ask in ("Do you have a", "I want a")
        for what in ("gift card", "voucher")
        for aim in ("for my sister?", "worth fifty euros", "to print out", "for a birthday")
    ]
    pd.DataFrame({"text": asked}).to_csv(path, index=False)


def books(path: Path) -> None:
    sample("sentiment", "train", 48).to_csv(path, index=False)


def kitchen(path: Path) -> None:
    sample("sentiment", "test", 48).to_csv(path, index=False)


def emails(path: Path) -> None:
    """Each of several messages, one after the other, so that few are shorter than 256 tokens."""
    rows = sample("fraud-text", "train", 960)
    mails = [
        {"body": " ".join(texts.iloc[start : start + 20]), "kind": {"legitimate": "ham", "fraud": "spam"}[str(label)]}
        for label, texts in rows.groupby("label")["text"]
        for start in range(0, len(texts), 20)
    ]
    pd.DataFrame(mails).to_csv(path, index=False)


def tickets(path: Path) -> None:
    rows = sample("chatbot-intent", "train", 10_000)
    teams = dict(zip(sorted(rows["label"].unique()), ("accounts", "billing", "support"), strict=False))
    rows = rows[rows["label"].isin(teams)]
    pd.DataFrame({"subject_line": rows["text"], "team": rows["label"].map(teams)}).to_csv(path, index=False)


def answers(path: Path) -> None:
    written.pairs().to_csv(path, index=False)


def new_answers(path: Path) -> None:
    written.pairs(12)[["question", "answer"]].to_csv(path, index=False)


def topics(path: Path) -> None:
    texts, found = written.mentions(400)
    pd.DataFrame({"review": texts, "topics": [";".join(names) for names in found]}).to_csv(path, index=False)


def topic_columns(path: Path) -> None:
    texts, found = written.mentions(400)
    states = {topic: [int(topic in names) for names in found] for topic in written.MENTIONED}
    pd.DataFrame({"review": texts, **states}).to_csv(path, index=False)


def june(path: Path) -> None:
    """Messages of the same kind, as often fraud."""
    _messages_in_any_order()[:150].to_csv(path, index=False)


def july(path: Path) -> None:
    """Messages of the same kind, and texts about other things among them."""
    rows = [_messages_in_any_order()[150:250], sample("sentiment", "test", 60)]
    pd.concat(rows)[["text"]].sample(frac=1.0, random_state=0).to_csv(path, index=False)


def requests(path: Path) -> None:
    """Requests of eight kinds; every fifteenth carries the label of another one, and some stand there twice."""
    rows = sample("chatbot-intent", "train", 10_000)
    names = sorted(rows["label"].unique())[:8]
    rows = rows[rows["label"].isin(names)].sample(frac=1.0, random_state=0).reset_index(drop=True)
    rows["label"] = [
        names[(names.index(label) + 3) % 8] if i % 15 == 7 else label for i, label in enumerate(rows["label"])
    ]
    again = rows[20:24].assign(text=rows["text"][20:24] + " please")
    table = pd.concat([rows, again], ignore_index=True)
    table.assign(channel=["phone" if i % 3 else "web" for i in range(len(table))]).to_csv(path, index=False)


def _messages_in_any_order() -> pd.DataFrame:
    """Test rows of the sample, those that a cut sample holds out behind the others."""
    rows = sample("fraud-text", "test", 10_000)
    return pd.concat([rows[CUT["test"] :].sample(frac=1.0, random_state=0), rows[: CUT["test"]]])


BUILDERS: dict[str, Callable[[Path], None]] = {
    "reviews.csv": reviews,
    "new_reviews.csv": new_reviews,
    "messages.csv": messages,
    "dated_messages.csv": dated_messages,
    "new_messages.csv": new_messages,
    "questions": questions,
    "new_questions.csv": new_questions,
    "chats.txt": chats,
    "books.csv": books,
    "kitchen.csv": kitchen,
    "tickets.csv": tickets,
    "this-year.csv": this_year,
    "gift_cards.csv": gift_cards,
    "emails.csv": emails,
    "answers.csv": answers,
    "new_answers.csv": new_answers,
    "june.csv": june,
    "july.csv": july,
    "requests.csv": requests,
    "topics.csv": topics,
    "topic_columns.csv": topic_columns,
}
"""Name in the page's folder -> what makes it there."""


def lay(folder: Path) -> None:
    """Make every file in a folder."""
    for name, build in BUILDERS.items():
        build(folder / name)


def lay_cut_samples(home: Path, cut: dict[str, int] = CUT) -> None:
    """Make what the repository bundles, with samples of few rows a split, so that a training on one takes seconds."""
    shutil.copytree(bundled("accelerate_configs"), home / "accelerate_configs")
    shutil.copytree(bundled("tasks"), home / "tasks")
    for task in (path.parent for path in (home / "tasks").glob("*/task.yaml")):
        for split, rows in cut.items():
            sample(task.name, split, rows).to_csv(task / "sample" / f"{split}.csv", index=False)
