import pandas as pd
import pytest

from nlptl.config.data import DataConfig
from nlptl.data.loading import load_labelled, load_splits
from nlptl.data.sources import Source
from nlptl.data.splits import cut
from nlptl.errors import DataError
from nlptl.tasks import TaskSpec

TASK = TaskSpec(name="mail", description="d", kind="multi_label", labels=["late", "broken"])
LATE = [1, 0, 1, 0]
BROKEN = [1, 0, 0, 1]


def source(**columns) -> Source:
    frame = pd.DataFrame({"text": [f"text {i}" for i in range(4)], **columns})
    return Source({"test": frame}, {"test": "a.csv"}, ["text"], "label", {})


@pytest.mark.parametrize(
    "late", [LATE, [1.0, 0.0, 1.0, 0.0], [True, False, True, False], ["1", "0", " 1.0", "0"], ["true", "False", 1, 0]]
)
def test_columns_of_zeros_and_ones_are_labels(late):
    frame, audit = load_labelled(source(late=late, broken=BROKEN, other=["x"] * 4), TASK, DataConfig())
    assert frame["label"].tolist() == [["late", "broken"], [], ["late"], ["broken"]]
    assert not audit.faults


def test_a_label_column_goes_before_columns_of_labels():
    frame, _ = load_labelled(
        source(late=LATE, broken=BROKEN, label=["late", "", "late|broken", ""]), TASK, DataConfig()
    )
    assert frame["label"].tolist() == [["late"], [], ["late", "broken"], []]


def test_columns_may_have_the_names_that_the_label_map_renames():
    given = source(delayed=LATE, broken=BROKEN)
    given.label_map = {"delayed": "late"}
    assert load_labelled(given, TASK, DataConfig())[0]["label"].tolist()[2] == ["late"]


def test_any_other_cell_is_a_fault_or_leaves_its_row_out():
    message = (
        r"a\.csv row 2, column 'late': '2' is neither 0 nor 1(.|\n)*row 3, column 'broken': an empty cell is neither"
    )
    with pytest.raises(DataError, match=message):
        load_labelled(source(late=[1, 2, 1, 0], broken=[1, 0, None, 1]), TASK, DataConfig())
    given = source(late=[1, 2, 1, 0], broken=[1, 0, None, 1])
    frame, audit = load_labelled(given, TASK, DataConfig(bad_rows="drop"))
    assert frame["text"].tolist() == ["text 0", "text 3"]
    assert audit.counts["test_rows_without_label_state"] == 2


def test_a_column_for_some_of_the_labels_only():
    with pytest.raises(DataError, match="has no column 'label', and of the labels' own columns .* it lacks 'broken'"):
        load_labelled(source(late=LATE), TASK, DataConfig())


def test_labels_that_are_read_from_the_data_need_a_column():
    task = TaskSpec(name="mail", description="d", kind="multi_label")
    with pytest.raises(DataError, match="has no column 'label'.* are read where the task lists its labels"):
        load_labelled(source(late=LATE, broken=BROKEN), task, DataConfig())


def test_training_reads_them_and_leaves_out_a_test_split_without_labels():
    train = pd.DataFrame({"text": [f"text {i}" for i in range(40)], "late": LATE * 10, "broken": BROKEN * 10})
    given = {"train": train, "test": pd.DataFrame({"text": ["one", "two"]})}
    splits = load_splits(TASK, DataConfig(source="(python data)"), 0, given)
    assert sum(splits.sizes().values()) == 40
    assert splits.audit.counts["test_rows_left_out"] == 2


def test_rows_whose_combination_of_labels_is_their_own_are_cut_like_all_others():
    """Four common labels in all ways, and a rare one that each part must have."""
    names = [[f"common {bit}" for bit in range(4) if row >> bit & 1] + ["rare"] * (row < 4) for row in range(16)]
    frame = pd.DataFrame({"text": [f"text {i}" for i in range(160)], "label": [*names, *(n[:4] for n in names[:] * 9)]})
    rest, off = cut(frame, 0.2, 0)
    assert 25 <= len(off) <= 40
    for part in (rest, off):
        assert sum("rare" in label for label in part["label"]) >= 1
