import pandas as pd
import pytest

from nlptl.data.digest import rows_digest

FRAME = pd.DataFrame({"text": ["one", "two"], "label": ["a", "b"], "file": ["x.csv"] * 2, "row": [1, 2]})


def test_where_a_row_stood_is_no_part_of_it():
    assert rows_digest(FRAME) == rows_digest(FRAME.assign(file="y.csv", row=[7, 9]))


@pytest.mark.parametrize(
    "other",
    [
        FRAME.assign(text=["one", "Two"]),
        FRAME.assign(text=["one!", "two"]),
        FRAME.assign(label=["a", "a"]),
        FRAME.assign(label=["a", None]),
        FRAME.assign(label=[["a"], ["b"]]),
        FRAME.assign(text_pair=["", ""]),
        FRAME.iloc[::-1],
        FRAME.iloc[:1],
        FRAME.drop(columns="label"),
    ],
    ids=["case", "sign", "label", "none", "list", "pair", "order", "fewer", "unlabelled"],
)
def test_other_rows_have_another_digest(other):
    assert rows_digest(FRAME) != rows_digest(other)


def test_a_label_that_looks_like_a_list_is_none():
    assert rows_digest(FRAME.assign(label=[["a"], []])) != rows_digest(FRAME.assign(label=['["a"]', "[]"]))
