"""Strict YAML-backed records: unknown keys are errors with a hint, and all faults are told at once."""

from __future__ import annotations

import re
import reprlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path, PurePath
from typing import Annotated, Any, TypeVar, cast

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError, ValidationInfo, field_validator
from pydantic.config import JsonDict

from nlptl.errors import ConfigError, closest
from nlptl.storage.secrets import holds_secret, redact
from nlptl.storage.sizes import parse_size


class Record(BaseModel):
    """Base of everything read from YAML: frozen, and no key passes that is not a field."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _plain(cls, value: Any, info: ValidationInfo) -> Any:
        """The value as YAML would hold it; what no field may hold, whatever its type, is refused."""
        value = plain(value)
        annotation = cls.model_fields[str(info.field_name)].annotation
        if isinstance(value, bool) and {"on", "off"} & {*getattr(annotation, "__args__", ())}:
            value = "on" if value else "off"  # YAML reads these names as true and false
        if isinstance(value, bool) and bool not in (annotation, *getattr(annotation, "__args__", ())):
            raise ValueError("expected a value, not true or false (put a name in quotes)")
        for text in _texts(value):
            if "\0" in text:
                raise ValueError("holds a NUL character")
            if holds_half_character(text):
                raise ValueError("holds bytes that are no text; write it in UTF-8")
            if holds_secret(text):
                raise ValueError(
                    "holds a password or access token, which would be written to run.yaml; "
                    "leave it in the environment (HF_TOKEN, ~/.netrc)"
                )
        return value

    def deciding(self, what: str) -> dict[str, Any]:
        """The settings that decide something, as plain values: all but those whose field says that it does not.

        Args:
            what: `run`, the numbers that a run gives; or `features`, what a frozen encoder makes of given tokens.
        """
        values = {}
        for name in type(self).model_fields:
            if what in _decided_by(type(self), name):
                value = getattr(self, name)
                values[name] = value.deciding(what) if isinstance(value, Record) else value
        return values


def _size(value: Any) -> Any:
    """A size as text; YAML reads a plain number of bytes as a number."""
    text = str(value) if isinstance(value, int | float) else value
    if isinstance(text, str):
        try:
            parse_size(text)
        except ConfigError as error:
            raise ValueError(str(error)) from error
    return text


Size = Annotated[str, BeforeValidator(_size)]
"""Bytes, such as 500MB or 10GB."""
DECIDED = ("run", "features")
NOTHING: JsonDict = {"decides": []}
"""`Field(json_schema_extra=NOTHING)`: a setting that changes no result."""
NOT_FEATURES: JsonDict = {"decides": ["run"]}
"""A setting that changes what is learned, but nothing that a frozen encoder makes of given tokens."""


def _decided_by(record: type[BaseModel], name: str) -> Iterable[str]:
    """What a field says that it decides; where a subclass states it anew, the first class that said so is asked."""
    for cls in record.__mro__:
        field = getattr(cls, "model_fields", {}).get(name)
        if field is not None and isinstance(field.json_schema_extra, dict):
            return [str(what) for what in cast(list[str], field.json_schema_extra["decides"])]
    return DECIDED


R = TypeVar("R", bound=Record)


def plain(value: Any) -> Any:
    """A value of Python as YAML would hold it: a path as text, a NumPy scalar as a number, an array as a list.

    Containers are followed one level deep: fields hold plain values, lists of them, or maps between them.
    """
    if isinstance(value, Mapping):
        return {_plain_scalar(key): _plain_scalar(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain_scalar(inner) for inner in value]
    return _plain_scalar(value)


def _plain_scalar(value: Any) -> Any:
    if isinstance(value, PurePath):
        return str(value)
    # By module and not by type: this room must not import NumPy, which takes a tenth of a second.
    return value.tolist() if type(value).__module__ == "numpy" else value


_HALF_CHARACTER = re.compile("[\ud800-\udfff]")


def _texts(value: Any) -> Iterator[str]:
    """The strings in a value, one level deep: fields hold strings, lists of them, or maps between them."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else [(0, value)]
    for pair in inner:
        yield from (part for part in pair if isinstance(part, str))


def holds_half_character(text: str) -> bool:
    """Whether a text holds a lone surrogate, which no encoding can write: from a JSON escape, or undecodable bytes."""
    return not text.isascii() and _HALF_CHARACTER.search(text) is not None


_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = 80


def read_yaml(path: Path) -> dict[str, Any]:
    """The mapping in a YAML file.

    Raises:
        ConfigError: the file is missing, not UTF-8, not YAML, or not a mapping.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise ConfigError(f"Cannot read {path}: {error.strerror or error}.") from error
    except (yaml.YAMLError, UnicodeDecodeError, ValueError, RecursionError) as error:
        raise ConfigError(f"{path} is not valid YAML: {error}") from error
    if not isinstance(content, dict) or not all(isinstance(key, str) for key in content):
        raise ConfigError(f"{path} must hold a mapping of names to values, not {type(content).__name__}.")
    return content


def read_record(model: type[R], path: Path) -> R:
    """The record in a YAML file.

    Raises:
        ConfigError: the file cannot be read, or all faults of what it says.
    """
    return validate(model, read_yaml(path), str(path))


def write_yaml(path: Path, record: Record) -> None:
    """Write a record so that `read_record(type(record), path)` gives it back."""
    text = yaml.safe_dump(record.model_dump(mode="json"), sort_keys=False, allow_unicode=True, width=100)
    aside = path.with_name(path.name + ".part")
    aside.write_text(text, encoding="utf-8")
    aside.replace(path)


def validate(model: type[R], values: Mapping[str, Any], origin: str) -> R:
    """Build a record from plain values.

    Args:
        model: the record type.
        values: its fields, nested mappings for nested records.
        origin: where the values came from (a file, "the command line"), for the message.

    Raises:
        ConfigError: names every fault, each with its key, and suggests the nearest key for an unknown one.
    """
    try:
        return model.model_validate(values)
    except ValidationError as error:
        faults = [_sentence(model, dict(e)) for e in error.errors(include_url=False)]
    listed = "\n".join(f"  - {fault}" for fault in faults)
    raise ConfigError(f"{origin} has {len(faults)} fault{'s' * (len(faults) > 1)}:\n{listed}", faults)


def fields_at(model: type[BaseModel], path: tuple[str | int, ...]) -> list[str]:
    """Names of the fields of the record that lies at `path` inside `model`."""
    current: Any = model
    for step in path:
        if not (isinstance(current, type) and issubclass(current, BaseModel)):
            return []
        if step in current.model_fields:
            current = _record_in(current.model_fields[str(step)].annotation)
    return list(current.model_fields) if isinstance(current, type) and issubclass(current, BaseModel) else []


def _record_in(annotation: Any) -> Any:
    """The record type inside an annotation such as `dict[str, X]` or `X | None`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for inner in getattr(annotation, "__args__", ()):
        found = _record_in(inner)
        if found is not None:
            return found
    return None


def _sentence(model: type[Record], fault: dict[str, Any]) -> str:
    location = tuple(fault["loc"])
    key = ".".join(str(part) for part in location) or "(whole)"
    if fault["type"] == "extra_forbidden":
        known = fields_at(model, location[:-1])
        nearest = closest(str(location[-1]), known)
        hint = f" Did you mean {nearest!r}?" if nearest else ""
        return f"{key}: unknown key. Known here: {', '.join(known)}.{hint}"
    message = str(fault["msg"]).removeprefix("Value error, ")
    if fault["type"] == "missing":
        return f"{key}: required, but not given."
    if fault["type"] in ("value_error", "literal_error", "enum") and not location:
        return message
    # reprlib stops early: a few YAML aliases can stand for more values than fit in memory.
    given = redact(_SHORT.repr(fault.get("input")))
    near = closest(fault["input"], re.findall(r"'([^']*)'", message)) if _is_misspelt(fault) else None
    return f"{key}: {message} (given: {given})" + (f". Did you mean {near!r}?" if near else "")


def _is_misspelt(fault: Mapping[str, Any]) -> bool:
    return fault["type"] == "literal_error" and isinstance(fault.get("input"), str)
