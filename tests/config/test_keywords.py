from pathlib import Path

import numpy as np
import pytest

import nlptl
from nlptl.config.keywords import SETTING_OF, settings_by_key, suggests
from nlptl.config.overrides import dotted_keys
from nlptl.config.run import RunConfig
from nlptl.errors import ConfigError


@pytest.mark.parametrize(
    ("keyword", "answer"),
    [
        ("learning_rte", "nlptl.train has no keyword 'learning_rte'. Did you mean 'learning_rate'?"),
        ("ouput", "Did you mean 'output'?"),
        ("lr", "Write learning_rate=..."),
        ("num_train_epochs", "Write epochs=..."),
        ("warmup", """It is a setting: settings={"training.warmup": ...}"""),
        ("lora_rank", """It is a setting: settings={"lora.rank": ...}"""),
        ("lora_r", """Write settings={"lora.rank": ...}"""),
        ("dropout", """settings={"model.dropout": ...} or settings={"lora.dropout": ...}"""),
        ("wieght_decay", """It is a setting: settings={"training.weight_decay": ...}"""),
        ("training.epochs", """It is a setting: settings={"training.epochs": ...}"""),
        ("xyzzy", "Available: task, data, validation"),
    ],
)
def test_an_unknown_keyword_is_answered_with_the_right_one(keyword, answer):
    with pytest.raises(ConfigError) as caught:
        nlptl.train("sentiment", **{keyword: 1})
    assert str(caught.value).startswith(f"nlptl.train has no keyword {keyword!r}.")
    assert answer in str(caught.value)


def test_all_unknown_keywords_are_told_at_once():
    with pytest.raises(ConfigError, match="has 2 faults") as caught:
        nlptl.train("sentiment", learning_rte=1e-5, ephocs=3)
    assert "'learning_rate'" in str(caught.value)
    assert "'epochs'" in str(caught.value)


@pytest.mark.parametrize(
    "verb", ["train", "train_baseline", "adapt", "adapt_matrix", "pretrain", "probe", "rank", "discover"]
)
def test_every_verb_answers(verb):
    with pytest.raises(ConfigError, match=rf"nlptl\.{verb} has no keyword 'sede'\. Did you mean 'seed'"):
        getattr(nlptl, verb)(sede=1)


def test_a_wrapped_verb_keeps_its_signature_and_its_own_errors():
    @suggests(RunConfig)
    def verb(task: str, *, rows: int = 3) -> str:
        """What it does."""
        return f"{task} {rows}"

    assert verb("a", rows=2) == "a 2"
    assert verb.__doc__ == "What it does."
    with pytest.raises(TypeError, match="missing 1 required positional argument"):
        verb()


def test_every_keyword_stands_for_a_setting():
    assert set(SETTING_OF.values()) <= set(dotted_keys())


def test_values_become_those_of_settings():
    keywords = {
        "epochs": np.int64(3),
        "text_column": "review",
        "label_map": {0: "bad", np.float64(1.0): "good", 2.5: "odd"},
        "output": Path("runs/a"),
        "seed": None,
    }
    values, faults = settings_by_key(keywords, {"training.warmup": 0.2})
    assert not faults
    assert values == {
        "training.epochs": 3,
        "data.text_columns": ["review"],
        "data.label_map": {"0": "bad", "1": "good", "2.5": "odd"},
        "output": "runs/a",
        "training.warmup": 0.2,
    }


@pytest.mark.parametrize(
    ("given", "columns"), [("a", ["a"]), (0, ["0"]), (("a", "b"), ["a", "b"]), ([0, 1], ["0", "1"])]
)
def test_a_column_is_named_or_numbered(given, columns):
    values, _ = settings_by_key({"text_column": given, "label_column": np.int64(2)}, None)
    assert values == {"data.text_columns": columns, "data.label_column": "2"}


def test_a_keyword_and_a_setting_that_differ_are_refused():
    values, faults = settings_by_key({"epochs": 3}, {"training.epochs": 3})
    assert (values, faults) == ({"training.epochs": 3}, [])
    _, (fault,) = settings_by_key({"epochs": 3}, {"training.epochs": 5})
    assert "epochs=3 and settings['training.epochs']=5 differ. Give one." in str(fault)
    with pytest.raises(ConfigError, match="settings is a dict by dotted key"):
        settings_by_key({}, ["training.epochs"])
