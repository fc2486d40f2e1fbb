"""`data.split`: the latest rows, or whole groups, are held out; nothing later changes what is learned before."""

from __future__ import annotations

import datetime
import logging

import numpy as np
import pandas as pd
import pytest

import nlptl
from nlptl.config.data import DataConfig
from nlptl.config.overrides import load_config
from nlptl.data.loading import load_splits
from nlptl.errors import ConfigError, DataError
from nlptl.tasks import TaskSpec, load_task
from tests.conftest import QUICK

TASK = TaskSpec(name="mail", description="d", labels=["ham", "spam"], positive_label="spam", metric="macro_f1")


def rows(count: int = 100, each_day: int = 3, **columns: object) -> pd.DataFrame:
    """Rows in no order of time, several to a day; every third is spam, and there are 12 senders."""
    rng = np.random.default_rng(0)
    days = [datetime.date(2026, 1, 1) + datetime.timedelta(days=i // each_day) for i in range(count)]
    frame = pd.DataFrame(
        {
            "text": [f"message number {i} of somebody" for i in range(count)],
            "label": ["spam" if i % 3 == 0 else "ham" for i in range(count)],
            "sent": [day.isoformat() for day in days],
            "sender": [f"s{i * 7 % 12}" for i in range(count)],
        }
    ).assign(**columns)
    return frame.iloc[rng.permutation(count)].reset_index(drop=True)


def split(frame: pd.DataFrame, along: str = "time:sent", task: TaskSpec = TASK, **settings: object):
    return load_splits(task, DataConfig(source="data", split=along, **settings), 0, frame)


def days_of(part: pd.DataFrame, frame: pd.DataFrame, column: str = "sent") -> pd.Series:
    return part["text"].map(frame.set_index("text")[column])


def test_the_latest_rows_are_test_and_a_day_is_on_one_side():
    frame = rows()
    found = split(frame)
    train, validation, test = (days_of(part, frame) for part in (found.train, found.validation, found.test))
    assert train.max() < validation.min() <= validation.max() < test.min()
    assert 18 <= len(test) <= 22
    assert 6 <= len(validation) <= 10
    assert len(train) + len(validation) + len(test) == 100
    assert found.along["test"]["last"] == "2026-02-03T00:00:00"
    assert found.along["train"]["last"] < found.along["validation"]["first"]
    assert set(found.train) == set(
        load_splits(TASK, DataConfig(source="data"), 0, frame).train
    )  # no column is left behind


def test_neither_seed_nor_row_order_changes_a_split_by_time():
    frame = rows()
    one, other = (
        split(frame),
        load_splits(TASK, DataConfig(source="data", split="time:sent"), 7, frame.iloc[::-1].reset_index(drop=True)),
    )
    for name in ("train", "validation", "test"):
        assert set(one.frames()[name]["text"]) == set(other.frames()[name]["text"])


def test_one_day_that_is_larger_than_the_share_does_not_straddle():
    frame = rows(sent=["2026-01-01"] * 30 + ["2026-01-02"] * 40 + ["2026-01-03"] * 30)
    found = split(frame)
    assert (found.train.shape[0], found.validation.shape[0], found.test.shape[0]) == (30, 40, 30)
    with pytest.raises(DataError, match="All 100 rows have the same time in column 'sent'"):
        split(rows(sent="2026-01-01"))


def test_what_comes_later_changes_nothing_about_what_is_learned_before():
    """A text that comes again leaves the later split; with other data the earlier one would depend on the future."""
    frame = rows()
    before = split(frame)
    last = frame["sent"] == frame["sent"].max()
    first = frame.loc[frame["sent"].idxmin(), "text"]
    again = frame.assign(text=frame["text"].where(~last, first + "!"))
    found = split(again)
    assert found.train["text"].tolist() == before.train["text"].tolist()
    assert len(found.test) == len(before.test) - last.sum()
    assert found.audit.counts["test_repeats"] == last.sum()
    assert len(split(again, leaks="keep").test) == len(before.test)


def test_duplicates_inside_a_split_leave_the_later_one():
    frame = rows()
    early, late = frame["sent"].sort_values().index[[0, 50]]
    frame.loc[late, ["text", "label"]] = frame.loc[early, ["text", "label"]].to_numpy()
    found = split(frame, duplicates="drop")
    kept = found.train[found.train["text"] == frame.loc[early, "text"]]
    assert kept["row"].tolist() == [early + 1]


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        ({3: "03/04/2026"}, r"holds what is no time: '03/04/2026' \(data\[train\] row 4\)"),
        ({5: "soon"}, r"holds what is no time: 'soon' \(data\[train\] row 6\)"),
        ({3: "2026-01-05 10:00"}, r"times of 2 forms \(day: .*; time: '2026-01-05 10:00' \(data\[train\] row 4\)\)"),
        ({3: "2026-02-30"}, r"holds days that there are not: '2026-02-30' \(data\[train\] row 4\)"),
        ({3: "20260105"}, "times of 2 forms"),
        ({3: None, 4: ""}, r"row 4, 5, column 'sent': time is missing or empty"),
    ],
)
def test_odd_times_are_loud(cells, message):
    frame = rows()
    for row, cell in cells.items():
        frame.loc[row, "sent"] = cell
    with pytest.raises(DataError, match=message):
        split(frame)


def test_times_with_and_without_a_zone_are_two_forms():
    plain = rows()["sent"] + "T09:00:00"
    mixed = plain.where(plain.index % 2 == 0, plain + "+02:00")
    with pytest.raises(DataError, match="times of 2 forms"):
        split(rows(sent=mixed.to_numpy()))


@pytest.mark.parametrize(
    "times",
    [
        lambda frame: pd.to_datetime(frame["sent"]),
        lambda frame: pd.to_datetime(frame["sent"]).dt.date,
        lambda frame: pd.to_datetime(frame["sent"]).astype("int64") // 10**9,
        lambda frame: (pd.to_datetime(frame["sent"]).astype("int64") // 10**9).astype(str),
        lambda frame: frame["sent"] + " 08:30:00",
        lambda frame: frame["sent"] + "T08:30:00.5Z",
        lambda frame: frame["sent"].str.replace("-", ""),
    ],
)
def test_times_of_every_form_give_the_same_split(times):
    frame = rows()
    found, wanted = split(frame.assign(sent=times(frame))), split(frame)
    for name in ("train", "validation", "test"):
        assert found.frames()[name]["text"].tolist() == wanted.frames()[name]["text"].tolist()


def test_numbers_are_compared_as_numbers():
    frame = rows()
    order = frame["text"].str.extract(r"(\d+)", expand=False)
    found = split(frame.assign(sent=order))
    assert sorted(days_of(found.test, frame.assign(order=order.astype(int)), "order")) == list(range(80, 100))


def test_rows_without_a_time_are_dropped_and_counted_where_that_is_asked_for():
    frame = rows()
    frame.loc[[3, 4], "sent"] = None
    found = split(frame, bad_rows="drop")
    assert sum(found.sizes().values()) == 98
    assert found.audit.counts["train_rows_without_time"] == 2


def test_groups_stay_together_with_both_labels_on_each_side():
    frame = rows(240)
    found = split(frame, "group:sender")
    senders = {name: set(days_of(part, frame, "sender")) for name, part in found.frames().items()}
    assert not senders["train"] & senders["test"]
    assert not senders["validation"] & (senders["train"] | senders["test"])
    for part in found.frames().values():
        assert set(part["label"]) == {"ham", "spam"}
    assert found.along["test"] == {"groups": len(senders["test"])}
    assert abs(len(found.test) / 240 - 0.2) < 0.05
    other = load_splits(TASK, DataConfig(source="data", split="group:sender"), 3, frame)
    assert set(other.test["text"]) != set(found.test["text"])


def test_a_text_of_two_groups_is_not_on_both_sides():
    frame = rows(240)
    frame["text"] = frame["text"].str.replace(r"\d+", lambda found: str(int(found[0]) % 210), regex=True)
    found = split(frame, "group:sender")
    texts = {name: set(part["text"]) for name, part in found.frames().items()}
    assert not texts["train"] & (texts["validation"] | texts["test"])
    assert not texts["validation"] & texts["test"]


def test_a_group_that_holds_a_label_alone_is_named():
    frame = rows(120)
    frame.loc[frame["label"] == "spam", "sender"] = "acme"
    with pytest.raises(DataError, match=r"the 40 rows of 'spam' are of 1 group\(s\), 40 of them of 'acme'"):
        split(frame, "group:sender")
    with pytest.raises(DataError, match="are of one group in column 'sender'"):
        split(rows(sender="acme"), "group:sender")


def test_a_label_that_stops_early_is_missed_aloud():
    frame = rows()
    early = frame["sent"] < "2026-01-15"
    frame["label"] = np.where(early & (frame.index % 2 == 0), "spam", "ham")
    with pytest.raises(DataError, match=r"has no row of 'spam', whose .* rows are from 2026-01-01.* to 2026-01-14"):
        split(frame)


def test_a_label_that_begins_late_is_unknown_to_train():
    frame = rows()
    task = TaskSpec(name="mail", description="d", labels="from_data", metric="macro_f1")
    late = frame["sent"] >= sorted(frame["sent"])[85]
    with pytest.raises(DataError, match="scam"):
        split(frame.assign(label=frame["label"].where(~late, "scam")), task=task)


def test_what_cannot_be_split_along_a_column_is_refused(tmp_path):
    with pytest.raises(DataError, match="has no column 'date'.*--split"):
        split(rows(), "time:date")
    with pytest.raises(DataError, match="the data bring their own test"):
        load_splits(TASK, DataConfig(source="data", split="time:sent"), 0, {"train": rows(), "test": rows()})
    with pytest.raises(ConfigError, match="expected time:COLUMN or group:COLUMN"):
        load_config(task="sentiment", data__split="sent")
    rows().to_csv(tmp_path / "a.csv", index=False)
    with pytest.raises(ConfigError, match=r"data\.split would have no effect: data\.validation or data\.test names"):
        nlptl.train_baseline("fraud-text", data=tmp_path / "a.csv", test=tmp_path / "a.csv", split="time:sent")


@pytest.mark.parametrize("kind", ["encoder", "baseline"])
def test_runs_are_split_along_a_column_and_say_so(kind, tiny, tmp_path, caplog):
    frame = rows(label=["legitimate", "fraud"] * 50)
    settings = {**QUICK} if kind == "encoder" else {"runtime.progress": False}
    verb, more = (
        (nlptl.train, {"checkpoint": tiny["bert"], "mode": "feature_extraction"})
        if kind == "encoder"
        else (nlptl.train_baseline, {})
    )
    with caplog.at_level(logging.INFO, "nlptl"):
        run = verb("fraud-text", data=frame, split="time:sent", output=tmp_path / "run", settings=settings, **more)
    noted = run.metrics["data"]["split"]
    assert (noted["by"], noted["column"]) == ("time", "sent")
    assert noted["validation"]["last"] < noted["test"]["first"]
    assert "Split by time (sent): train 2026-01-01 to" in caplog.text
    # Rows to evaluate on need no such column.
    assert run.evaluate(frame.drop(columns="sent"))["rows"] == 100


def test_a_look_into_an_encoder_takes_the_same_rows(tiny, tmp_path):
    task = load_task("fraud-text")
    frame = rows(label=["legitimate", "fraud"] * 50)
    report = nlptl.probe(
        task.name, data=frame, split="time:sent", checkpoint=tiny["bert"], settings={"runtime.precision": "fp32"}
    )
    assert report.rows
