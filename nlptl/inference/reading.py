"""How a finished run reads tables: as asked for, else as it was trained, else as its task says.

What is not asked for and not as in training is told, never guessed in silence.
"""

from __future__ import annotations

import codecs
import gzip
import logging
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, cast

from nlptl.config.data import DataConfig
from nlptl.config.records import validate
from nlptl.data.files.encodings import GZIP, text_lines
from nlptl.data.files.tables import Dialect
from nlptl.runs.artifact import Artifact, Head
from nlptl.tasks import TaskSpec

log = logging.getLogger("nlptl")
_DELIMITED = (".csv", ".tsv")
_TEXT = (*_DELIMITED, ".json", ".jsonl", ".ndjson")
_MARKS = (codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE, codecs.BOM_UTF32_BE)
_BLOCK = 1 << 20


@dataclass(frozen=True)
class Reading:
    """Columns, label names and encoding of the tables that a run is given."""

    task: TaskSpec
    data: DataConfig
    """What was asked for, and where nothing was, what the run was trained with."""
    asked: frozenset[str]
    """Names of the settings that were asked for."""
    texts: list[list[str]] = field(default_factory=list)
    """Text columns to look for, the first that are there being taken."""
    labels: list[str] = field(default_factory=list)
    """Label columns, likewise."""

    def text_columns(self, there: Collection[str], origin: str) -> list[str]:
        """The text columns to read of a table.

        Args:
            there: its columns.
            origin: its name, for what is told.
        """
        chosen = next((columns for columns in self.texts if set(columns) <= set(there)), self.texts[0])
        self._tell("texts", chosen, self.texts, there, origin, "--text-column")
        return chosen

    def label_column(self, there: Collection[str], origin: str) -> str:
        """The label column to read of a table; arguments as for `text_columns`."""
        chosen = next((column for column in self.labels if column in there), self.labels[0])
        self._tell("labels", [chosen], [[name] for name in self.labels], there, origin, "--label-column")
        return chosen

    def label_map(self, column: str) -> dict[str, str]:
        """Label in this column -> label of the task.

        Training's map was written for training's column: of another one it leaves alone what is a label of the task.
        """
        if column == self.labels[0] or "label_map" in self.asked:
            return self.data.label_map
        return {old: new for old, new in self.data.label_map.items() if old not in self.task.label_list()}

    def dialect(self, path: Path) -> Dialect:
        """Encoding, delimiter and quotes to read a file with: training's, unless the file shows that it has others."""
        if not path.is_file() or _ending(path) not in _TEXT:
            return Dialect()
        encoding = self._encoding(path)
        delimiter, quotes = self.data.delimiter, self.data.quotes
        if not {"delimiter", "quotes"} & self.asked and not self._written_alike(path, encoding):
            log.warning(f"{path} is not written as the file that the run was trained on; its delimiter is looked for.")
            delimiter = quotes = None
        return Dialect(encoding, delimiter, quotes)

    def _encoding(self, path: Path) -> str | None:
        trained = self.data.encoding
        if "encoding" in self.asked or trained is None:
            return trained
        with _opened(path) as stream:
            if stream.read(4).startswith(_MARKS):
                return None
        if _is_utf8(path):
            log.warning(f"{path} is read as UTF-8, which it is, though the run was trained on {trained}.")
            return None
        log.info(f"{path} is read as {trained}, as in training")
        return trained

    def _written_alike(self, path: Path, encoding: str | None) -> bool:
        """Whether a delimited file has training's delimiter in its first line, or training's ending."""
        if _ending(path) not in _DELIMITED or (self.data.delimiter is None and self.data.quotes is None):
            return True
        if self.data.delimiter is None:
            return self.data.source is None or _ending(Path(self.data.source)) in ("", _ending(path))
        with suppress(UnicodeError, LookupError, OSError):  # which reading the file will report
            return self.data.delimiter in next(text_lines(path, Dialect(encoding)), "")
        return True

    @staticmethod
    def _tell(
        what: str, chosen: list[str], choices: list[list[str]], there: Collection[str], origin: str, flag: str
    ) -> None:
        first = ", ".join(map(repr, choices[0]))
        named = ", ".join(map(repr, chosen))
        if chosen != choices[0]:
            log.warning(
                f"{origin} has no column {first}, which the run was trained on; {what} are read from {named}. "
                f"Choose with {flag}."
            )
        elif others := [names for names in choices[1:] if set(names) <= set(there)]:
            other = ", ".join(map(repr, others[0]))
            log.info(f"{origin}: {what} are read from {named}, as in training, not from {other}")


def reading_for(
    artifact: Artifact, head: Head, given: DataConfig | None, named: dict[str, Any] | None = None
) -> Reading:
    """How a run reads tables for one of its tasks.

    Args:
        artifact: the run.
        head: of the task.
        given: what is asked for: the settings that were set in it.
        named: what a data set that the task knows by name says of itself, under the names of `DataConfig`.

    Raises:
        ConfigError: `metrics.json` is damaged.
    """
    given = given or DataConfig()
    asked = {name: getattr(given, name) for name in given.model_fields_set if getattr(given, name) is not None}
    trained = _trained(artifact, head)
    data = trained.model_copy(update={**(named or {}), **asked})
    task = head.task
    common = ["text", "text_pair"][: len(task.text_columns)]  # as a run's own predictions.csv has them
    texts = [asked["text_columns"]] if "text_columns" in asked else [data.text_columns, task.text_columns, common]
    labels = [asked["label_column"]] if "label_column" in asked else [data.label_column, task.label_column, "label"]
    return Reading(task, data, frozenset(asked), _distinct(texts), _distinct(labels))


def _trained(artifact: Artifact, head: Head) -> DataConfig:
    """The `data` section as training read the rows of a task."""
    config, several = artifact.config, len(artifact.heads) > 1
    metrics = artifact.metrics
    part = metrics.get("tasks", {}).get(head.task.name, {}) if several else metrics
    noted = part.get("data", {}).get("read_as")
    values: dict[str, Any] = {"label_map": config.multi_task.label_maps.get(head.task.name, config.data.label_map)}
    if isinstance(noted, dict):  # runs of earlier versions do not say
        read_as = validate(DataConfig, noted, f"{artifact.folder / 'metrics.json'}: read_as")
        values = {name: getattr(read_as, name) for name in read_as.model_fields_set}
    return config.data.model_copy(update=values)


def _distinct(choices: list[Any]) -> list[Any]:
    found: list[Any] = []
    for choice in choices:
        if choice is not None and choice not in found:
            found.append(choice)
    return found


def _ending(path: Path) -> str:
    """The ending that says the format: `.csv` of `a.csv` and `a.csv.gz`."""
    return (Path(path.stem) if path.suffix.lower() == GZIP else path).suffix.lower()


def _opened(path: Path) -> IO[bytes]:
    return cast(IO[bytes], gzip.open(path, "rb")) if path.suffix.lower() == GZIP else path.open("rb")


def _is_utf8(path: Path) -> bool:
    """Whether a file is UTF-8 and could not be anything else: with letters beyond ASCII, and no NUL."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    beyond = False
    with _opened(path) as stream:
        while block := stream.read(_BLOCK):
            if b"\0" in block:
                return False
            try:
                decoder.decode(block)
            except UnicodeDecodeError:
                return False
            beyond = beyond or not block.isascii()
        try:
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            return False
    return beyond
