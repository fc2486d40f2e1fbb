import codecs
import gzip

import pytest

from nlptl.data.files import is_table, read_frame
from nlptl.errors import DataError

TABLE = "text,label\nnaïve,x\n"
ROWS = [{"text": "naïve", "label": "x"}]


def put(path, content):
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("mark", [codecs.BOM_UTF8, codecs.BOM_UTF8 * 2])
def test_no_mark_becomes_part_of_a_name(tmp_path, mark):
    assert read_frame(put(tmp_path / "a.csv", mark + TABLE.encode())).to_dict("records") == ROWS
    quoted = mark + '"text","label"\n"naïve","x"\n'.encode()
    assert read_frame(put(tmp_path / "b.csv", quoted)).to_dict("records") == ROWS


@pytest.mark.parametrize("chosen", ["utf-16", "utf-16-le", "UTF-16-BE"])
def test_a_mark_goes_before_the_byte_order_asked_for(tmp_path, chosen):
    assert read_frame(put(tmp_path / "a.csv", TABLE.encode("utf-16")), chosen).to_dict("records") == ROWS


@pytest.mark.parametrize(
    ("content", "chosen", "named"),
    [
        (codecs.BOM_UTF8 + TABLE.encode(), "cp1252", "utf-8"),
        (codecs.BOM_UTF8 + TABLE.encode(), "latin-1", "utf-8"),
        (TABLE.encode("utf-16"), "cp1252", "utf-16"),
        (TABLE.encode("utf-16"), "utf-8", "utf-16"),
    ],
)
def test_a_mark_that_contradicts_the_encoding_asked_for(tmp_path, content, chosen, named):
    with pytest.raises(
        DataError, match=rf"byte order mark of {named}, but is to be read as {chosen}.*encoding={named}"
    ):
        read_frame(put(tmp_path / "a.csv", content), chosen)


@pytest.mark.parametrize("order", ["le", "be"])
def test_utf16_without_a_mark_is_named(tmp_path, order):
    file = put(tmp_path / "a.csv", "text,label\nfine,x\n".encode(f"utf-16-{order}"))
    with pytest.raises(DataError, match=rf"looks like utf-16-{order}.*data\.encoding=utf-16-{order}"):
        read_frame(file)
    assert read_frame(file, f"utf-16-{order}")["text"].tolist() == ["fine"]


@pytest.mark.parametrize("encoding", [None, "utf-8"])
def test_what_excel_calls_unicode_text(tmp_path, encoding):
    file = put(tmp_path / "a.csv", "text\tlabel\r\nnaïve\tx\r\n".encode("utf-16" if encoding is None else encoding))
    assert read_frame(file, encoding).to_dict("records") == ROWS


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.csv.gz", TABLE),
        ("a.TSV.GZ", TABLE.replace(",", "\t")),
        ("a.jsonl.gz", '{"text": "naïve", "label": "x"}\n'),
        ("a.json.gz", '[{"text": "naïve", "label": "x"}]'),
    ],
)
def test_compressed_text(tmp_path, name, text):
    assert is_table(tmp_path / name)
    assert read_frame(put(tmp_path / name, gzip.compress(text.encode()))).to_dict("records") == ROWS


def test_faults_of_compressed_text(tmp_path):
    whole = gzip.compress(TABLE.encode() * 1000)
    with pytest.raises(DataError, match="Cannot read"):
        read_frame(put(tmp_path / "cut.csv.gz", whole[:-20]))
    with pytest.raises(DataError, match="Cannot read"):
        read_frame(put(tmp_path / "broken.csv.gz", whole[:20] + b"\xff" * 9 + whole[29:]))
    with pytest.raises(DataError, match="Cannot read"):
        read_frame(put(tmp_path / "plain.csv.gz", TABLE.encode()))
    with pytest.raises(DataError, match=r"not valid utf-8 at line 2"):
        read_frame(put(tmp_path / "latin.csv.gz", gzip.compress(TABLE.encode("latin-1"))))
    with pytest.raises(DataError, match="unknown format '.gz'"):
        read_frame(put(tmp_path / "a.parquet.gz", whole))


@pytest.mark.parametrize(
    ("start", "meaning"),
    [
        (gzip.compress(b"text\n", mtime=0), "compressed with gzip; add .gz"),
        (b"PK\x03\x04" + b"x" * 99, "an Excel workbook; save the table as CSV"),
        (b"\xd0\xcf\x11\xe0" + b"x" * 99, "an old Excel workbook"),
        (b"PAR1" + b"x" * 99, r"a Parquet file; give it the ending \.parquet"),
    ],
)
@pytest.mark.parametrize("encoding", [None, "latin-1"])
def test_another_kind_of_file_is_called_by_its_name(tmp_path, start, meaning, encoding):
    with pytest.raises(DataError, match=f"is no text, but .*{meaning}"):
        read_frame(put(tmp_path / "a.csv", start), encoding)


def test_advice_fits_the_command(tmp_path):
    file = put(tmp_path / "a.csv", TABLE.encode("latin-1"))
    with pytest.raises(DataError, match=r"--set corpus\.encoding=cp1252"):
        read_frame(file, section="corpus")
    with pytest.raises(DataError) as caught:
        read_frame(file, section=None)
    assert "--set" not in str(caught.value)
    assert str(caught.value).endswith("Save it as UTF-8.")
