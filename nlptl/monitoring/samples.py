"""The two samples that are compared: the run's own held-out rows, and new texts."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from nlptl.config.data import DataConfig
from nlptl.data.audit import is_empty
from nlptl.data.files import read_frame
from nlptl.data.labels import form_fault, label_of
from nlptl.data.objects import object_frame
from nlptl.data.sources import check_text_columns, pick_columns
from nlptl.errors import ArtifactError, DataError, unknown
from nlptl.inference.reading import Reading, reading_for
from nlptl.inference.tables import column_texts
from nlptl.inference.texts import texts_frame
from nlptl.runs.artifact import Artifact, Head, head_folder
from nlptl.storage.paths import user_path

FEWEST = 10
"""Rows of each side: with fewer, cross-validation has folds without a row of one side."""
Label = str | list[str]


@dataclass(frozen=True)
class Sample:
    """Texts, where they come from, and what is known of them."""

    texts: pd.DataFrame
    """Columns `text` and, for pairs, `text_pair`."""
    origin: str
    gold: list[Label | None] | None = None
    """A row's own label, None where it has none; None altogether: labels were not asked for."""
    numbers: np.ndarray | None = None
    """(rows,) which rows of the origin these are, from 1; None: all of them."""

    def __len__(self) -> int:
        return len(self.texts)

    def items(self) -> list[Any]:
        """What `Run.predict_proba` takes: texts, or pairs of them."""
        columns = [self.texts[name].tolist() for name in self.texts]
        return columns[0] if len(columns) == 1 else list(zip(*columns, strict=True))

    def drawn(self, most: int, seed: int) -> Sample:
        """At most so many of its rows, in their order."""
        if len(self) <= most:
            return self
        rows = np.sort(np.random.default_rng(seed).choice(len(self), most, replace=False))
        gold = None if self.gold is None else [self.gold[row] for row in rows]
        return Sample(self.texts.iloc[rows].reset_index(drop=True), self.origin, gold, rows + 1)


@dataclass(frozen=True)
class Samples:
    """Reads both for one task of a run."""

    artifact: Artifact
    head: Head
    data: DataConfig | None
    """How files are read; what is not set in it is as it was in training."""

    @property
    def home(self) -> Path:
        """Where the task's own files lie."""
        return head_folder(self.artifact.folder, self.head.task.name, len(self.artifact.heads))

    def held_out(self) -> Sample:
        """The run's own test rows, which it neither learned from nor was chosen by, with their labels.

        Raises:
            ArtifactError: the run folder does not hold them.
            DataError: they are fewer than `FEWEST`.
        """
        file = self.home / "predictions.csv"
        if not file.is_file():
            raise ArtifactError(
                f"{self.home} holds no predictions.csv, the test rows that new texts are compared with. Name held-out "
                "rows: --reference FILE"
            )
        table = read_frame(file)
        columns = ["text", "text_pair"][: len(self.head.task.text_columns)]
        pick_columns(table, [*columns, "label"], str(file), "--reference FILE")
        gold: list[Label | None] = [label_of(cell, self.head.task, {}) for cell in table["label"].fillna("")]
        return _enough(Sample(column_texts(table, columns), "the run's test rows", gold))

    def reference(self, given: Any) -> Sample:
        """Held-out rows that are named instead of the run's own.

        Raises:
            DataError: as `new`, or the file is the one that the run was trained on.
        """
        if isinstance(given, str | os.PathLike) and self._learned_from(user_path(Path(given))):
            raise DataError(
                f"{given} is the file that the run was trained on. It knows these rows, so that any new text looks "
                f"different from them. Leave --reference away: the rows that were held out are in "
                f"{self.home / 'predictions.csv'}."
            )
        return self.new(given, labelled=False)

    def new(self, given: Any, labelled: bool) -> Sample:
        """Texts that are compared.

        Args:
            given: a file; a DataFrame, a `datasets.Dataset`; or a list or Series of texts.
            labelled: whether their labels are read too.

        Raises:
            DataError: it cannot be read, lacks a column, or has fewer than `FEWEST` rows.
        """
        reading = reading_for(self.artifact, self.head, self.data)
        check_text_columns(reading.texts[0], self.head.task)
        if isinstance(given, str | os.PathLike):
            path, origin = user_path(Path(given)), str(given)
            dialect = reading.dialect(path)
            table = read_frame(path, dialect.encoding, dialect.delimiter, dialect.quotes)
        elif _is_table(given):
            table, origin = object_frame(given, "The table"), "the table"
        else:
            return _enough(Sample(texts_frame(given, len(self.head.task.text_columns)), "the texts"))
        names = list(map(str, table.columns))
        columns = reading.text_columns(names, origin)
        pick_columns(table, columns, origin, "--text-column")
        gold = self._labels(table, reading, origin) if labelled else None
        return _enough(Sample(column_texts(table, columns), origin, gold))

    def _labels(self, table: pd.DataFrame, reading: Reading, origin: str) -> list[Label | None]:
        """Each row's label; one that the run does not know stays, for the run cannot have it right."""
        column, task = reading.label_column(list(map(str, table.columns)), origin), self.head.task
        pick_columns(table, [column], origin, "--label-column")
        names = reading.label_map(column)
        if fault := form_fault(table[column], task, names):
            raise DataError(f"{origin}, column {column!r}: {fault}")
        gold: list[Label | None] = [
            None if is_empty(cell) else label_of(cell, task, names) or None for cell in table[column]
        ]
        known = set(task.label_list())
        there = {name for label in gold for name in names_of(label)}
        if not there & known:
            strange = next(iter(sorted(there)), None)
            told = "holds no label at all." if strange is None else unknown("label", strange, known)
            raise DataError(f"{origin}, column {column!r}: {told} Choose with --label-column and --label-map.")
        return gold

    def _learned_from(self, path: Path) -> bool:
        config = self.artifact.config
        several = len(self.artifact.heads) > 1
        trained = config.multi_task.sources.get(self.head.task.name) if several else config.data.source
        if trained is None or not path.exists():
            return False
        source = user_path(trained)
        files = [source, *(source / name for name in ("train.csv", "train.jsonl", "train.parquet"))]
        return any(file.is_file() and file.resolve() == path.resolve() for file in files)


def names_of(label: Label | None) -> list[str]:
    """The names in a label: one, several, or none."""
    return [] if label is None else [label] if isinstance(label, str) else list(label)


def _is_table(given: Any) -> bool:
    """Whether it has columns, or is a list of records."""
    records = isinstance(given, Sequence) and not isinstance(given, str) and bool(given) and isinstance(given[0], dict)
    return records or hasattr(given, "columns") or hasattr(given, "column_names")


def _enough(sample: Sample) -> Sample:
    if len(sample) < FEWEST:
        raise DataError(
            f"{sample.origin}: there are {len(sample)} rows; at least {FEWEST} are needed to compare them with others, "
            "and to see a moderate shift some hundred. Other held-out rows are named by --reference FILE."
        )
    return sample
