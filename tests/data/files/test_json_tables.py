import json

import pytest

from nlptl.data.files import read_chunks, read_frame
from nlptl.errors import DataError

RECORDS = [{"text": f"t{i}", "label": i % 2, "id": 2**60 + i} for i in range(25)]
LINES = "\n".join(map(json.dumps, RECORDS))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.json", LINES),
        ("a.json", "\n\n" + LINES + "\n\n"),
        ("a.json", "\n".join(json.dumps(record, indent=1) for record in RECORDS)),
        ("a.json", json.dumps(RECORDS, indent=2)),
        ("a.json", json.dumps({name: {str(i): r[name] for i, r in enumerate(RECORDS)} for name in RECORDS[0]})),
        ("a.json", json.dumps({name: [record[name] for record in RECORDS] for name in RECORDS[0]})),
        ("a.jsonl", json.dumps(RECORDS)),
        ("a.jsonl", "[\n" + LINES.replace("\n", ",\n") + "\n]"),
        ("a.ndjson", "\ufeff" + LINES),
    ],
)
def test_the_form_is_found(tmp_path, name, text):
    file = tmp_path / name
    file.write_text(text, encoding="utf-8")
    assert read_frame(file).to_dict("records") == RECORDS
    assert [len(chunk) for chunk in read_chunks(file, rows=10)] == [10, 10, 5]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            '{"version": 1, "data": [{"text": "a"}]}',
            "one object with the keys version, data; write the list under 'data'",
        ),
        ('{"a": [1, 2], "b": [1]}', "expected a list of objects"),
        ('[{"text": "a"}, 3]', "found a list of dict, int"),
        ('"text"', "found str"),
        ("{}", r"keys \(none\)"),
        ('{"text": "a"}\n{"text": ', "line 2: not valid JSON"),
        ('[{"te\\ud800xt": "a"}]', "column name holds half a character"),
        ('{"text": "a"}\n[1]\n', "line 2: expected a JSON object"),
    ],
)
def test_other_forms_are_described(tmp_path, text, message):
    file = tmp_path / "a.json"
    file.write_text(text)
    with pytest.raises(DataError, match=message):
        read_frame(file)


def test_keys_that_some_objects_lack(tmp_path):
    file = tmp_path / "a.jsonl"
    file.write_text('{"text": "a", "n": 1}\n{"text": "b"}\n{"text": "c", "n": null}\n')
    frame = read_frame(file)
    assert frame["n"].isna().tolist() == [False, True, True]
    assert type(frame["n"][0]) is int
