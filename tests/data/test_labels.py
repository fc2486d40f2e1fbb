import numpy as np
import pandas as pd
import pytest

from nlptl.config.data import DataConfig
from nlptl.data.labels import form_fault, label_name, label_of
from nlptl.data.loading import load_labelled, load_splits
from nlptl.data.sources import Source
from nlptl.errors import DataError
from nlptl.tasks import TaskSpec

ONE = TaskSpec(name="mail", description="d")
SEVERAL = TaskSpec(name="tags", description="d", kind="multi_label")
FIXED = TaskSpec(name="tags", description="d", kind="multi_label", labels=["0", "1", "2"])


@pytest.mark.parametrize(("value", "name"), [(1.0, "1"), (1, "1"), (1.5, "1.5"), (True, "True"), (" a ", "a")])
def test_names(value, name):
    assert label_name(value) == name
    assert label_of(value, ONE, {name: "mapped"}) == "mapped"


INDICATORS = [
    [[1, 0, 1], [0, 1, 0]],
    [[1.0, 0.0], [0.0, 1.0]],
    [[True, False], [False, True]],
    [np.array([1, 0, 1]), np.array([0, 1, 0])],
    [(1, 0, 1), (0, 1, 0)],
    [["1", "0", "1"], ["0", "1", "0"]],
    ["[1, 0, 1]", "[0, 1, 0]"],
    ["[1 0 1]", "[0 1 0]"],
    ["[1. 0. 1.]", "[0. 1. 0.]"],
    ["1,0,1", "0,1,0"],
    ["1 0 1", "0 1 0"],
    ["1|0|1", "0|1|0"],
    ["(1; 0)", "(0; 1)"],
    [[0, 0, 0], None, [0, 1, 0]],
]


@pytest.mark.parametrize("cells", INDICATORS, ids=str)
def test_indicator_vectors_are_no_names(cells):
    fault = form_fault(cells, SEVERAL, {})
    assert "is an indicator vector" in fault
    assert 'frame["label"] = [[name for name, on in zip(NAMES, row)' in fault


def test_the_advice_for_indicator_vectors_works():
    frame = pd.DataFrame({"label": [[1, 0, 1], [0, 1, 0], [0, 0, 0]]})
    code = form_fault(frame["label"], SEVERAL, {}).partition("in Python ")[2]
    frame["label"] = [
        [name for name, on in zip(["a", "b", "c"], row, strict=True) if int(on)] for row in frame["label"]
    ]
    assert code == 'frame["label"] = [[name for name, on in zip(NAMES, row) if int(on)] for row in frame["label"]]'
    assert frame["label"].tolist() == [["a", "c"], ["b"], []]
    assert form_fault(frame["label"], SEVERAL, {}) is None


@pytest.mark.parametrize("cells", [[0, 1, 0], ["0", "1"], [0.0, 1.0], [[0], [1]], [True, False]], ids=str)
def test_a_column_of_zeros_and_ones_is_no_names(cells):
    assert "says of one label whether it applies" in form_fault(cells, SEVERAL, {})
    assert form_fault(cells, FIXED, {}) is None
    assert form_fault(cells, SEVERAL, {"0": "off", "1": "on"}) is None


@pytest.mark.parametrize("cells", [[[0.2, 0.8], [0.9, 0.1]], ["[0.2, 0.8]", "[0.9, 0.1]"]], ids=str)
def test_scores_are_no_names(cells):
    assert "holds scores" in form_fault(cells, SEVERAL, {})


@pytest.mark.parametrize(
    ("cell", "names"),
    [
        ("['joy', 'anger']", ["joy", "anger"]),
        ('["joy", "\\u00e9"]', ["joy", "é"]),
        ("('joy',)", ["joy"]),
        ("{'b', 'a'}", ["a", "b"]),
        (" [] ", []),
        ("[3, 17]", ["3", "17"]),
        ("a|b", ["a", "b"]),
        ("|a||", ["a"]),
        (["a", "b", "a"], ["a", "b"]),
        (None, []),
        ("", []),
    ],
)
def test_several_labels_of_a_cell(cell, names):
    assert form_fault([cell], SEVERAL, {}) is None
    assert label_of(cell, SEVERAL, {}) == names


@pytest.mark.parametrize(
    "cell", ["['joy' 'anger']", "[joy, anger]", "[sic]", "{'joy': 1}", "[['a']]", "[" * 9000 + "]"]
)
def test_what_looks_like_a_list_and_is_none(cell):
    assert "looks like a list, but neither JSON nor Python" in form_fault([cell, "a"], SEVERAL, {})


def test_a_label_may_look_like_a_list_where_the_task_says_so():
    task = TaskSpec(name="tags", description="d", kind="multi_label", labels=["[x]", "['y']"])
    assert form_fault(["[x]", "['y']"], task, {}) is None
    assert label_of("['y']", task, {}) == ["['y']"]


@pytest.mark.parametrize(
    ("cells", "other"),
    [
        (["a;b", "a", "b;c"], "';'"),
        (["a, b", "b", "a"], "','"),
        (["a|b", "c", "b;c", "a"], "';'"),
    ],
)
def test_another_separator_than_the_tasks_is_told(cells, other):
    fault = form_fault(cells, SEVERAL, {})
    assert f"with {other} between them, but the task's label_separator is '|'" in fault
    assert f"label_separator: {other}" in fault


@pytest.mark.parametrize("cells", [["Austin, TX", "Salem, OR"], ["a|b", "b|c"], ["a; b", "a; c"], ["a", "b"]], ids=str)
def test_other_signs_in_names_are_no_separators(cells):
    assert form_fault(cells, SEVERAL, {}) is None


def test_known_labels_tell_a_separator_from_a_letter():
    task = TaskSpec(name="tags", description="d", kind="multi_label", labels=["a", "b", "a;b"])
    assert form_fault(["a;b"], task, {}) is None
    assert "with ';' between" in form_fault(["b;a"], task, {})
    assert form_fault(["a;x"], task, {}) is None  # an unknown label, which the audit tells


@pytest.mark.parametrize(
    "cells",
    [
        [["a", "b"], [], None],
        ["a|b", "", "b"],
        ["12|7", "3"],
        [["1"], ["0", "1"], ["0"]],
        ["1", "0|1", "0"],
        [[3, 17], [5]],
        ["nan|inf"],
        ["[sic]|a", "b"],
        [],
        [None, ""],
    ],
    ids=str,
)
def test_names_are_names(cells):
    assert form_fault(cells, SEVERAL, {}) is None


def test_names_that_are_numbers_where_the_task_says_so():
    assert form_fault([[0, 1], [1, 0]], FIXED, {}) is None
    assert "indicator vector" in form_fault([[0, 1, 0], [1, 0, 0]], FIXED, {})


@pytest.mark.parametrize("cell", [[0, 1], np.array([1]), {"a": 1}, b"x", ("a",)], ids=str)
def test_one_label_is_no_list(cell):
    assert "needs kind: multi_label" in form_fault(["a", cell], ONE, {})
    assert form_fault(["a", None, 3, 2.0, True], ONE, {}) is None


@pytest.mark.parametrize("cells", [[[1, 0, 1], [0, 1, 0]], ["1,0,1", "0,1,0"]], ids=str)
def test_training_and_evaluation_stop(cells):
    frame = pd.DataFrame({"text": [f"t{i}" for i in range(40)], "label": cells * 20})
    with pytest.raises(DataError, match=r"data\[train\], column 'label': .* is an indicator vector"):
        load_splits(SEVERAL, DataConfig(source="(python data)"), 0, frame)
    source = Source({"test": frame}, {"test": "a.jsonl"}, ["text"], "label", {})
    with pytest.raises(DataError, match=r"a\.jsonl, column 'label': .* is an indicator vector"):
        load_labelled(source, FIXED, DataConfig())
