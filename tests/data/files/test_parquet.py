import datetime
import decimal
import uuid

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nlptl.data.files import TableWriter, read_chunks, read_frame
from nlptl.errors import DataError

BIG = 1582218195625938945
COLUMNS = {
    "id": pa.array([BIG, None, BIG + 2], pa.int64()),
    "unsigned": pa.array([2**64 - 1, 1, None], pa.uint64()),
    "small": pa.array([1, None, 3], pa.int8()),
    "flag": pa.array([True, None, False]),
    "single": pa.array([0.1, None, 2.5], pa.float32()),
    "half": pa.array([0.1, None, 2.5], pa.float16()),
    "double": pa.array([0.1, float("nan"), None]),
    "large": pa.array(["a", None, "c"], pa.large_string()),
    "coded": pa.array(["a", "b", None]).dictionary_encode(),
    "when": pa.array([1700000000123456789, None, 0], pa.timestamp("ns", "Europe/Berlin")),
    "plain_when": pa.array([1, None, 0], pa.timestamp("ms")),
    "day": pa.array([datetime.date(2024, 2, 29), None, None]),
    "span": pa.array([123456789, None, 1], pa.duration("ns")),
    "price": pa.array([decimal.Decimal("1.50"), None, decimal.Decimal("-0.01")], pa.decimal128(20, 2)),
    "tags": pa.array([["x", None], None, []]),
    "meta": pa.array([{"a": 1, "b": None}, None, {"a": 2, "b": "x"}]),
    "pairs": pa.array([[("k", 1)], None, []], pa.map_(pa.string(), pa.int64())),
    "bytes": pa.array([b"\xff", None, b""]),
    "uuid": pa.array([uuid.UUID(int=7), None, uuid.UUID(int=8)], pa.uuid()),
    "nothing": pa.nulls(3),
}


def put(path, table, **options):
    pq.write_table(table, path, **options)
    return path


def copied(source, target):
    with TableWriter(target, like=source) as writer:
        for chunk in read_chunks(source, rows=2):
            writer.write(chunk.assign(predicted=["p"] * len(chunk)))
    return target


@pytest.mark.parametrize("name", COLUMNS)
def test_every_type_comes_out_as_it_went_in(tmp_path, name):
    source = put(tmp_path / "in.parquet", pa.table({name: COLUMNS[name]}))
    written = pq.read_table(copied(source, tmp_path / "out.parquet"))
    before = pq.read_table(source)
    assert written.schema.field(name).equals(before.schema.field(name))
    assert str(written[name].to_pylist()) == str(before[name].to_pylist())
    assert written["predicted"].to_pylist() == ["p"] * 3


def test_values_are_pythons_own(tmp_path):
    frame = read_frame(put(tmp_path / "a.parquet", pa.table(COLUMNS)))
    assert set(frame.dtypes) == {pd.Series([], dtype=object).dtype}
    assert frame["id"].tolist() == [BIG, None, BIG + 2]
    assert frame["flag"].tolist() == [True, None, False]
    assert frame["single"].tolist() == [0.1, None, 2.5]
    assert frame["coded"].tolist() == ["a", "b", None]
    assert frame["tags"].tolist() == [["x", None], None, []]
    assert frame["when"][0] == pd.Timestamp(1700000000123456789, tz="Europe/Berlin")


@pytest.mark.parametrize("ending", ["csv", "jsonl"])
def test_every_type_can_be_written_as_text(tmp_path, ending):
    source = put(tmp_path / "in.parquet", pa.table(COLUMNS))
    rows = read_frame(copied(source, tmp_path / f"out.{ending}"))
    first = {name: str(value) for name, value in rows.iloc[0].items()}
    assert first["id"] == str(BIG)
    assert first["unsigned"] == str(2**64 - 1)
    assert first["single"] == "0.1"
    assert first["price"] == "1.50"
    assert first["uuid"] == str(uuid.UUID(int=7))
    assert first["bytes"] == "/w=="
    assert [value in ("", None) for value in rows["id"]] == [False, True, False]
    assert rows["double"][1] in ("", None)


@pytest.mark.parametrize(
    ("column", "shown"),
    [
        (pa.array([10_000_000], pa.date32()), "29349-01-26"),
        (pa.array([123456789], pa.time64("ns")), "00:00:00.123456789"),
    ],
)
def test_times_that_python_cannot_hold_are_text(tmp_path, column, shown):
    source = put(tmp_path / "a.parquet", pa.table({"when": column}))
    assert read_frame(source)["when"].tolist() == [shown]
    assert read_frame(copied(source, tmp_path / "b.parquet"))["when"].tolist() == [shown]


@pytest.mark.parametrize(
    ("index", "columns"),
    [
        (["id"], ["text", "label", "id"]),
        (["text"], ["id", "label", "text"]),
        (["id", "label"], ["text", "id", "label"]),
    ],
)
def test_a_frames_index_is_columns(tmp_path, index, columns):
    frame = pd.DataFrame({"id": ["c0", "c1"], "text": ["a", "b"], "label": ["x", "y"]})
    source = tmp_path / "a.parquet"
    frame.set_index(index).to_parquet(source)
    read = read_frame(source)
    assert list(read.columns) == columns
    assert read["id"].tolist() == ["c0", "c1"]
    # Whoever opens the output with pandas finds the index again.
    assert list(pd.read_parquet(copied(source, tmp_path / "b.parquet")).index.names) == index


def test_an_index_of_row_numbers_is_none_and_a_nameless_one_is_kept(tmp_path):
    frame = pd.DataFrame({"text": ["a", "b", "c"]})
    frame.to_parquet(tmp_path / "a.parquet")
    assert list(read_frame(tmp_path / "a.parquet").columns) == ["text"]
    frame.set_index(pd.Index([9, 4, 5])).to_parquet(tmp_path / "b.parquet")
    assert read_frame(tmp_path / "b.parquet")["__index_level_0__"].tolist() == [9, 4, 5]


def test_empty_row_groups(tmp_path):
    schema = pa.schema([("text", pa.string())])
    with pq.ParquetWriter(tmp_path / "a.parquet", schema) as writer:
        for texts in ([], ["a"], [], ["b"]):
            writer.write_table(pa.table({"text": pa.array(texts, pa.string())}))
    assert read_frame(tmp_path / "a.parquet")["text"].tolist() == ["a", "b"]
    assert list(read_frame(put(tmp_path / "b.parquet", schema.empty_table())).columns) == ["text"]


def test_a_column_twice(tmp_path):
    table = pa.Table.from_arrays([pa.array(["a"]), pa.array(["b"])], names=["text", "text"])
    with pytest.raises(DataError, match="column 'text' occurs twice"):
        read_frame(put(tmp_path / "a.parquet", table))


def test_a_text_that_is_not_utf8(tmp_path):
    column = pa.StringArray.from_buffers(1, pa.array([0, 1], pa.int32()).buffers()[1], pa.py_buffer(b"\xff"))
    with pytest.raises(DataError, match="a text in it is not UTF-8"):
        read_frame(put(tmp_path / "a.parquet", pa.table({"text": column})))


def test_an_id_that_is_missing_in_a_later_chunk_stays_whole(tmp_path):
    source = put(tmp_path / "a.parquet", pa.table({"id": pa.array([BIG, BIG + 1, None, BIG + 3])}))
    for ending in ("csv", "jsonl", "parquet"):
        written = read_frame(copied(source, tmp_path / f"out.{ending}"))["id"].tolist()
        assert [str(value or "") for value in written] == [str(BIG), str(BIG + 1), "", str(BIG + 3)]
