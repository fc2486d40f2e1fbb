import datetime
import json
import multiprocessing
import os
import signal
import subprocess
import sys

import pandas as pd
import pyarrow.parquet as pq
import pytest

from nlptl.data.files import TableWriter, read_chunks, read_frame
from nlptl.data.files.tables import frame_of
from nlptl.errors import DataError

BIG = 1582218195625938945


def write(path, *columns):
    with TableWriter(path) as writer:
        for chunk in columns:
            writer.write(frame_of(chunk))
    return path


# values


def test_csv_cells(tmp_path):
    file = write(
        tmp_path / "a.csv",
        {
            "id": [BIG, None, 3],
            "n": [0.5, float("nan"), 1e20],
            "tags": [["a", "b"], [], None],
            "meta": [{"é": 1}, None, {}],
            "na": [pd.NA, pd.NaT, True],
        },
    )
    assert file.read_text(encoding="utf-8").splitlines() == [
        "id,n,tags,meta,na",
        f'{BIG},0.5,"[""a"", ""b""]","{{""é"": 1}}",',
        ",,[],,",
        "3,1e+20,,{},True",
    ]


def test_json_lines_have_whole_numbers_null_and_the_keys_they_came_with(tmp_path):
    lines = [f'{{"id": {BIG}, "n": 1}}', '{"id": null}', '{"id": 2.0, "n": null, "more": {"x": [1, null]}}']
    (tmp_path / "in.jsonl").write_text("\n".join(lines))
    with TableWriter(tmp_path / "out.jsonl") as writer:
        for chunk in read_chunks(tmp_path / "in.jsonl"):
            writer.write(chunk)
    assert (tmp_path / "out.jsonl").read_text().splitlines() == lines


def test_json_lines_are_json(tmp_path):
    file = write(tmp_path / "a.jsonl", {"n": [float("nan"), [float("nan")], {"x": pd.NaT}]})
    assert [json.loads(line)["n"] for line in file.read_text().splitlines()] == [None, [None], {"x": None}]


@pytest.mark.parametrize("values", [[1, 2], ["a", "b"], [[1], [2]], [BIG, None]])
def test_a_parquet_column_that_is_empty_at_first(tmp_path, values):
    empty = {"text": ["x", "y"], "late": [None, None]}
    file = write(tmp_path / "a.parquet", empty, empty, {"text": ["z", "w"], "late": values})
    assert pq.read_table(file)["late"].to_pylist() == [None] * 4 + values
    assert [path.name for path in tmp_path.iterdir()] == ["a.parquet"]


def test_a_parquet_column_that_begins_late_or_ends_early(tmp_path):
    file = write(tmp_path / "a.parquet", {"a": [1], "b": ["x"]}, {"a": [2], "c": [0.5]}, {"a": [3], "b": ["y"]})
    assert pq.read_table(file).to_pylist() == [
        {"a": 1, "b": "x", "c": None},
        {"a": 2, "b": None, "c": 0.5},
        {"a": 3, "b": "y", "c": None},
    ]


def test_parquet_turns_whole_numbers_into_fractions_only_where_none_is_lost(tmp_path):
    file = write(tmp_path / "a.parquet", {"n": [1]}, {"n": [2.5]})
    assert pq.read_table(file)["n"].to_pylist() == [1.0, 2.5]
    for later in (2.5, "text"):
        with pytest.raises(DataError, match="values differ in kind"):
            write(tmp_path / "b.parquet", {"n": [BIG]}, {"n": [later]})
    assert [path.name for path in tmp_path.iterdir()] == ["a.parquet"]


def test_large_whole_numbers_in_parquet(tmp_path):
    assert pq.read_table(write(tmp_path / "a.parquet", {"n": [2**64 - 1, None]}))["n"].to_pylist() == [2**64 - 1, None]
    with pytest.raises(DataError, match="cannot hold"):
        write(tmp_path / "b.parquet", {"n": [2**70]})


@pytest.mark.parametrize(
    ("first", "later"),
    [
        (datetime.date(2024, 1, 1), datetime.datetime(2024, 1, 1, 5)),
        ({"a": 1}, {"a": 2, "b": 3}),
        ([1], [2.5]),
        (True, 3),
    ],
)
def test_parquet_loses_nothing_of_a_later_value(tmp_path, first, later):
    try:
        file = write(tmp_path / "a.parquet", {"n": [first]}, {"n": [later]})
    except DataError as error:
        assert "values differ in kind" in str(error)
    else:
        assert str(later) in str(pq.read_table(file)["n"].to_pylist())


# two writers


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
def test_a_second_writer_is_refused_and_the_first_one_finishes(tmp_path, ending):
    file = tmp_path / f"a.{ending}"
    with TableWriter(file) as writer:
        writer.write(frame_of({"n": [1]}))
        with pytest.raises(DataError, match="Another process is writing .* at this moment"), TableWriter(file):
            raise AssertionError("the second writer must not begin")
        writer.write(frame_of({"n": [2]}))
    assert [str(n) for n in read_frame(file)["n"]] == ["1", "2"]
    assert list(tmp_path.iterdir()) == [file]
    write(file, {"n": [3]})  # afterwards the file is free
    assert [str(n) for n in read_frame(file)["n"]] == ["3"]


def _write_slowly(file, go, ends):
    from nlptl.data.files import TableWriter

    go.wait()
    try:
        with TableWriter(file) as writer:
            for start in range(0, 3000, 100):
                writer.write(frame_of({"pid": [os.getpid()] * 100, "n": list(range(start, start + 100))}))
    except DataError:
        ends.put("refused")
    else:
        ends.put("written")


def test_processes_that_write_one_file_leave_it_whole(tmp_path):
    context = multiprocessing.get_context("fork")
    go, ends = context.Event(), context.Queue()
    processes = [context.Process(target=_write_slowly, args=(tmp_path / "a.csv", go, ends)) for _ in range(4)]
    for process in processes:
        process.start()
    go.set()
    results = [ends.get(timeout=60) for _ in processes]
    for process in processes:
        process.join()
    assert "written" in results
    frame = read_frame(tmp_path / "a.csv")
    assert frame["n"].tolist() == [str(n) for n in range(3000)]
    assert frame["pid"].nunique() == 1
    assert [path.name for path in tmp_path.iterdir()] == ["a.csv"]


def test_a_killed_writer_leaves_the_file_free(tmp_path):
    code = (
        "import sys, time; from pathlib import Path; from nlptl.data.files import TableWriter\n"
        "from nlptl.data.files.tables import frame_of\n"
        "with TableWriter(Path(sys.argv[1])) as writer:\n"
        "    writer.write(frame_of({'n': [1]})); print('here', flush=True); time.sleep(60)\n"
    )
    file = tmp_path / "a.csv"
    other = subprocess.Popen([sys.executable, "-c", code, str(file)], stdout=subprocess.PIPE, text=True)
    assert other.stdout.readline() == "here\n"
    with pytest.raises(DataError, match="Another process is writing"), TableWriter(file):
        pass
    other.send_signal(signal.SIGKILL)
    other.wait()
    other.stdout.close()
    write(file, {"n": [2]})
    assert list(tmp_path.iterdir()) == [file]


def test_parts_of_other_files_are_left_alone(tmp_path):
    left = tmp_path / f".a.csv.csv.{os.getpid()}-00000000.part"
    left.write_text("another file's")
    write(tmp_path / "a.csv", {"n": [1]})
    assert left.exists()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_may_not_be_written(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(DataError, match="Cannot write"):
        write(tmp_path / "a.csv", {"n": [1]})
