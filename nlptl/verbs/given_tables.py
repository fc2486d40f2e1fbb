"""Tables that a finished run is given in Python or as files, read as its training data were."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from nlptl.config.data import DataConfig
from nlptl.data.audit import is_empty
from nlptl.data.files import read_frame
from nlptl.data.given import is_path, texts_table
from nlptl.data.labels import label_of
from nlptl.data.objects import object_frame
from nlptl.data.sources import pick_columns
from nlptl.errors import DataError
from nlptl.inference.predictor import Run
from nlptl.inference.reading import Reading, reading_for
from nlptl.inference.tables import column_texts
from nlptl.storage.paths import user_path


def texts_of(run: Run, data: Any, text_column: str | Sequence[str] | None = None) -> pd.DataFrame:
    """The columns `text` and, for pairs, `text_pair`.

    Args:
        run: of whose task they are.
        data: a file, a table, or a list of texts.
        text_column: None: as in training.

    Raises:
        DataError: it cannot be read, has no such column, or a cell that is no text.
    """
    frame, reading, origin = _table(run, data, DataConfig(text_columns=_columns(text_column)))
    return _texts(frame, reading, origin)


def labelled_texts_of(
    run: Run,
    data: Any,
    text_column: str | Sequence[str] | None = None,
    label_column: str | None = None,
    label_map: dict[str, str] | None = None,
) -> pd.DataFrame:
    """`texts_of` with the column `label` beside them; labels may be new to the run.

    Raises:
        DataError: as `texts_of`, or a row without a label.
    """
    columns = _columns(text_column)
    asked = DataConfig(text_columns=columns, label_column=label_column)
    if label_map is not None:
        asked = asked.model_copy(update={"label_map": label_map})
    frame, reading, origin = _table(run, data, asked)
    texts = _texts(frame, reading, origin)
    column = reading.label_column(list(map(str, frame.columns)), origin)
    pick_columns(frame, [column], origin, "--label-column")
    empty = [row for row, cell in enumerate(frame[column], 1) if is_empty(cell)]
    if empty:
        raise DataError(f"{origin}: {len(empty)} rows have no label, the first of them row {empty[0]}. Fill them in.")
    names = reading.label_map(column)
    labels = [label_of(cell, run.head.task, names) for cell in frame[column]]
    return texts.assign(label=labels)[[label != "" for label in labels]].reset_index(drop=True)


def _table(run: Run, data: Any, asked: DataConfig) -> tuple[pd.DataFrame, Reading, str]:
    reading = reading_for(run.artifact, run.head, asked)
    if not is_path(data):
        origin = "The table"
        return object_frame(texts_table(data, reading.texts[0][0]), origin), reading, origin
    path = user_path(data)
    dialect = reading.dialect(path)
    return read_frame(path, dialect.encoding, dialect.delimiter, dialect.quotes), reading, str(data)


def _texts(frame: pd.DataFrame, reading: Reading, origin: str) -> pd.DataFrame:
    columns = reading.text_columns(list(map(str, frame.columns)), origin)
    pick_columns(frame, columns, origin, "--text-column")
    return column_texts(frame, columns)


def _columns(text_column: str | Sequence[str] | None) -> list[str] | None:
    return [text_column] if isinstance(text_column, str) else list(text_column) if text_column else None
