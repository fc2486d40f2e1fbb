"""Every setting either changes a run, or is refused or named in a warning where it cannot: settings x modes x kinds."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from nlptl.config.overrides import dotted_keys
from nlptl.config.rules import RULES, broken_rule
from nlptl.config.run import DecisionConfig
from nlptl.config.situation import Situation
from nlptl.errors import ConfigError
from nlptl.registry import MODES
from nlptl.tasks import load_task, task_names
from nlptl.verbs.request import checked_config, situation_of

Settings = dict[str, Any]
# One short training; batches small enough that an epoch has several steps.
QUICK = {
    "training.epochs": 2,
    "training.batch_size": 16,
    "training.learning_rate": 5e-3,
    "runtime.progress": False,
    "runtime.precision": "fp32",
    "probe.regularisation": [0.3, 30.0],
    "model.pooling": "mean",
}
CHANGED: Settings = {
    "mode": "lora",
    "seed": 5,
    "data.text_columns": ["other"],
    "data.label_column": "other_label",
    "data.shots": 6,
    "data.validation_fraction": 0.3,
    "data.test_fraction": 0.4,
    "data.test_seed": 7,
    "data.duplicates": "drop",
    "data.attacked_copies": 1.0,
    "data.leaks": "keep",
    "model.pooling": "cls",
    "model.max_length": 5,
    "model.long_text": "windows",
    "model.window_overlap": 0.6,
    "model.window_pooling": "max",
    "model.max_windows": 1,
    "model.dropout": 0.4,
    "model.head_start": "random",
    "baseline.features": ["frequent_words"],
    "lora.rank": 2,
    "lora.alpha": 3.0,
    "lora.dropout": 0.5,
    "lora.rslora": True,
    "lora.dora": True,
    "lora.targets": ["query"],
    "probe.regularisation": [0.01],
    "probe.start": 0.01,
    "contrastive.temperature": 0.7,
    "soup.members": 2,
    "multi_task.sampling": "uniform",
    "multi_task.temperature": 9.0,
    "multi_task.balance": False,
    "multi_task.compare": True,
    "adaptation.method": "none",
    "adaptation.weight": 300.0,
    "adaptation.shrinkage": 0.1,
    "adaptation.rounds": 3,
    "adaptation.first_share": 0.8,
    "adaptation.last_share": 0.3,
    "adaptation.oracle": False,
    "training.epochs": 3,
    "training.learning_rate": 1e-2,
    "training.head_learning_rate": 3e-2,
    "training.batch_size": 8,
    "training.micro_batch_size": 3,
    "training.schedule": "constant",
    "training.warmup": 0.6,
    "training.weight_decay": 0.9,
    "training.clip": 0.01,
    "training.layer_decay": 0.3,
    "training.unfreeze": 0.9,
    "training.label_smoothing": 0.4,
    "training.class_weights": "balanced",
    "training.loss": "focal",
    "training.focal_gamma": 5.0,
    "training.sampling": "balanced",
    "training.refit": True,
    "runtime.precision": "bf16",
}
"""Another value for each setting whose effect is seen in what a run predicts, measures or saves."""
FILES = {
    "data.source": "second.csv",
    "data.validation": "held_out.csv",
    "data.test": "held_out.csv",
}
ELSEWHERE = {
    "runtime.cache_limit": "tests/storage/test_cache.py",
    "task": "tests/test_cli.py::test_tasks_show_is_the_tasks_yaml",
    "mode": "tests/models/test_modes.py",
    "strategy": "tests/strategies/test_strategies.py",
    "checkpoint": "tests/test_checkpoints.py",
    "lora.adapter": "tests/strategies/test_continued.py::test_an_adapter_is_continued_or_merged_under_another",
    **{
        f"via.{name}": "tests/intermediate/test_via.py"
        for name in (
            "sources",
            "together",
            "objective",
            "mode",
            "rows",
            "epochs",
            "learning_rate",
            "interpolation",
            "text_columns",
            "label_column",
            "compare",
        )
    },
    **{
        f"distillation.{name}": "tests/strategies/test_distillation.py"
        for name in ("teachers", "members", "texts", "temperature", "weight", "layers")
    },
    **{f"decision.{name}": "tests/evaluation/test_decision_settings.py" for name in DecisionConfig.model_fields},
    "decision.scorer": "tests/inference/test_scope.py",
    "output": "tests/test_api.py::test_python_data_is_as_good_as_files",
    "tasks_dir": "tests/test_tasks.py",
    "data.target": "tests/data/test_domains.py",
    "data.target_test": "tests/data/test_domains.py",
    "data.label_map": "tests/data/test_loading.py",
    "data.label_names": "tests/data/test_label_names.py",
    "data.bad_rows": "tests/data/test_loading.py",
    "data.delimiter": "tests/data/files/test_delimited.py",
    "data.quotes": "tests/data/files/test_delimited.py",
    "runtime.kernels": "tests/kernels/test_switch.py::test_a_run_without_kernels_uses_none_from_training_to_prediction",
    "runtime.gradient_compression": "tests/training/test_runtime.py",
    "data.normaliser": "tests/data/normalising/test_normaliser.py",
    "data.encoding": "tests/data/test_loading.py",
    "data.split": "tests/data/test_ordered_splits.py",
    "model.weights": "tests/strategies/test_from_scratch.py",
    "baseline.model": "tests/baselines/test_baselines.py",
    "baseline.compare": "tests/baselines/test_comparison.py",
    "probe.cache": "tests/models/test_cached_features.py",
    "multi_task.sources": "tests/strategies/test_multi_task.py",
    "multi_task.label_maps": "tests/strategies/test_multi_task.py",
    "multi_task.weights": "tests/strategies/test_multi_task.py",
    "adaptation.method": "tests/strategies/adaptation/test_domain_adaptation.py",
    "soup.recipe": "tests/strategies/test_strategies.py",
    "training.patience": "tests/training/test_loop.py",
    "training.save_every": "tests/training/resume/test_states.py::test_a_fixed_interval_counts_steps",
    "training.keep_states": "tests/training/resume/test_states.py::test_the_newest_states_are_kept_and_nothing_else",
    "runtime.precision": "tests/training/test_runtime.py::test_a_precision_that_was_asked_for_is_taken",
    "runtime.trackers": "tests/strategies/test_fine_tune.py",
    "runtime.gradient_checkpointing": "tests/strategies/test_fine_tune.py::test_gradient_checkpointing_changes_no_loss",
    "runtime.compile": "tests/kernels/test_packing.py::test_gradient_checkpointing_and_compiling_change_nothing",
    "runtime.packing": "tests/strategies/test_fine_tune.py",
    "runtime.cuda_graphs": "tests/strategies/test_cuda_graph_runs.py",
    "runtime.deterministic": "tests/training/test_runtime.py::test_deterministic_kernels_are_asked_for_run_by_run",
    "runtime.timeout_seconds": "tests/training/resume/test_cut_off.py",
    "runtime.measure_peak": "tests/strategies/test_fine_tune.py",
    "runtime.threads": "tests/kernels/test_threads.py",
    "runtime.progress": "tests/training/test_runtime.py::test_bars_are_shown_where_asked_for",
}
"""Settings that name things, or say how a run is carried out: the file or test where their effect is seen."""

KINDS = {"single_label": "moods", "multi_label": "topics", "pairs": "twins"}
COMBINATIONS: dict[str, Settings] = {
    **{
        f"{kind}, {mode}": {"task": task, "mode": mode, "strategy": "fine_tune"}
        for kind, task in KINDS.items()
        for mode in ("full", "lora", "feature_extraction")
    },
    **{f"{kind}, baseline": {"task": task, "baseline.model": "logistic_regression"} for kind, task in KINDS.items()},
    "from scratch": {"task": "moods", "mode": "full", "model.weights": "random", "strategy": "fine_tune"},
    "contrastive": {"task": "moods", "mode": "full", "strategy": "contrastive"},
    "soup": {"task": "moods", "mode": "full", "strategy": "soup"},
    "several tasks, full": {"task": "moods+topics", "mode": "full"},
    "several tasks, frozen": {"task": "moods+topics", "mode": "feature_extraction"},
    **{
        f"adaptation by {method}, {mode}": {
            "task": "moods",
            "mode": mode,
            "strategy": "domain_adaptation",
            "adaptation.method": method,
        }
        for mode in ("full", "feature_extraction")
        for method in ("coral", "mmd", "self_training")
    },
}
# Where a setting reads the same code whatever the combination, one combination stands for the others.
DATA_COMBINATIONS = [f"{kind}, feature_extraction" for kind in KINDS]
IMBALANCE = ("training.class_weights", "training.loss", "training.focal_gamma", "training.sampling")
OF_KIND = ("model.head_start", "probe.", "training.label_smoothing", *IMBALANCE, "training.refit")
OF_MODE = (*OF_KIND, "lora.", "model.dropout", "training.learning_rate", "training.layer_decay", "training.unfreeze")
OF_COMBINATION = {
    "single_label, full": ("model.", "lora.", "probe.", "training."),
    "single_label, lora": OF_MODE,
    "single_label, feature_extraction": ("model.", "lora.", "probe.", "training."),
    "multi_label, full": OF_KIND,
    "multi_label, lora": ("training.class_weights",),
    "multi_label, feature_extraction": OF_KIND,
    "single_label, baseline": ("model.", "training.", "baseline."),
    "multi_label, baseline": ("training.class_weights", "training.refit"),
    "contrastive": ("contrastive.", "probe.", "training.label_smoothing", *IMBALANCE),
    "soup": ("soup.",),
    "from scratch": ("model.dropout", "probe.", "training.class_weights"),
    "several tasks, full": ("multi_task.", *IMBALANCE, "training.label_smoothing"),
    "several tasks, frozen": ("multi_task.", "training.class_weights", "training.refit"),
    **{name: ("adaptation.", *IMBALANCE) for name in COMBINATIONS if name.startswith("adaptation")},
}
# The map between frozen features and head is kept where validation gains by it, which these few rows do not.
# Nor does the probe that each round of self-training starts from leave the encoder anything to gain.
NOT_SEEN = {
    ("adaptation by mmd, feature_extraction", "adaptation.weight"),
    ("adaptation by self_training, full", "adaptation.rounds"),
    ("adaptation by self_training, full", "adaptation.first_share"),
}
# What must also be set for a setting to be tried at all.
BESIDE: dict[str, Settings] = {
    "model.long_text": {"model.max_length": 6},
    **{
        f"model.{name}": {"model.long_text": "windows", "model.max_length": 6}
        for name in ("window_overlap", "window_pooling", "max_windows")
    },
    "multi_task.temperature": {"multi_task.sampling": "temperature"},
    "data.leaks": {"data.test": "held_out.csv"},
    "training.focal_gamma": {"training.loss": "focal"},
}


def observed() -> Iterator[tuple[str, str]]:
    """Combination and setting, for each pair whose effect is tried."""
    for key in (*CHANGED, *FILES):
        if key.startswith("data.") or key == "seed":
            yield from ((name, key) for name in DATA_COMBINATIONS)
        for name, keys in OF_COMBINATION.items():
            if key.startswith(keys) and key not in COMBINATIONS[name] and (name, key) not in NOT_SEEN:
                yield name, key


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory, tiny: dict[str, str]) -> Callable[..., Settings]:
    """Tables of three kinds with repeated texts, their tasks, and the settings of a combination on them."""
    root = tmp_path_factory.mktemp("settings")
    for name, seed in (("first", 1), ("second", 2), ("held_out", 3)):
        for task in KINDS.values():
            rows = {"first": 60 if task != "topics" else 40, "second": 60, "held_out": 24}[name]
            table = _table(task, rows, seed)
            if name == "held_out":  # some rows stand in train as well
                table = pd.concat([table, pd.read_csv(root / f"{task}-first.csv").head(8)])
            table.to_csv(root / f"{task}-{name}.csv", index=False)
    for task in KINDS.values():
        folder = root / "tasks" / task
        folder.mkdir(parents=True)
        kind = "multi_label" if task == "topics" else "single_label"
        pair = "text_columns: [text, second]" if task == "twins" else "text_columns: [text]"
        (folder / "task.yaml").write_text(
            f"name: {task}\ndescription: made for this test\nkind: {kind}\nlabels: [good, bad, odd]\n{pair}\n"
        )

    def settings(name: str, **changes: Any) -> Settings:
        """Of a combination, with `changes` by dotted key."""
        chosen = {"tasks_dir": str(root / "tasks"), **COMBINATIONS[name]}
        if "+" in chosen["task"]:
            chosen["multi_task.sources"] = {
                task: str(root / f"{task}-first.csv") for task in task_names(chosen["task"])
            }
        else:
            chosen["data.source"] = str(root / f"{chosen['task']}-first.csv")
        if "baseline.model" not in chosen:
            chosen["checkpoint"] = tiny["bert"]
        if chosen.get("strategy") == "domain_adaptation":
            chosen["data.target"] = str(root / f"{chosen['task']}-second.csv")
        for key, value in changes.items():
            chosen[key] = str(root / f"{chosen['task']}-{value}") if key in FILES else value
            if key == "data.text_columns" and chosen["task"] == "twins":
                chosen[key] = ["other", "second"]
        return chosen

    return settings


def _table(task: str, rows: int, seed: int) -> pd.DataFrame:
    """Texts whose words tell their labels, most of the time; `good` is twice as frequent as the others."""
    rng = np.random.default_rng(seed)
    words = {"good": ("good", "fine", "great"), "bad": ("bad", "awful", "poor"), "odd": ("film", "book", "meal")}
    things = ("song", "game", "shop", "trip", "phone", "chair", "show")

    def text(label: str) -> str:
        own = words[label] if rng.random() < 0.8 else words[str(rng.choice(list(words)))]
        middle = " ".join(rng.choice(things, size=rng.integers(1, 6)))
        return f"a {rng.choice(own)} {middle} in round {rng.integers(4)} {'and more ' * int(rng.integers(3))}".strip()

    labels = rng.choice(["good", "good", "bad", "odd"], size=rows)
    frame = pd.DataFrame(
        {
            "text": [text(label) for label in labels],
            "second": [text(str(rng.choice(labels))) for _ in labels],
            "other": [text(label) for label in rng.permutation(labels)],
            "label": labels,
            "other_label": rng.permutation(labels),
        }
    )
    if task == "topics":
        more = rng.choice(["|odd", "", ""], size=rows)
        for column in ("label", "other_label"):
            frame[column] = [
                label + (extra if label != "odd" else "") for label, extra in zip(frame[column], more, strict=True)
            ]
    return pd.concat([frame, frame.head(rows // 5)], ignore_index=True)  # repeats: duplicates and leaks


def _situation(settings: Settings) -> Situation:
    config = checked_config(None, settings, several=True)
    return situation_of(config, [load_task(name, config.tasks_dir) for name in task_names(config.task)])


def _applicable(settings: Settings) -> Settings:
    """QUICK as far as it applies to these settings."""
    situation = _situation(settings)
    return {key: value for key, value in QUICK.items() if broken_rule(key, situation) is None}


def _outcome(settings: Settings, folder: Path) -> str:
    """A digest of what a run predicts, measures and saves; times, versions and the settings themselves left out."""
    from nlptl.api import train_folder

    config = checked_config(None, {**_applicable(settings), **settings, "output": str(folder)}, several=True)
    train_folder(config)
    digest = hashlib.sha256()
    for file in sorted(folder.rglob("*")):
        if file.suffix in (".safetensors", ".npz") or file.name == "predictions.csv":
            digest.update(file.relative_to(folder).as_posix().encode())
            digest.update(file.read_bytes())
    metrics = json.loads((folder / "metrics.json").read_text())
    told = {key: metrics[key] for key in ("test", "validation", "data", "adaptation", "tasks") if key in metrics}
    told["training"] = {key: metrics["training"].get(key) for key in ("losses", "epochs")}
    digest.update(json.dumps(told, sort_keys=True).encode())
    return digest.hexdigest()


@pytest.fixture(scope="module")
def outcomes(ground: Callable[..., Settings], tmp_path_factory: pytest.TempPathFactory) -> Callable[[Settings], str]:
    """The outcome of settings; each is computed once."""
    root, known = tmp_path_factory.mktemp("outcomes"), dict[str, str]()

    def of(settings: Settings) -> str:
        key = json.dumps(settings, sort_keys=True)
        if key not in known:
            known[key] = _outcome(settings, root / str(len(known)))
        return known[key]

    return of


def _changed(name: str, key: str) -> Any:
    """Another value of a setting than the one that the combination has."""
    if key == "training.refit":
        return not ("feature_extraction" in name or "frozen" in name or "baseline" in name)
    return FILES.get(key, CHANGED.get(key))


@pytest.mark.parametrize(("name", "key"), list(observed()))
def test_a_setting_changes_the_run_or_is_refused(name, key, ground, outcomes, caplog):
    plain, value = ground(name), _changed(name, key)
    rule = broken_rule(key, _situation(plain))
    if key in BESIDE:
        try:
            plain = ground(name, **BESIDE[key])
            rule = broken_rule(key, _situation(plain))
        except ConfigError:  # what it needs beside it is refused itself
            assert rule is not None
    if rule is None:
        assert outcomes({**plain, **ground(name, **{key: value})}) != outcomes(plain)
        return
    with caplog.at_level(logging.WARNING, "nlptl"):
        try:
            checked_config(None, {**plain, key: value}, several=True)
        except ConfigError as error:
            assert not rule.harmless
            assert f"{key} would have no effect: " in str(error)
        else:
            assert rule.harmless
            assert f"left aside: {key} (" in caplog.text


def test_every_setting_is_observed_here_or_names_where_it_is():
    tried = {key for _, key in observed()}
    assert set(dotted_keys()) - tried - set(ELSEWHERE) == set(), "say in CHANGED or ELSEWHERE how its effect is seen"
    assert not set(CHANGED) - set(dotted_keys())
    root = Path(__file__).parents[2]
    for place in ELSEWHERE.values():
        file, _, test = place.partition("::")
        assert f"def {test}" in (root / file).read_text()


def test_every_rule_speaks_of_settings_that_there_are():
    keys = dotted_keys()
    for rule in RULES:
        assert any(rule.covers(key) for key in keys), rule


@pytest.mark.parametrize("name", list(COMBINATIONS))
def test_all_settings_without_effect_are_refused_or_named_at_once(name, ground, caplog):
    plain = ground(name)
    situation = _situation(plain)
    rules = {key: broken_rule(key, situation) for key in CHANGED if key not in plain}
    refused = {key: CHANGED[key] for key, rule in rules.items() if rule and not rule.harmless}
    aside = {key: CHANGED[key] for key, rule in rules.items() if rule and rule.harmless}
    assert refused
    with pytest.raises(ConfigError) as caught:
        checked_config(None, {**plain, **refused, **aside}, several=True)
    told = {fault.partition(" ")[0] for fault in caught.value.faults}
    # One refused setting may be what another one needs, such as multi_task.sampling=temperature.
    assert told <= set(refused)
    assert {key.partition(".")[0] for key in told} == {key.partition(".")[0] for key in refused}
    caplog.clear()
    with caplog.at_level(logging.WARNING, "nlptl"):
        checked_config(None, {**plain, **aside}, several=True)
    assert all(key in caplog.text for key in aside)
    assert bool(aside) == ("left aside" in caplog.text)


def test_what_is_left_aside_has_no_effect(ground, outcomes):
    plain = ground("single_label, feature_extraction")
    situation = _situation(plain)
    rules = {key: broken_rule(key, situation) for key in CHANGED}
    aside = {key: CHANGED[key] for key, rule in rules.items() if rule and rule.harmless}
    assert {"training.epochs", "training.learning_rate", "training.batch_size"} <= set(aside)
    assert outcomes({**plain, **aside}) == outcomes(plain)


def test_all_that_has_no_effect_is_told_at_once(ground):
    with pytest.raises(ConfigError, match="has 3 faults") as caught:
        checked_config(
            None, ground("single_label, full", **{"lora.rank": 4, "soup.members": 2, "data.target": "x.csv"})
        )
    for key, reason in (
        ("lora.rank", "mode full has no adapters"),
        ("soup.members", "it belongs to strategy soup"),
        ("data.target", "it belongs to strategy domain_adaptation (nlptl adapt)"),
    ):
        assert f"{key} would have no effect: {reason}. Leave it out." in str(caught.value)


def test_a_run_yaml_that_states_every_setting_is_repeated(ground, outcomes, tmp_path, caplog):
    """Also in another mode: then what would have no effect is named, as far as the first mode did not fill it in."""
    from nlptl.api import train_folder

    settings = ground("single_label, full", **{"training.layer_decay": 0.3, "training.warmup": 0.3})
    train_folder(checked_config(None, {**_applicable(settings), **settings, "output": str(tmp_path / "run")}))
    file = tmp_path / "run" / "run.yaml"
    caplog.clear()
    with caplog.at_level(logging.WARNING, "nlptl"):
        checked_config(file, {})
    assert caplog.text == ""
    with caplog.at_level(logging.WARNING, "nlptl"):
        checked_config(file, {"mode": "feature_extraction"})
    assert "training.layer_decay" in caplog.text
    assert "training.warmup" in caplog.text
    assert "training.head_learning_rate" not in caplog.text
    with pytest.raises(ConfigError, match=r"training\.layer_decay would have no effect"):
        checked_config(file, {"mode": "feature_extraction", "training.layer_decay": 0.3})


def test_the_table_speaks_of_properties_of_modes(monkeypatch):
    """A mode of another package is covered by what it is, not by its name."""

    class Frozen(MODES.get("feature_extraction")):  # type: ignore[misc]
        pass

    monkeypatch.setattr(MODES, "_entries", dict(MODES.entries()))
    MODES.add("frozen", Frozen)
    with pytest.raises(ConfigError, match=r"lora\.rank would have no effect: mode frozen has no adapters"):
        checked_config(None, {"task": "sentiment", "mode": "frozen", "lora.rank": 3})
    with pytest.raises(ConfigError, match=r"training\.unfreeze would have no effect: mode frozen keeps the encoder"):
        checked_config(None, {"task": "sentiment", "mode": "frozen", "training.unfreeze": 0.3})
