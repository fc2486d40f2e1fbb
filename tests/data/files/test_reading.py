import codecs
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nlptl.data.files import TableWriter, is_table, read_chunks, read_frame
from nlptl.errors import DataError

WRITTEN = ["csv", "tsv", "jsonl", "ndjson", "parquet"]


def put(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def write(path: Path, *frames: pd.DataFrame) -> Path:
    with TableWriter(path) as writer:
        for frame in frames:
            writer.write(frame)
    return path


# CSV


def test_csv_with_line_breaks_and_quotes_inside_quotes(tmp_path):
    file = put(tmp_path / "a.csv", 'text,label\n"one\ntwo, ""three""",x\r\n\nfour,y\n')
    assert read_frame(file).to_dict("list") == {"text": ['one\ntwo, "three"', "four"], "label": ["x", "y"]}


def test_csv_cells_stay_text(tmp_path):
    frame = read_frame(put(tmp_path / "a.csv", "text,label\nNA,01\n,1e5\n"))
    assert frame.to_numpy().tolist() == [["NA", "01"], ["", "1e5"]]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", "text;label\na, b;x\n"),
        ("a.csv", "text\tlabel\na, b\tx\n"),
        ("a.tsv", "text\tlabel\na, b\tx\n"),
        ("a.CSV", 'text, label\n"a, b",x\n'),
    ],
)
def test_delimiters(tmp_path, name, content):
    assert read_frame(put(tmp_path / name, content)).to_dict("records") == [{"text": "a, b", "label": "x"}]


@pytest.mark.parametrize(
    ("content", "encoding"),
    [
        (codecs.BOM_UTF8 + "text,label\nnaïve,x\n".encode(), None),
        (codecs.BOM_UTF8 + "text,label\nnaïve,x\n".encode(), "utf-8"),
        ("text,label\nnaïve,x\n".encode("utf-16"), None),
        (codecs.BOM_UTF16_BE + "text,label\nnaïve,x\n".encode("utf-16-be"), None),
        ("text,label\nnaïve,x\n".encode("utf-32"), None),
        ("text,label\nnaïve,x\n".encode("cp1252"), "cp1252"),
    ],
)
def test_encodings(tmp_path, content, encoding):
    frame = read_frame(put(tmp_path / "a.csv", content), encoding)
    assert frame.to_dict("records") == [{"text": "naïve", "label": "x"}]


def test_json_lines_with_a_byte_order_mark(tmp_path):
    assert read_frame(put(tmp_path / "a.jsonl", codecs.BOM_UTF8 + b'{"text": "a"}\n'))["text"].tolist() == ["a"]


@pytest.mark.parametrize("before", [1, 20_000])
def test_a_wrong_encoding_names_the_line(tmp_path, before):
    lines = ["text,label", *["fine,x"] * before, "naïve,y", "fine,x"]
    file = put(tmp_path / "a.csv", "\n".join(lines).encode("cp1252"))
    message = rf"not valid utf-8 at line {before + 2} \(byte 0xef; as cp1252 .*naïve.*data\.encoding=cp1252"
    with pytest.raises(DataError, match=message):
        read_frame(file)


def test_other_faults_of_encoding(tmp_path):
    with pytest.raises(DataError, match="unknown encoding: utf-99"):
        read_frame(put(tmp_path / "a.csv", "text\na\n"), "utf-99")
    with pytest.raises(DataError, match="not valid utf-16"):
        read_frame(put(tmp_path / "b.csv", "text\na\n".encode("utf-16")[:-1]))


def test_ragged_rows_are_numbered(tmp_path):
    file = put(tmp_path / "a.csv", 'text,label\na,x\nb, c,x\n"d\nd",x\ne\n')
    with pytest.raises(DataError, match=r"header has 2 columns, but row 2 has 3, row 4 has 1\..*double quotes"):
        read_frame(file)


def test_ragged_rows_are_numbered_across_chunks_and_counted(tmp_path):
    file = put(tmp_path / "a.csv", "text,label\n" + "a,x\n" * 3 + "b\n" * 12)
    with pytest.raises(DataError, match=r"row 5 has 1, row 6 has 1\."):
        list(read_chunks(put(tmp_path / "b.csv", "text,label\n" + "a,x\n" * 4 + "b\n" * 2), rows=4))
    with pytest.raises(DataError, match=r"row 4 has 1, .*row 13 has 1 and 2 more\."):
        read_frame(file)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "is empty"),
        ("\n\n", "no column names"),
        ("text,text\na,b\n", "column 'text' occurs twice"),
        ('text,label\n"a"b,x\n', "line 2: malformed CSV"),
        ('text,label\na,x\n"b,x\n', "malformed CSV"),
    ],
)
def test_broken_csv(tmp_path, content, message):
    with pytest.raises(DataError, match=message):
        read_frame(put(tmp_path / "a.csv", content))


def test_a_header_without_rows_keeps_its_columns(tmp_path):
    frame = read_frame(put(tmp_path / "a.csv", "text,label\n"))
    assert list(frame.columns) == ["text", "label"]
    assert frame.empty


# JSON and Parquet


def test_json_lines_keep_types_and_skip_blank_lines(tmp_path):
    frame = read_frame(put(tmp_path / "a.jsonl", '{"text": "a\u2028b", "label": 1}\n\n{"text": null, "label": ["x"]}'))
    assert frame["text"].tolist() == ["a\u2028b", None]
    assert frame["label"].tolist() == [1, ["x"]]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"text": ', "line 3: not valid JSON"),
        ("[1]", "line 3: expected a JSON object, found list"),
        ("[" * 100_000, "line 3: not valid JSON"),
    ],
)
def test_bad_json_line_is_numbered(tmp_path, line, message):
    with pytest.raises(DataError, match=message):
        read_frame(put(tmp_path / "a.jsonl", f'{{"text": "a"}}\n\n{line}\n'))


def test_json_list(tmp_path):
    records = [{"text": "a", "label": 1}, {"text": "b", "label": 2}]
    assert read_frame(put(tmp_path / "a.json", json.dumps(records))).to_dict("records") == records


@pytest.mark.parametrize(
    ("content", "message"), [('{"a": 1}', "list of objects.*jsonl"), ("[1]", "list of objects"), ("[", "not valid")]
)
def test_broken_json(tmp_path, content, message):
    with pytest.raises(DataError, match=message):
        read_frame(put(tmp_path / "a.json", content))


def test_parquet_keeps_types(tmp_path):
    frame = pd.DataFrame({"text": ["a", None], "label": [1, 2], "tags": [["x"], []]})
    frame.to_parquet(tmp_path / "a.parquet")
    read = read_frame(tmp_path / "a.parquet")
    assert read["text"].isna().tolist() == [False, True]
    assert read["label"].tolist() == [1, 2]
    assert [list(tags) for tags in read["tags"]] == [["x"], []]


@pytest.mark.parametrize("part", [0.9, 0.5, 0.1])
def test_truncated_parquet(tmp_path, part):
    file = tmp_path / "a.parquet"
    pd.DataFrame({"text": ["a"] * 100}).to_parquet(file)
    content = file.read_bytes()
    with pytest.raises(DataError, match="not a readable Parquet file"):
        read_frame(put(file, content[: int(len(content) * part)]))


# any format


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
@pytest.mark.parametrize("text", ["x" * 2**20, "a\0b"])
def test_long_texts_and_nul(tmp_path, suffix, text):
    frame = pd.DataFrame({"text": [text], "label": ["y"]})
    assert read_frame(write(tmp_path / f"a.{suffix}", frame)).to_dict("records") == frame.to_dict("records")


@pytest.mark.parametrize("suffix", [*WRITTEN, "json"])
def test_chunks_hold_at_most_so_many_rows(tmp_path, suffix):
    frame = pd.DataFrame({"text": [f"t{i}" for i in range(25)]})
    file = tmp_path / f"a.{suffix}"
    if suffix == "json":
        put(file, frame.to_json(orient="records"))
    else:
        write(file, frame)
    chunks = list(read_chunks(file, rows=10))
    assert [len(chunk) for chunk in chunks] == [10, 10, 5]
    assert pd.concat(chunks)["text"].tolist() == frame["text"].tolist()


@pytest.mark.parametrize(
    ("name", "message"),
    [("a.xlsx", r"unknown format '.xlsx'. Use one of .csv"), ("none.csv", "does not exist"), ("dir.csv", "not a file")],
)
def test_what_cannot_be_read(tmp_path, name, message):
    (tmp_path / "dir.csv").mkdir()
    put(tmp_path / "a.xlsx", "x")
    with pytest.raises(DataError, match=message):
        read_frame(tmp_path / name)


def test_is_table():
    assert is_table(Path("a.CSV"))
    assert not is_table(Path("a.txt"))


# writing


@pytest.mark.parametrize("suffix", WRITTEN)
def test_what_is_written_in_chunks_is_read_back(tmp_path, suffix):
    frame = pd.DataFrame({"text": ['a, "b"', "c\nd\te", "é"], "label": ["x", "y", "z"], "score": [0.5, 0.25, 1.0]})
    read = read_frame(write(tmp_path / f"a.{suffix}", frame.iloc[:2], frame.iloc[2:]))
    assert read.astype({"score": float}).to_dict("list") == frame.to_dict("list")
    assert [path.name for path in tmp_path.iterdir()] == [f"a.{suffix}"]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    texts=st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=8), min_size=1, max_size=4),
    suffix=st.sampled_from(["csv", "tsv", "jsonl"]),
)
def test_any_text_survives_a_text_file(tmp_path, texts, suffix):
    frame = pd.DataFrame({"n": range(len(texts)), "text": texts})
    assert read_frame(write(tmp_path / f"a.{suffix}", frame))["text"].tolist() == texts


def test_a_lone_carriage_return_survives(tmp_path):
    frame = pd.DataFrame({"text": ["a\rb"], "label": ["x"]})
    assert read_frame(write(tmp_path / "a.csv", frame))["text"].tolist() == ["a\rb"]


def test_json_lines_write_numpy_values(tmp_path):
    frame = pd.DataFrame({"n": np.array([1, 2]), "list": [np.array([0.5]), np.array([])]})
    assert read_frame(write(tmp_path / "a.jsonl", frame)).to_dict("list") == {"n": [1, 2], "list": [[0.5], []]}


@pytest.mark.parametrize("suffix", WRITTEN)
def test_an_interrupted_write_leaves_the_old_file_and_nothing_else(tmp_path, suffix):
    file = put(tmp_path / f"a.{suffix}", "old")
    with pytest.raises(KeyboardInterrupt), TableWriter(file) as writer:
        writer.write(pd.DataFrame({"text": ["new"]}))
        raise KeyboardInterrupt
    assert file.read_text() == "old"
    assert list(tmp_path.iterdir()) == [file]


def test_the_left_over_of_a_killed_job_is_not_continued(tmp_path):
    put(tmp_path / ".a.csv.part", "left over\n")
    assert read_frame(write(tmp_path / "a.csv", pd.DataFrame({"text": ["new"]})))["text"].tolist() == ["new"]


@pytest.mark.parametrize(("name", "message"), [("a.json", "cannot write '.json'"), ("no/a.csv", "folder .* not exist")])
def test_where_nothing_can_be_written(tmp_path, name, message):
    with pytest.raises(DataError, match=message):
        TableWriter(tmp_path / name)
