import logging

import pytest

from nlptl.data.files import TableWriter, read_chunks, read_frame
from nlptl.data.files.tables import frame_of
from nlptl.errors import DataError


@pytest.fixture
def read(tmp_path):
    def write_and_read(text, name="a.csv", **dialect):
        (tmp_path / name).write_bytes(text.encode())
        return read_frame(tmp_path / name, **dialect)

    return write_and_read


def reviews(delimiter="\t", rows=60):
    """Rows of a file without quoting; two of them hold one mark each, at the start and at the end of a text."""
    lines = [f"a film number {i}{delimiter}{('negative', 'positive')[i % 2]}" for i in range(rows)]
    lines[10] = f'"a masterpiece of its kind{delimiter}positive'
    lines[16] = f'what they call a masterpiece"{delimiter}negative'
    return lines


# columns without a name


def test_filler_columns_do_not_matter(read):
    frame = read("v1,v2,,,\r\nham,hello,,,\r\nspam,win,,,\r\n")
    assert list(frame.columns) == ["v1", "v2", "Unnamed: 2", "Unnamed: 3", "Unnamed: 4"]
    assert frame[["v1", "v2"]].to_numpy().tolist() == [["ham", "hello"], ["spam", "win"]]


@pytest.mark.parametrize("text", ["v1,v2,,\nham,hello,,\nspam,win\n", "v1,v2\nham,hello,,\nspam,win\n"])
def test_rows_may_have_empty_cells_more_or_fewer(read, text):
    assert read(text)[["v1", "v2"]].to_numpy().tolist() == [["ham", "hello"], ["spam", "win"]]


def test_an_index_without_a_name_is_a_column(read):
    frame = read(",text,label\n0,a,x\n1,b,y\n")
    assert frame["Unnamed: 0"].tolist() == ["0", "1"]


def test_cells_under_a_name_are_not_invented_and_none_is_lost(read):
    with pytest.raises(DataError, match=r"2 columns, but row 2 has 1, row 3 has 3\."):
        read("text,label\na,x\nb\nc,d,x\n")
    with pytest.raises(DataError, match="has 4 columns, but row 1 has 1"):
        read("text,label,,\na\n")


@pytest.mark.parametrize("header", ["text,text", "text, text ", '"text","text"', "Unnamed: 1,"])
def test_a_name_twice(read, header):
    with pytest.raises(DataError, match="occurs twice"):
        read(f"{header}\na,b\n")


# quote marks


@pytest.mark.parametrize("name", ["a.tsv", "a.csv"])
def test_tabbed_files_without_quoting_keep_their_marks(read, name, caplog):
    with caplog.at_level(logging.WARNING):
        frame = read("text\tlabel\n" + "\n".join(reviews()) + "\n", name)
    assert len(frame) == 60
    assert frame["text"][10] == '"a masterpiece of its kind'
    assert frame["text"][16] == 'what they call a masterpiece"'
    assert "quote marks are read as letters" in caplog.text
    assert "in line 12" in caplog.text
    assert "data.quotes=doubled" in caplog.text


def test_a_quoted_word_at_the_start_of_a_text(read):
    frame = read('id\ttext\n1\t"good" film\n2\tso "fine"\n3\tend\n', "a.tsv")
    assert frame["text"].tolist() == ['"good" film', 'so "fine"', "end"]


@pytest.mark.parametrize("delimiter", [";", ",", "|"])
def test_swallowed_rows_stop_with_their_line_and_both_settings_work(read, delimiter):
    text = f"text{delimiter}label\n" + "\n".join(reviews(delimiter)) + "\n"
    with pytest.raises(DataError, match=r"line 12: .* ends in line 18 only.*quotes=none.*quotes=doubled"):
        read(text)
    assert len(read(text, quotes="none")) == 60
    assert len(read(text, quotes="doubled")) == 54


def test_swallowed_rows_in_a_file_to_predict(read):
    lines = [f"{i},{line.rpartition(',')[0]}" for i, line in enumerate(reviews(","))]
    with pytest.raises(DataError, match="line 12: "):
        read("id,text\n" + "\n".join(lines) + "\n")


@pytest.mark.parametrize("first", [1, 300])
def test_swallowed_rows_where_other_rows_are_quoted(read, first):
    quoted = [f'"fine, film {i}",positive' for i in range(first)]
    text = "text,label\n" + "\n".join([*quoted, '"a masterpiece,positive', "bad,negative", 'a masterpiece",negative'])
    with pytest.raises(DataError, match=f"line {first + 2}: "):
        read(text + "\n")


def test_swallowed_rows_beyond_the_first_chunk(tmp_path):
    file = tmp_path / "a.csv"
    file.write_text("text,label\n" + "\n".join(f"fine {i},good" for i in range(50)) + '\n"open,good\nend",bad\n')
    with pytest.raises(DataError, match="line 52: "):
        list(read_chunks(file, rows=10))


@pytest.mark.parametrize(
    "text",
    [
        'text,label\n"Dear all, hello\nbye",x\n',
        'text,label\nfine,good\n"I came, I saw\nand left",bad\n"one\ntwo, three",good\n',
        'text,label\n"a film\nwith a quote ""mark""",good\n',
        "text,label\n" + "fine,1\nbad,0\n" * 30 + '"It cost 1,000\nand more",0\n',
        '"text","label"\n"line, one\nline two","x"\n',
    ],
)
def test_long_texts_in_quotes_are_no_swallowed_rows(read, text):
    frame = read(text)
    assert any("\n" in cell for cell in frame["text"])
    assert list(frame.columns) == ["text", "label"]


def test_written_tables_of_long_texts_are_read_back(tmp_path):
    texts = ["one\ttwo\nthree", '"', "a\nb\nc", '""x', "tab\t", "\n"]
    for name in ("a.tsv", "a.csv"):
        with TableWriter(tmp_path / name) as writer:
            writer.write(frame_of({"id": range(6), "text": texts, "label": ["x"] * 6}))
        assert read_frame(tmp_path / name)["text"].tolist() == texts


def test_a_mark_that_is_never_closed_names_its_line(read):
    text = "text,label\n" + "fine,x\n" * 5 + '"open,x\n' + "fine,x\n" * 5
    with pytest.raises(DataError, match=r"line 7: malformed CSV \(a quote mark begins a cell that never ends\).*=none"):
        read(text)
    assert len(read(text, quotes="none")) == 11


def test_backslashes_before_marks(read):
    text = 'text,label\n"he said \\"fine\\" twice",x\n"so, \\"bad\\"",y\n'
    with pytest.raises(DataError, match=r"line 2: malformed CSV.*data\.quotes=backslash"):
        read(text)
    assert read(text, quotes="backslash")["text"].tolist() == ['he said "fine" twice', 'so, "bad"']
    ragged = 'text,label\n"he said \\", then left",x\n'
    with pytest.raises(DataError, match=r"row 1 has 3.*data\.quotes=backslash"):
        read(ragged)


def test_a_backslash_at_the_end_of_a_text_is_a_letter(read):
    assert read('text,label\n"C:\\dir\\",x\n')["text"].tolist() == ["C:\\dir\\"]


# delimiters


@pytest.mark.parametrize(
    ("text", "columns"),
    [
        ("text|label\na, b; c|x\n", ["text", "label"]),
        ('"text";"label (a, b)"\n"fine";"x"\n', ["text", "label (a, b)"]),
        ('"text, cleaned","label"\n"fine","x"\n', ["text, cleaned", "label"]),
        ("sep=;\ntext;label\nfine, so;x\n", ["text", "label"]),
        ("SEP=|\r\ntext|label\r\nfine, so|x\r\n", ["text", "label"]),
        ('"sep=\t"\ntext\tlabel\nfine, so\tx\n', ["text", "label"]),
        ("text;label;a|b\nfine, so;x;1|2\n", ["text", "label", "a|b"]),
        ("text\n", ["text"]),
    ],
)
def test_the_delimiter_is_found(read, text, columns):
    assert list(read(text).columns) == columns


def test_two_readings_that_fit_equally_well(read):
    text = "id,text|label\n1,fine|x\n2,bad|y\n"
    with pytest.raises(DataError, match=r"two ways: ',' and '\|' both give 2 columns.*data\.delimiter=','"):
        read(text)
    assert read(text, delimiter="|")["label"].tolist() == ["x", "y"]


def test_a_delimiter_asked_for(read):
    assert read("text^label\na,b^x\n", delimiter="^").to_dict("records") == [{"text": "a,b", "label": "x"}]
    assert read("text label\nfine x\n", "a.tsv", delimiter=" ").to_dict("records") == [{"text": "fine", "label": "x"}]


def test_a_tsv_without_tabs_is_named(read):
    with pytest.raises(DataError, match=r"named \.tsv, but has no tab in its header; ',' separates"):
        read("text,label\nfine,x\n", "a.tsv")
    assert list(read("text, cleaned\nfine\n", "a.tsv").columns) == ["text, cleaned"]


def test_ragged_rows_name_the_line_and_the_delimiter(read):
    with pytest.raises(DataError, match=r"Row 2 begins in line 4.*',' does not separate.*data\.delimiter=CHARACTER"):
        read('text,label\n"a\nb",x\nc, d,x\n')
