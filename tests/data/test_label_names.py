"""Labels' names as training texts: which rows are added, and when they are not."""

import pandas as pd
import pytest

from nlptl.config.data import DataConfig
from nlptl.data.label_names import ORIGIN, readable
from nlptl.data.loading import load_splits
from nlptl.errors import DataError
from nlptl.tasks import DecisionSpec, TaskSpec

OPEN = TaskSpec(name="intents", description="d", decision=DecisionSpec(policy="out_of_scope", label="none_of_them"))
NAMES = ("card_arrival", "cashWithdrawal", "none_of_them")


def load(names=NAMES, task=OPEN, more=(), pair=False, **config):
    rows = [(f"text {i}", names[i % len(names)]) for i in range(90)] + list(more)
    frame = pd.DataFrame(rows, columns=["text", "label"])
    if pair:
        frame["second"] = "other"
    return load_splits(task, DataConfig(source="(python data)", **config), 0, frame)


def added(splits) -> dict[str, str]:
    train = splits.train
    return dict(train.loc[train["file"] == ORIGIN, ["text", "label"]].to_numpy().tolist())


def test_with_shots_each_name_is_one_more_text_of_its_label_in_train_alone():
    plain, splits = load(shots=8, label_names=False), load(shots=8)
    assert added(splits) == {"card arrival": "card_arrival", "cash withdrawal": "cashWithdrawal"}
    assert len(splits.train) == len(plain.train) + 2
    assert splits.validation.equals(plain.validation) and splits.test.equals(plain.test)
    assert splits.train.head(len(plain.train)).equals(plain.train)


def test_without_shots_they_are_added_where_asked_for():
    assert added(load()) == {}
    assert len(added(load(label_names=True))) == 2


def test_a_name_that_stands_in_test_is_not_learned_from():
    splits = load(shots=8, more=[("Card arrival!", "card_arrival"), ("cash  withdrawal", "cashWithdrawal")])
    texts = [text for frame in (splits.validation, splits.test) for text in frame["text"]]
    assert not {readable(text) for text in texts} & {readable(text) for text in added(splits)}


def test_names_that_say_nothing_are_left_aside():
    task = OPEN.model_copy(update={"decision": DecisionSpec()})
    assert added(load(("w2", "class 1", "class 2", "pay day"), task, shots=8)) == {"pay day": "pay day"}
    assert added(load(("LABEL_0", "LABEL_1"), task, shots=8)) == {}
    with pytest.raises(DataError, match=r"data\.label_names asks for .*no name is made of words.*LABEL_0"):
        load(("LABEL_0", "LABEL_1"), task, label_names=True)


def test_several_labels_and_pairs():
    several = TaskSpec(name="topics", description="d", kind="multi_label", labels=["news", "sport"])
    names = (["news"], ["sport"], ["news", "sport"])
    assert added(load(names, several, shots=8)) == {}
    asked = load(names, several, label_names=True).train
    assert asked.loc[asked["file"] == ORIGIN, "label"].tolist() == [["news"], ["sport"]]
    pairs = TaskSpec(name="pairs", description="d", labels=["same", "other"], text_columns=["text", "second"])
    assert added(load(("same", "other"), pairs, pair=True, shots=8)) == {}
    with pytest.raises(DataError, match="two texts"):
        load(("same", "other"), pairs, pair=True, label_names=True)
