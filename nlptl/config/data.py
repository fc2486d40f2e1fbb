"""The settings of a run's data: which rows are read, and how."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from nlptl.config.records import Record
from nlptl.config.training import Fraction, Positive


def _one_character(value: str) -> str:
    """`\\t` and `tab`, as a shell passes them on, are the tab."""
    value = {"\\t": "\t", "tab": "\t"}.get(value, value)
    if len(value) != 1 or value in '"\r\n\\' or value.isalnum():
        raise ValueError("expected one character that is no letter, such as ';' or '|' (tab for the tab)")
    return value


def _along(value: str) -> str:
    kind, colon, column = value.partition(":")
    if kind not in ("time", "group") or not colon or not column:
        raise ValueError("expected time:COLUMN or group:COLUMN; leave it out for random splits")
    return value


Along = Annotated[str, AfterValidator(_along)]
"""How splits are cut along a column."""
Delimiter = Annotated[str, AfterValidator(_one_character)]
"""The character that separates the columns of a text table."""
Quotes = Literal["doubled", "backslash", "none"]
"""How quote marks are used in a text table."""


class DataConfig(Record):
    """Which rows are read, and how."""

    source: str | None = None
    """One of the task's named data sets, a file (CSV, TSV, JSONL, Parquet), a folder of split files, a saved
    `datasets` folder, or a Hub id. None: the task's `sample`."""
    validation: str | None = None
    """A file with the validation split. None: from the source, else cut from train, stratified and seeded."""
    test: str | None = None
    """A file with the test split. None: from the source, else cut from train, stratified and seeded."""
    target: str | None = None
    """`strategy: domain_adaptation`: texts of another domain, a file or a folder of split files; labels there only
    report."""
    target_test: str | None = None
    """A labelled file of the target domain to report on. None: cut from `target` where that has labels."""
    text_columns: list[str] | None = Field(default=None, min_length=1, max_length=2)
    """One text column, or a pair. None: the data set's own, else the task's."""
    label_column: str | None = None
    """None: the data set's own, else the task's."""
    label_map: dict[str, str] = {}
    """Label in the data -> label of the task; empty (`3=`, or None in Python) leaves rows with that label out."""
    split: Along | None = None
    """How validation and test are cut off one table. time:COLUMN: the latest rows are test, the latest before them
    validation, and rows of one time stay together. group:COLUMN: rows of one group (a sender, a customer) stay
    together. None: at random, stratified and seeded."""
    shots: Positive | None = None
    """Keep this many rows per label, drawn with the seed: of train, and of validation where the data bring one."""
    label_names: bool | None = None
    """Learn from each label's name too, as one more training text (of `card_arrival`: card arrival). None: with
    `shots`, one label and one text to a row. Names that are no words, such as `LABEL_0`, are left aside."""
    normaliser: Literal["none", "nfkc", "confusables"] = "none"
    """The form in which texts are read, in training and ever after. nfkc: what cannot be seen is taken out, and
    full-width, mathematical and other forms of a letter become it (Unicode's NFKC). confusables: besides, a word that
    mixes alphabets has one (UTS 39), stray accents go, letters set apart are joined, `c4$h` is `cash`, and `hxxp` and
    `[.]` in addresses are as they are meant (extra `evidence`)."""
    attacked_copies: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Share of the training rows that are learned from once more, each copy under an attack drawn with the seed
    (`nlptl robustness` lists them)."""
    validation_fraction: Fraction = 0.1
    """Share of train that becomes validation where there is none (twice that with `shots`)."""
    test_fraction: Fraction = 0.2
    """Share of a single file that becomes test where there is none."""
    test_seed: Annotated[int, Field(ge=0, lt=2**31)] | None = None
    """Draws the rows that become test where there is none, so that runs of several seeds can be measured on the same
    ones. None: the run's seed."""
    duplicates: Literal["keep", "drop"] = "keep"
    """Repeated texts (case, spaces and punctuation ignored) with the same label inside one split."""
    leaks: Literal["drop", "keep"] = "drop"
    """Training rows whose text also stands in validation or test, validation rows whose text stands in test."""
    bad_rows: Literal["stop", "drop"] = "stop"
    """Rows without text or label, and rows of validation and test whose label train does not have: stop with all of
    them listed, or drop and count them."""
    encoding: str | None = None
    """Text encoding of CSV, TSV and JSON files. None: UTF-8, or what a byte order mark says."""
    delimiter: Delimiter | None = None
    """The character that separates the columns of CSV and TSV files. None: the tab in .tsv; in .csv the one of comma,
    semicolon, tab and | on which header and rows agree."""
    quotes: Quotes | None = None
    """Quote marks in CSV and TSV files. doubled: they enclose a cell, and inside it stand twice. backslash: inside it
    they follow a backslash. none: they are letters. None: doubled, but letters in a tab-separated file where each line
    is a row by itself and a cell begins with a mark that does not enclose it."""
