"""The reference of the settings, made from the fields and their docstrings in `nlptl.config`."""

from __future__ import annotations

import typing
from collections.abc import Iterator, Mapping
from types import NoneType, UnionType
from typing import Any

from markup import code, entry, plain
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from nlptl.config.run import RunConfig
from nlptl.registry import MODES

WORDS: Mapping[Any, str] = {str: "text", int: "whole number", float: "number", bool: "true or false"}


def markdown() -> str:
    """The settings on the top level, then section by section."""
    return "\n".join(_sections(RunConfig, _by_mode()))


def _by_mode() -> dict[str, dict[str, Any]]:
    """Dotted key -> what each of nlptl's own modes takes where nothing is said."""
    found: dict[str, dict[str, Any]] = {}
    for mode in MODES:
        if MODES.package(mode) is None:
            for key, value in getattr(MODES.get(mode), "defaults", {}).items():
                found.setdefault(key, {})[mode] = value
    return found


def _sections(record: type[BaseModel], by_mode: Mapping[str, dict[str, Any]]) -> Iterator[str]:
    yield "## At the top\n"
    yield from (_setting(name, field, by_mode) for name, field in record.model_fields.items() if not _section(field))
    for section, field in record.model_fields.items():
        inner = _section(field)
        if inner:
            yield f"## {section}\n"
            yield f"{plain(inner.__doc__ or '')}\n"
            yield from (_setting(f"{section}.{name}", field, by_mode) for name, field in inner.model_fields.items())


def _section(field: FieldInfo) -> type[BaseModel] | None:
    kind = field.annotation
    return kind if isinstance(kind, type) and issubclass(kind, BaseModel) else None


def _setting(key: str, field: FieldInfo, by_mode: Mapping[str, dict[str, Any]]) -> str:
    said = f"{_type(field.annotation)}; {_default(field, by_mode.get(key))}"
    return entry(f"{code(key)} ({said})", plain(field.description or ""))


def _type(annotation: Any) -> str:
    """A type in few words: choices by name, without conditions on numbers and without None, which means open."""
    origin, inner = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        return _type(inner[0])
    if origin in (typing.Union, UnionType):
        return " or ".join(_type(part) for part in inner if part is not NoneType)
    if origin is typing.Literal:
        return ", ".join(code(str(choice)) for choice in inner)
    if origin is list:
        return f"list of {_type(inner[0])}"
    if origin is dict:
        return f"map from {_type(inner[0])} to {_type(inner[1])}"
    return WORDS[annotation]


def _default(field: FieldInfo, modes: Mapping[str, Any] | None) -> str:
    if modes:
        return "default " + ", ".join(f"{_value(value)} in {code(mode)}" for mode, value in modes.items())
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True)
    return "open by default" if value is None else f"default {_value(value)}"


def _value(value: Any) -> str:
    """A value as YAML would show it."""
    if isinstance(value, bool):
        return code(str(value).lower())
    if isinstance(value, list | dict) and not value:
        return "none"
    if isinstance(value, list):
        return code(", ".join(f"{item:g}" if isinstance(item, float) else str(item) for item in value))
    return code(f"{value:g}" if isinstance(value, float) else str(value))
