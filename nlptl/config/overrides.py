"""Ways to give settings: a YAML file, `--set section.key=value`, flags and keyword arguments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from nlptl.config.records import R, Record, fields_at, read_yaml, validate
from nlptl.config.run import RunConfig
from nlptl.errors import ConfigError, NlptlError, joined, shortened, unknown

# As values by themselves they mean something else in YAML, or nothing; as a delimiter they mean themselves.
_SIGNS = frozenset("|>,:;#-&*%@`?!")


def load_config(file: str | Path | None = None, **settings: Any) -> RunConfig:
    """Read a RunConfig.

    Args:
        file: a YAML file to start from.
        settings: dotted keys with `__` or `.` between section and key, over the file's values; None is "not given".

    Raises:
        ConfigError: every fault of the result at once.
    """
    return load_settings(RunConfig, file, settings)


def load_settings(record: type[R], file: str | Path | None, settings: Mapping[str, Any]) -> R:
    """As `load_config`, for any record of settings."""
    values, faults = merge_settings(record, file, settings)
    return validated(record, values, file, faults)


def merge_settings(
    record: type[Record], file: str | Path | None, settings: Mapping[str, Any]
) -> tuple[dict[str, Any], list[ConfigError]]:
    """The values of a file with settings laid over them, not validated yet.

    Returns:
        Nested values, and a fault for each setting whose key there is not.

    Raises:
        ConfigError: the file cannot be read.
    """
    values = read_yaml(Path(file)) if file is not None else {}
    faults = []
    for key, value in settings.items():
        if value is None:
            continue
        try:
            _put(values, key.replace("__", "."), value, record)
        except ConfigError as error:
            faults.append(error)
    return values, faults


def validated(
    record: type[R], values: Mapping[str, Any], file: str | Path | None = None, faults: Sequence[NlptlError] = ()
) -> R:
    """The record that merged values describe.

    Args:
        record: its type.
        values: from `merge_settings`.
        file: where they began, for messages.
        faults: what else is wrong already; it is told together with the faults of the values.

    Raises:
        NlptlError: every fault.
    """
    origin = "The configuration" if file is None else str(file)
    found: list[NlptlError] = list(faults)
    try:
        checked = validate(record, values, origin)
    except ConfigError as error:
        found.append(error)
    if found:
        raise joined(origin, found)
    return checked


def parse_assignments(assignments: list[str], record: type[Record] = RunConfig) -> dict[str, Any]:
    """`section.key=value` pairs of `--set`; values are read as YAML (numbers, true/false, lists).

    Args:
        assignments: the pairs.
        record: what the settings belong to.

    Raises:
        ConfigError: no equals sign, an unknown key, or a value that is not YAML; every fault at once.
    """
    parsed: dict[str, Any] = {}
    faults: list[NlptlError] = []
    for assignment in assignments:
        try:
            key, value = _parse_assignment(assignment)
            _check_key(key, record)
            parsed[key] = value
        except ConfigError as error:
            faults.append(error)
    if faults:
        raise joined("--set", faults)
    return parsed


def _parse_assignment(assignment: str) -> tuple[str, Any]:
    key, equals, text = assignment.partition("=")
    if not equals:
        raise ConfigError(f"--set {shortened(assignment)!r} has no value. Write section.key=value.")
    try:
        value = text if text in _SIGNS else yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # ValueError: a date such as 2026-99-99
        raise ConfigError(f"--set {shortened(assignment)!r}: the value is not valid YAML.") from error
    # YAML 1.1 reads `1e-4` as text; a person who writes it means the number.
    return key.strip(), _number_or(value)


def parse_label_map(text: str) -> dict[str, str]:
    """`old=new,old2=new2` as a dict; `old=` leaves the rows with that label out, and has an empty name.

    Raises:
        ConfigError: a part without an equals sign, or a name given twice.
    """
    mapping: dict[str, str] = {}
    for part in filter(None, (p.strip() for p in text.split(","))):
        old, equals, new = (s.strip() for s in part.partition("="))
        if not equals or not old:
            raise ConfigError(f"--label-map: {part!r} is not old=new. Write for example ham=legitimate,spam=fraud.")
        if old in mapping:
            raise ConfigError(f"--label-map names {old!r} twice.")
        mapping[old] = new
    return mapping


def _number_or(value: Any) -> Any:
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            return value
    return value


def _check_key(key: str, record: type[Record]) -> None:
    known = dotted_keys(record)
    if key not in known:
        raise ConfigError(unknown("setting", key, known))


def dotted_keys(record: type[Record] = RunConfig) -> list[str]:
    """Every setting as `key` or `section.key`."""
    keys = []
    for name in record.model_fields:
        inner = fields_at(record, (name,))
        keys += [f"{name}.{key}" for key in inner] if inner else [name]
    return keys


def _put(values: dict[str, Any], key: str, value: Any, record: type[Record]) -> None:
    _check_key(key, record)
    section, _, name = key.rpartition(".")
    target = values.setdefault(section, {}) if section else values
    if not isinstance(target, dict):
        raise ConfigError(f"{section} must be a mapping of settings, not {type(target).__name__}.")
    target[name] = value
