"""Corrections: applied to the rows they name, refused where they do not fit, and their gain told."""

import pandas as pd
import pytest

import nlptl
from nlptl.errors import DataError
from nlptl.runs.test_rows import rows_right
from tests.quality.conftest import SETTINGS, intents


@pytest.fixture
def filled(planted, tmp_path):
    """The table of the inspection, and how to write it filled in."""
    table = pd.read_csv(planted.found.write(tmp_path / "out"), keep_default_na=False)

    def write(**cells):
        changed = table.assign(**cells)
        changed.to_csv(tmp_path / "filled.csv", index=False)
        return tmp_path / "filled.csv"

    return table, write


def apply(planted, table, output, **more):
    settings = {**SETTINGS, **more}
    tasks = planted.folder / "tasks"
    return nlptl.apply_corrections(
        "helpdesk",
        table,
        data=planted.folder,
        tasks_dir=tasks,
        mode="feature_extraction",
        output=output,
        settings=settings,
    )


def test_a_round_trip_corrects_the_rows_and_tells_the_gain(planted, filled, tmp_path):
    table, write = filled
    truth = intents("train")["label"]
    # What a person would do: the planted mistakes that were found are mended, and one leak is left out.
    wanted = [
        truth[row - 1] if (split, row) in planted.flipped else ""
        for split, row in zip(table.split, table.row, strict=True)
    ]
    leak = next(
        i for i, why in enumerate(table["reason"]) if "leak: " in why and not wanted[i] and table.split[i] == "train"
    )
    wanted[leak] = "(drop)"
    gain = apply(planted, write(corrected=wanted), tmp_path / "made")
    mended = sum(bool(cell) and cell != "(drop)" for cell in wanted)
    assert gain.facts["counts"]["train"]["relabelled"] == mended >= 10
    after = pd.read_csv(gain.folder / "corrected-data" / "train.csv")
    before = pd.read_csv(gain.folder / "before-data" / "train.csv")
    labels = dict(zip(after["from_row"], after["label"], strict=True))
    assert all(labels[row] == truth[row - 1] for split, row in planted.flipped if wanted_of(table, wanted, row))
    assert len(before) - len(after) == gain.facts["counts"]["train"]["dropped"]
    one, other = rows_right(gain.run), rows_right(gain.folder / "before")
    assert gain.difference.mean == pytest.approx(one.mean() - other.mean())
    assert gain.difference.mean >= 0
    assert f"{mended} relabelled" in gain.sentence
    assert "McNemar's exact test" in gain.sentence
    assert nlptl.load(gain.run).predict(["I lost my card"])


def wanted_of(table, wanted, row):
    places = table.index[(table.split == "train") & (table.row == row)]
    return len(places) > 0 and wanted[places[0]] not in ("", "(drop)")


def test_faults_of_the_table_are_told_at_once(planted, filled, tmp_path):
    table, write = filled
    names = planted.found.rows.labels
    cells = [""] * len(table)
    cells[0], cells[1], cells[2] = "no_such_label", names[0], names[0]
    rows, texts = table["row"].tolist(), table["text"].tolist()
    rows[1], texts[2] = 99_999, "quite another text"
    with pytest.raises(DataError) as caught:
        apply(planted, write(corrected=cells, row=rows, text=texts), tmp_path / "made")
    said = str(caught.value)
    assert "(3 faults)" in said
    assert "'no_such_label' is no label of helpdesk" in said
    assert "row 99999 is no row of the data" in said
    assert "has another text in the data" in said
    assert not (tmp_path / "made").exists()


def test_other_labels_than_the_data_have_are_told(planted, filled, tmp_path):
    table, write = filled
    labels = table["label"].tolist()
    labels[0] = "seldom"
    with pytest.raises(DataError, match="has the label .* in the data, not 'seldom'"):
        apply(planted, write(corrected=["seldom", *[""] * (len(table) - 1)], label=labels), tmp_path / "made")


def test_an_empty_table_and_a_missing_column_are_told(planted, filled, tmp_path):
    table, write = filled
    with pytest.raises(DataError, match="No row of .* has anything in the column 'corrected'"):
        apply(planted, write(), tmp_path / "made")
    table.drop(columns="corrected").to_csv(tmp_path / "cut.csv", index=False)
    with pytest.raises(DataError, match="has no column 'corrected'"):
        apply(planted, tmp_path / "cut.csv", tmp_path / "made")


def test_cells_that_a_spreadsheet_changed_still_match(planted, filled, tmp_path):
    """Formula marks and line ends come back with an apostrophe or other spaces."""
    from nlptl.quality.corrections import read_corrections

    table, write = filled
    name = planted.found.rows.labels[0]
    other = next(i for i in range(len(table)) if table["label"][i] != name)
    cells = ["" if i != other else name for i in range(len(table))]
    texts = [f"'{text} \r\n" for text in table["text"]]
    read = read_corrections(write(corrected=cells, text=texts), planted.found.rows)
    assert list(read.labels.values()) == [name]
