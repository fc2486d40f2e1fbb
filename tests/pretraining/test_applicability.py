import logging

import pytest

from nlptl.config.overrides import dotted_keys
from nlptl.errors import ConfigError
from nlptl.pretraining.applicability import RULES, broken_rule
from nlptl.pretraining.config import PretrainConfig
from nlptl.verbs.unlabelled_request import checked_pretraining

FROM_CHECKPOINT = {"checkpoint": "minilm", "corpus.sources": ["a.txt"]}
NEW = {"shape": "tiny", "corpus.sources": ["a.txt"]}
OF_TASK = {"checkpoint": "minilm", "task": "sentiment"}


@pytest.mark.parametrize(
    ("plain", "settings", "reason"),
    [
        (
            {**FROM_CHECKPOINT, "objective": "simcse"},
            {"details.whole_words": True},
            "it belongs to objective masked_lm",
        ),
        (FROM_CHECKPOINT, {"details.temperature": 0.1}, "it belongs to objective simcse"),
        (FROM_CHECKPOINT, {"tokenizer.size": 500}, "a checkpoint brings its tokenizer"),
        (NEW, {"tokenizer.extend": 5}, "made from the corpus"),
        (NEW, {"details.head_warmup": 0.2}, "learns with its head at once"),
        (FROM_CHECKPOINT, {"tokenizer.extend_occurrences": 3}, "it belongs to tokenizer.extend"),
        (OF_TASK, {"corpus.text_column": "text"}, "the texts are those of a task"),
        (FROM_CHECKPOINT, {"data.shots": 5}, "it belongs to the texts of a task"),
        (FROM_CHECKPOINT, {"training.class_weights": "balanced"}, "unlabelled texts have no labels"),
        ({**FROM_CHECKPOINT, "steps": 5}, {"training.epochs": 3}, "steps says how long it learns"),
    ],
)
def test_a_setting_without_effect_is_refused(plain, settings, reason):
    (key,) = settings
    with pytest.raises(ConfigError, match=f"{key} would have no effect: .*{reason}"):
        checked_pretraining(None, {**plain, **settings})


def test_settings_with_effect_pass_and_a_file_may_state_all(tmp_path, caplog):
    config = checked_pretraining(None, {**FROM_CHECKPOINT, "details.mask": 0.3, "training.epochs": 3})
    file = tmp_path / "pretrain.yaml"
    file.write_text(config.model_dump_json())
    assert checked_pretraining(file, {}) == config
    with caplog.at_level(logging.WARNING, "nlptl"):
        checked_pretraining(file, {"runtime.compile": True})
    assert "left aside: runtime.compile (pre-training does not use it)" in caplog.text


def test_an_objective_of_another_package_may_read_any_detail():
    config = PretrainConfig(objective="borrowed", checkpoint="minilm")
    assert all(broken_rule(key, config) is None for key in dotted_keys(PretrainConfig) if key.startswith("details."))


def test_every_rule_speaks_of_settings_that_there_are():
    keys = set(dotted_keys(PretrainConfig))
    for rule in RULES:
        assert all(key in keys or any(k.startswith(key.removesuffix("*")) for k in keys) for key in rule.keys)
