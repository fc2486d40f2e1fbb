"""Whatever bytes or settings come in, the answer is a result or an NlptlError."""

import contextlib
import io
import json
from pathlib import Path

import pandas as pd
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nlptl.config.overrides import dotted_keys, load_config, parse_assignments, parse_label_map
from nlptl.config.records import read_yaml, validate
from nlptl.data.files import read_frame
from nlptl.errors import NlptlError
from nlptl.tasks import TaskSpec

# Bounded by examples rather than by the clock, and drawn the same way each time.
BOUNDED = settings(
    max_examples=40, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
FEW = settings(BOUNDED, max_examples=25)
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12) | st.dates(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8) | st.integers(), inner, max_size=3),
    max_leaves=4,
)
LINES = st.lists(st.text(alphabet='ab,;"\t\r\n\x00\ufeff{}[]:\\é', max_size=12), max_size=8).map("\n".join)
ENCODINGS = st.none() | st.sampled_from(["utf-8", "utf-16", "cp1252", "ascii", "utf-7", "idna", "undefined", "rot13"])


def readable(path: Path, content: bytes, encoding: str | None = None) -> pd.DataFrame | None:
    path.write_bytes(content)
    with contextlib.suppress(NlptlError):
        return read_frame(path, encoding)
    return None


def parquet_bytes() -> bytes:
    stream = io.BytesIO()
    pd.DataFrame({"text": ["a", "b", None], "label": ["x", "y", "x"], "n": [1, 2, 3]}).to_parquet(stream)
    return stream.getvalue()


@pytest.mark.parametrize("name", ["d.csv", "d.tsv", "d.jsonl", "d.json"])
@BOUNDED
@given(content=st.binary(max_size=60) | LINES.map(str.encode), encoding=ENCODINGS | st.text(max_size=6))
def test_text_tables(name, content, encoding, tmp_path):
    readable(tmp_path / name, content, encoding)


@BOUNDED
@given(records=st.lists(PLAIN, max_size=4))
def test_json_of_anything(records, tmp_path):
    text = json.dumps(records, default=str)
    readable(tmp_path / "d.json", text.encode())
    readable(tmp_path / "d.jsonl", "\n".join(json.dumps(record, default=str) for record in records).encode())


@BOUNDED
@given(place=st.integers(0, 10**6), flip=st.integers(1, 255), keep=st.floats(0, 1))
def test_damaged_parquet(place, flip, keep, tmp_path):
    content = bytearray(parquet_bytes())
    content[place % len(content)] ^= flip
    readable(tmp_path / "d.parquet", bytes(content))
    readable(tmp_path / "e.parquet", bytes(content[: int(len(content) * keep)]))


@BOUNDED
@given(content=st.binary(max_size=60) | PLAIN.map(lambda value: yaml.safe_dump(value).encode()) | LINES.map(str.encode))
def test_yaml_files(content, tmp_path):
    file = tmp_path / "c.yaml"
    file.write_bytes(content)
    with contextlib.suppress(NlptlError):
        load_config(file)
    with contextlib.suppress(NlptlError):
        validate(TaskSpec, read_yaml(file), "c.yaml")


@BOUNDED
@given(key=st.sampled_from(dotted_keys()), value=PLAIN)
def test_any_value_for_any_setting(key, value):
    with contextlib.suppress(NlptlError):
        config = load_config(**{"task": "sentiment", key: value})
        assert load_config(**config.model_dump(exclude_none=True)) == config


@BOUNDED
@given(key=st.sampled_from(list(TaskSpec.model_fields)), value=PLAIN)
def test_any_value_in_a_task(key, value):
    with contextlib.suppress(NlptlError):
        validate(TaskSpec, {"name": "mail", "description": "d", key: value}, "task.yaml")


@FEW
@given(text=st.text(max_size=30) | st.sampled_from(dotted_keys()).map(lambda key: f"{key}=[[2026-99-99"))
def test_flags(text):
    with contextlib.suppress(NlptlError):
        parse_assignments([text])
    with contextlib.suppress(NlptlError):
        parse_assignments([f"task={text}"])
    with contextlib.suppress(NlptlError):
        parse_label_map(text)
