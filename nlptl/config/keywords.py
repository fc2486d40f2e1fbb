"""Keywords of the Python verbs: which setting each one stands for, and a helpful answer to one that there is not."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Mapping
from functools import wraps
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from nlptl.config.overrides import dotted_keys
from nlptl.config.records import Record
from nlptl.errors import ConfigError, NlptlError, closest, joined

P = ParamSpec("P")
T = TypeVar("T")

SETTING_OF = {
    "text_column": "data.text_columns",
    "label_column": "data.label_column",
    "label_map": "data.label_map",
    "split": "data.split",
    "shots": "data.shots",
    "epochs": "training.epochs",
    "learning_rate": "training.learning_rate",
    "batch_size": "training.batch_size",
    "max_length": "model.max_length",
    "precision": "runtime.precision",
    "head": "model.head_start",
    "method": "adaptation.method",
    "model": "baseline.model",
}
"""Keyword -> the dotted setting that it stands for; the others are called as the setting is."""

OTHER_NAMES = {
    "lr": "learning_rate",
    "num_train_epochs": "epochs",
    "num_epochs": "epochs",
    "n_epochs": "epochs",
    "per_device_train_batch_size": "batch_size",
    "train_batch_size": "batch_size",
    "max_seq_length": "max_length",
    "model_name": "checkpoint",
    "model_name_or_path": "checkpoint",
    "pretrained_model": "checkpoint",
    "dataset": "data",
    "train_dataset": "data",
    "eval_dataset": "validation",
    "output_dir": "output",
    "random_state": "seed",
    "text_columns": "text_column",
    "text": "text_column",
    "label": "label_column",
    "lora_r": "lora.rank",
    "lora_alpha": "lora.alpha",
    "bf16": "precision",
    "fp16": "precision",
    "warmup_ratio": "training.warmup",
}
"""What other libraries call it -> what it is called here."""


def settings_by_key(
    keywords: Mapping[str, Any], settings: Mapping[str, Any] | None, setting_of: Mapping[str, str] = SETTING_OF
) -> tuple[dict[str, Any], list[NlptlError]]:
    """Keywords of a call and its `settings` as one set of dotted settings.

    Args:
        keywords: keyword -> value; None is "not given".
        settings: dotted key -> value.
        setting_of: keyword -> dotted key, where they differ.

    Returns:
        The settings, and a fault for each one that is given twice with different values.
    """
    if settings is not None and not isinstance(settings, Mapping):
        raise ConfigError(f'settings is a dict by dotted key, such as {{"training.warmup": 0.2}}; given: {settings!r}')
    found, faults = dict(settings or {}), list[NlptlError]()
    for name, given in keywords.items():
        if given is None:
            continue
        key, value = setting_of.get(name, name), _plain_keyword(name, given)
        if found.get(key) is not None and found[key] != value:
            faults.append(ConfigError(f"{name}={value!r} and settings[{key!r}]={found[key]!r} differ. Give one."))
        found[key] = value
    return found, faults


def _plain_keyword(name: str, value: Any) -> Any:
    """A column alone as a list of columns, labels of a map as text, a path as text."""
    if name == "text_column":
        return [_label(column) for column in (value if isinstance(value, list | tuple) else [value])]
    if name == "label_column":
        return _label(value)
    if name == "label_map" and isinstance(value, Mapping):
        return {_label(old): "" if new is None else _label(new) for old, new in value.items()}
    return str(value) if isinstance(value, Path) else value


def _label(value: Any) -> Any:
    """The name of a label or column that data hold as a number, as a CSV file would write it."""
    value = value.item() if type(value).__module__ == "numpy" else value
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(int(value) if value == int(value) else value)
    return value


def suggests(record: type[Record] | None = None) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Decorator of a verb: a keyword that it does not have is answered with the nearest keyword or setting.

    Args:
        record: whose settings the verb takes as `settings={"section.key": value}`; None: it takes none.

    Raises:
        ConfigError: (from the verb) lists every unknown keyword.
    """

    def decorate(verb: Callable[P, T]) -> Callable[P, T]:
        names = list(inspect.signature(verb).parameters)

        @wraps(verb)
        def called(*arguments: P.args, **keywords: P.kwargs) -> T:
            unknown = [name for name in keywords if name not in names]
            if unknown:
                faults = [ConfigError(_answer(verb.__name__, name, names, record)) for name in unknown]
                raise joined(f"nlptl.{verb.__name__}", faults)
            return verb(*arguments, **keywords)

        return called

    return decorate


def _answer(verb: str, name: str, keywords: Collection[str], record: type[Record] | None) -> str:
    said = f"nlptl.{verb} has no keyword {name!r}."
    meant = OTHER_NAMES.get(name.lower(), name)
    if meant in keywords:
        return f"{said} Write {meant}=..."
    settings = [] if record is None else dotted_keys(record)
    exact = [key for key in settings if meant in (key, key.rpartition(".")[2], key.replace(".", "_"))]
    if not exact:
        nearest = closest(name, keywords)
        if nearest is not None:
            return f"{said} Did you mean {nearest!r}?"
        spelled = {key.rpartition(".")[2]: key for key in settings} | {key.replace(".", "_"): key for key in settings}
        spelled |= {key: key for key in settings}
        close = closest(name, spelled)
        exact = [] if close is None else [spelled[close]]
    if exact:
        ways = " or ".join(f'settings={{"{key}": ...}}' for key in exact)
        return f"{said} It is a setting: {ways}" if meant == name else f"{said} Write {ways}"
    return f"{said} Available: {', '.join(keywords)}" + (
        ", and any other setting in settings={...}." if settings else "."
    )
