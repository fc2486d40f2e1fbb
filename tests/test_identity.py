"""The contract of the cache: whatever a run before has left in it, each run gets what it would compute by itself.

Every setting of a run is changed in turn, over one cache that all these runs fill and read. What each of them is served
(token ids, features of the frozen encoder, heads) is compared with what is computed without a cache. A setting that
changes one of these and is missing in its identity would be served another run's numbers here.
"""

from __future__ import annotations

import shutil
import typing
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from transformers import AutoConfig, AutoModel

from nlptl.api import train_config
from nlptl.config.overrides import dotted_keys, load_config
from nlptl.config.run import RunConfig
from nlptl.data.tokens import cached_tokens
from nlptl.data.tokens.encoding import encode
from nlptl.errors import NlptlError
from nlptl.strategies import encoding, stages

# Values where the type does not suggest one. A setting that cannot stand alone brings what it needs.
CHANGED: dict[str, dict[str, Any]] = {
    "task": {"task": "fraud-text", "data.label_map": {"positive": "fraud", "negative": "legitimate"}},
    "mode": {"mode": "lora"},
    "strategy": {"strategy": "soup"},
    "checkpoint": {"checkpoint": "{twin}"},
    "output": {"output": "{new}"},
    "tasks_dir": {"tasks_dir": "{tasks}"},
    "data.source": {"data.source": "{rows}/train.csv"},
    "data.validation": {"data.validation": "{rows}/test.csv", "data.source": "{rows}/train.csv"},
    "data.test": {"data.test": "{rows}/validation.csv", "data.source": "{rows}/train.csv"},
    "data.target": {"data.target": "{rows}/test.csv", "strategy": "domain_adaptation"},
    "data.target_test": {
        "data.target_test": "{rows}/validation.csv",
        "data.target": "{rows}/test.csv",
        "strategy": "domain_adaptation",
    },
    "data.text_columns": {"data.text_columns": ["other"]},
    "data.label_column": {"data.label_column": "turned"},
    "data.label_map": {"data.label_map": {"positive": "negative", "negative": "positive"}},
    "data.encoding": {"data.encoding": "latin-1"},
    "data.delimiter": {"data.delimiter": ","},
    "data.shots": {"data.shots": 4},
    "data.split": {"data.split": "group:other", "data.source": "{rows}/train.csv"},
    "decision.policy": {"decision.policy": "abstain", "decision.floor": 0.7},
    "decision.label": {"decision.policy": "abstain", "decision.floor": 0.7, "decision.label": "no idea"},
    "decision.reject": {"task": "chatbot-intent", "decision.reject": "never"},
    "decision.keep": {"task": "chatbot-intent", "decision.keep": 0.8},
    "decision.scorer": {"task": "chatbot-intent", "decision.scorer": "energy"},
    "decision.floor": {"decision.policy": "abstain", "decision.floor": 0.8},
    "decision.confidence": {"decision.policy": "abstain", "decision.floor": 0.8, "decision.confidence": 0.7},
    "decision.alerts_per_thousand": {
        "task": "fraud-text",
        "data.label_map": {"positive": "fraud", "negative": "legitimate"},
        "decision.policy": "alerts",
        "decision.alerts_per_thousand": 20.0,
    },
    "decision.costs": {"decision.policy": "cost", "decision.costs": {"positive>negative": 5.0}},
    "decision.coverage": {"decision.policy": "conformal", "decision.coverage": 0.8},
    "decision.sets": {"decision.policy": "conformal", "decision.sets": "aps"},
    "baseline.model": {"baseline.model": "naive_bayes"},
    "baseline.features": {"baseline.features": ["words"]},
    "model.pooling": {"model.pooling": "mean"},
    "model.max_length": {"model.max_length": 8},
    "model.long_text": {"model.long_text": "head_tail", "model.max_length": 8},
    "model.window_overlap": {"model.long_text": "windows", "model.max_length": 8, "model.window_overlap": 0.5},
    "model.window_pooling": {"model.long_text": "windows", "model.max_length": 8, "model.window_pooling": "max"},
    "model.max_windows": {"model.long_text": "windows", "model.max_length": 8, "model.max_windows": 3},
    "model.head_start": {"model.head_start": "random"},
    "lora.targets": {"lora.targets": ["query"], "mode": "lora"},
    "probe.regularisation": {"probe.regularisation": [0.5, 2.0], "mode": "feature_extraction"},
    "multi_task.sources": {"multi_task.sources": {}},
    "multi_task.label_maps": {"multi_task.label_maps": {}},
    "multi_task.weights": {"multi_task.weights": {}},
    "distillation.teachers": {
        "distillation.teachers": ["no-such-run"],
        "strategy": "distillation",
    },  # refused: no such run
    "distillation.texts": {"distillation.texts": "{rows}/test.csv", "strategy": "distillation"},
    "distillation.layers": {"distillation.layers": 1, "strategy": "distillation"},
    "via.sources": {"via.sources": ["{rows}/train.csv"]},
    "via.text_columns": {"via.text_columns": ["other"]},
    "via.label_column": {"via.label_column": "other"},
    "runtime.precision": {"runtime.precision": "bf16"},
    "runtime.gradient_compression": {"runtime.gradient_compression": "fp16"},
    "runtime.trackers": {"runtime.trackers": []},
    "runtime.packing": {"runtime.packing": "on"},
    "runtime.cache_limit": {"runtime.cache_limit": "5GB"},
    "probe.cache": {"probe.cache": False},
}
# Settings of another kind of run, without which these would be read by nobody.
TOGETHER = {
    "seed": {"model.weights": "random", "data.shots": 5},
    "model.dropout": {"model.weights": "random", "data.shots": 5},
}
FULL_WIDTH = {code: code + 0xFEE0 for code in range(ord("a"), ord("z") + 1)}
"""What `data.normaliser` undoes."""
REFUSED = {"adaptation.method"}
"""Refused by themselves: `none` and the others belong to runs with a target."""


class _Learning(Exception):
    """Training is about to begin: nothing that is cached is asked for any more."""


def changed_value(key: str) -> Any:
    """Another value than the default, as the setting's type suggests."""
    section, _, name = key.rpartition(".")
    record: Any = RunConfig.model_fields[section].annotation if section else RunConfig
    default = getattr(record(**({} if section else {"task": "sentiment"})), name)
    if isinstance(default, bool):
        return not default
    annotation = record.model_fields[name].annotation
    choices = [choice for choice in _literals(annotation) if choice != default]
    if choices:
        return choices[0]
    if isinstance(default, int):
        return default + 1
    if isinstance(default, float):
        return default / 2 if default else 0.25
    if bool in typing.get_args(annotation):
        return True
    return 2 if "int" in str(annotation) else 0.25


def _literals(annotation: Any) -> list[Any]:
    if typing.get_origin(annotation) is typing.Literal:
        return list(typing.get_args(annotation))
    return [choice for inner in typing.get_args(annotation) for choice in _literals(inner)]


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory, obvious: Path, tiny: dict[str, str]) -> dict[str, str]:
    """Rows with other columns of texts and labels, some texts long, some in full-width letters; a checkpoint; tasks."""
    rows = tmp_path_factory.mktemp("rows")
    for split in ("train", "validation", "test"):
        frame = pd.read_csv(obvious / f"{split}.csv").head(24)
        frame.loc[::6, "text"] = [text.translate(FULL_WIDTH) for text in frame["text"][::6]]
        other = frame["text"].iloc[::-1].to_numpy()
        frame.assign(other=other, turned=frame["label"].iloc[::-1].to_numpy()).to_csv(
            rows / f"{split}.csv", index=False
        )
    tasks = tmp_path_factory.mktemp("tasks")
    (tasks / "mine").mkdir()
    (tasks / "mine" / "task.yaml").write_text("name: mine\ndescription: none\n")
    return {**tiny, "rows": str(rows), "tasks": str(tasks), "twin": str(_other_weights(tiny["bert"], tasks / "twin"))}


def _other_weights(checkpoint: str, folder: Path) -> Path:
    """A checkpoint with the same configuration and tokenizer."""
    shutil.copytree(checkpoint, folder)
    torch.manual_seed(8)
    AutoModel.from_config(AutoConfig.from_pretrained(checkpoint)).save_pretrained(folder)
    return folder


@pytest.fixture
def compared(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """From now on whatever comes from the cache is compared with what is computed without; how often it was."""
    counts = {"tokens": 0, "features": 0, "heads": 0}
    features_of, fit_cached, encode_cached = stages.features_of, stages.fit_cached, encoding.encode_cached

    def features(runtime, classifier, encoded, pad_id, store):
        found, computed = features_of(runtime, classifier, encoded, pad_id, store)
        plain, _ = features_of(runtime, classifier, encoded, pad_id, None)
        # One rounding of bfloat16, since batches of other rows may be summed in another order.
        np.testing.assert_allclose(found, plain, atol=1e-5 if runtime.precision == "fp32" else 2e-2)
        counts["features"] += 1
        return found, computed

    def head(cache, *given, **more):
        found, plain = fit_cached(cache, *given, **more), fit_cached(None, *given, **more)
        np.testing.assert_array_equal(found.weight, plain.weight)
        np.testing.assert_array_equal(found.bias, plain.bias)
        assert found.regularisation == plain.regularisation
        counts["heads"] += 1
        return found

    def tokens(frame, tokenizer, max_length, track, cache, long_text, normaliser):
        found = encode_cached(frame, tokenizer, max_length, track, cache, long_text, normaliser)
        plain = encode(frame, tokenizer, max_length, long_text=long_text, normaliser=normaliser)
        for name in ("tokens", "offsets", "types", "cut", "lost", "windows"):
            np.testing.assert_array_equal(getattr(found, name), getattr(plain, name))
        counts["tokens"] += 1
        return found

    def stop(*_: Any, **__: Any) -> None:
        raise _Learning

    monkeypatch.setattr(cached_tokens, "WORTH_CACHING", 1)
    monkeypatch.setattr(stages, "features_of", features)
    monkeypatch.setattr(stages, "fit_cached", head)
    monkeypatch.setattr(encoding, "encode_cached", tokens)
    monkeypatch.setattr(stages, "fit", stop)
    return counts


@pytest.fixture
def reach_training(places: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Take a run of these settings as far as training, in a cache that all of a test's runs share."""
    monkeypatch.setenv("NLPTL_CACHE", str(tmp_path / "cache"))
    number = iter(range(1000))

    def reach(settings: dict[str, Any]) -> None:
        values = {
            "task": "sentiment",
            "checkpoint": places["bert"],
            "data.source": places["rows"],
            "output": str(tmp_path / f"run{next(number)}"),
            "training.epochs": 1,
            "runtime.precision": "fp32",
            "runtime.progress": False,
            "model.pooling": "cls",
            **settings,
        }
        named = {**places, "new": str(tmp_path / "elsewhere")}
        values = {k: v.format(**named) if isinstance(v, str) else v for k, v in values.items()}
        if "via.sources" in values:
            values["via.sources"] = [source.format(**named) for source in values["via.sources"]]
        with suppress(_Learning):
            train_config(load_config(None, **values))

    return reach


def test_every_setting_has_a_changed_value():
    """A new setting is walked by itself, or told of here."""
    assert set(CHANGED) | set(TOGETHER) | REFUSED <= set(dotted_keys())
    default = load_config(task="sentiment")
    for key in dotted_keys():
        if key not in CHANGED and key not in REFUSED:
            section, _, name = key.rpartition(".")
            home = getattr(default, section) if section else default
            assert changed_value(key) != getattr(home, name), key
            load_config(**{"task": "sentiment", key: changed_value(key)})


@pytest.mark.parametrize("strategy", ["fine_tune", "contrastive"])
def test_no_setting_is_served_what_another_one_computed(strategy, compared, reach_training):
    refused = set()
    base = {"strategy": strategy}
    reach_training(base)
    for key in dotted_keys():
        change = CHANGED.get(key) or {key: changed_value(key)}
        for together in ({}, TOGETHER.get(key)):
            if together is None:
                continue
            # Without a strategy, where the change needs another one: few rows then choose contrastive by themselves.
            chosen = {} if together or "mode" in change else base
            try:
                if together:
                    reach_training(together)
                reach_training({**chosen, **together, **change})
            except NlptlError:
                refused.add(key)
    assert refused <= REFUSED | {"model.head_start", "distillation.teachers"}
    assert compared["tokens"] > 200
    assert compared["features"] > 150
    assert strategy == "contrastive" or compared["heads"] > 50


def test_random_weights_depend_on_everything_drawn_before_them(compared, reach_training, places, tmp_path):
    """The head is drawn among them: tasks with other labels give an encoder other weights under the same seed."""
    frame = pd.read_csv(Path(places["rows"]) / "train.csv")
    names = frame["label"].where(frame.index % 3 > 0, "neither")
    for labels, column in ((2, frame["label"]), (3, names)):
        frame.assign(label=column).to_csv(tmp_path / f"{labels}.csv", index=False)
        source = str(tmp_path / f"{labels}.csv")
        for pooling in ("cls", "mean"):
            settings = {"task": "chatbot-intent", "data.source": source, "data.shots": 4, "model.pooling": pooling}
            reach_training({**settings, "model.weights": "random"})
            reach_training(settings)
    assert compared["features"] == 16


def test_layers_that_a_checkpoint_lacks_are_drawn_with_the_seed(compared, reach_training):
    """RoBERTa's own classifier has a layer below the head that no encoder brings."""
    for seed in (0, 1):
        reach_training({"checkpoint": "{roberta}", "seed": seed, "mode": "lora", "model.head_start": "probe"})
    assert compared["features"] == 4
