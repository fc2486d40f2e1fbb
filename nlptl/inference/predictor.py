"""A finished run that predicts: texts in, labels and probabilities out."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from nlptl.config.records import holds_half_character
from nlptl.config.run import DataConfig
from nlptl.data.files import TableWriter, read_chunks
from nlptl.data.loading import label_targets, load_labelled
from nlptl.data.prefetch import prefetch
from nlptl.data.sources import check_text_columns, pick_columns
from nlptl.errors import ConfigError, DataError, shortened
from nlptl.evaluation.decisions import most_probable
from nlptl.evaluation.evaluator import full_report, probabilities_of
from nlptl.runs.artifact import Artifact, Head, load_artifact
from nlptl.training.runtime import Runtime, local_runtime

Text = str | tuple[str, str]


class Prediction(NamedTuple):
    """A decided label (a list of them for multi_label) and the probability behind it."""

    label: Any
    score: float


class Prepared(NamedTuple):
    """Texts as the run's predictor takes them, and how many."""

    texts: Any
    rows: int


class Run:
    """A finished run: its metrics, and its answers.

    Args:
        folder: the run folder.
        precision: as `runtime.precision`.
        progress: show progress bars.

    Raises:
        ArtifactError: the folder is no finished run, or is damaged.
    """

    def __init__(self, folder: str | Path, precision: str = "auto", progress: bool = True) -> None:
        self._artifact: Artifact = load_artifact(Path(folder))
        self._runtime: Runtime = local_runtime(precision, progress)
        self._artifact.predictor.settle(self._runtime)
        self._chosen: str | None = None

    def task(self, name: str) -> Run:
        """The same run as it answers for one of its tasks.

        Raises:
            ConfigError: the run has no task of that name.
        """
        self._artifact.head(name)
        chosen = copy.copy(self)
        chosen._chosen = name
        return chosen

    @property
    def tasks(self) -> list[str]:
        """The tasks it serves."""
        return [head.task.name for head in self._artifact.heads]

    @property
    def _head(self) -> Head:
        return self._artifact.head(self._chosen)

    @property
    def folder(self) -> Path:
        """Where the run lies."""
        return self._artifact.folder

    @property
    def labels(self) -> list[str]:
        """Label names; column i of `predict_proba` belongs to label i."""
        return self._head.task.label_list()

    @property
    def text_columns(self) -> int:
        """Texts per row: one, or two for a pair task."""
        return len(self._head.task.text_columns)

    @property
    def metrics(self) -> dict[str, Any]:
        """What `metrics.json` holds; of a chosen task, its part."""
        metrics = self._artifact.metrics
        if self._chosen is None or len(self._artifact.heads) == 1:
            return metrics
        part: dict[str, Any] = metrics["tasks"][self._chosen]
        return part

    @property
    def artifact(self) -> Artifact:
        """Configuration, task, model and tokenizer."""
        return self._artifact

    def predict_proba(self, texts: Sequence[Text]) -> np.ndarray:
        """Probabilities (texts, C) float32.

        Args:
            texts: texts, or (text, text_pair) tuples for a pair task.

        Raises:
            DataError: not a sequence of texts.
        """
        return self._probabilities(self._prepare(_frame(texts, self.text_columns)))

    def predict(self, texts: Sequence[Text], decision: str | None = None) -> list[Prediction]:
        """One decided label per text.

        Args:
            texts: as `predict_proba`.
            decision: None for the policy fitted on validation, or `argmax` for the most probable label.
        """
        return self._decide(self.predict_proba(texts), decision)

    def predict_file(
        self,
        source: Path,
        output: Path,
        all_scores: bool = False,
        decision: str | None = None,
        data: DataConfig | None = None,
        safe_csv: bool = False,
    ) -> int:
        """File to file, chunk by chunk; every column is kept, `predicted`, `score` and `score_LABEL` are added.

        Args:
            source: CSV, TSV, JSONL, JSON or Parquet.
            output: CSV, TSV, JSONL or Parquet.
            all_scores: add the probability of every label.
            decision: as `predict`.
            data: which column holds the texts, and the encoding.
            safe_csv: in CSV and TSV, put an apostrophe before texts that a spreadsheet would run as formulas.

        Returns:
            Rows written.

        Raises:
            DataError: the input cannot be read, lacks the text column, or has a column of an added one's name; then
                nothing is written.
        """
        data = data or DataConfig()
        columns = data.text_columns or self._head.task.text_columns
        if source.resolve() == output.resolve():
            raise DataError(f"{output} is the input itself. Choose another --output.")
        check_text_columns(columns, self._head.task)
        rows = 0
        with (
            TableWriter(output, safe_csv, like=source) as writer,
            self._runtime.track(None, "predicting", unit="row") as bar,
        ):
            for chunk, prepared in prefetch(self._read(source, columns, data)):
                probabilities = self._probabilities(prepared, quiet=True)
                added = self._columns(probabilities, all_scores, decision)
                _refuse_collision(chunk, added, source)
                writer.write(chunk.assign(**added))
                rows += len(chunk)
                bar.update(len(chunk))
        return rows

    def evaluate(self, source: Path, data: DataConfig | None = None) -> dict[str, Any]:
        """Measure the run on a labelled file: the same numbers as `metrics.json` has of a split.

        Raises:
            DataError: all faults of the file at once.
        """
        frame, audit = load_labelled(source, self._head.task, data or DataConfig())
        logits = self._logits(self._prepare(frame))
        targets = label_targets(frame, self.labels)
        report = full_report(self._head.task, logits, targets, self._head.decision)
        return {**report, "audit": audit.counts}

    def _columns(self, probabilities: np.ndarray, all_scores: bool, decision: str | None) -> dict[str, Any]:
        predictions = self._decide(probabilities, decision)
        separator = self._head.task.label_separator
        labels = [p.label if isinstance(p.label, str) else separator.join(p.label) for p in predictions]
        columns: dict[str, Any] = {"predicted": labels, "score": [round(p.score, 6) for p in predictions]}
        if all_scores:
            rounded = probabilities.astype(float).round(6)
            columns |= {f"score_{label}": rounded[:, i] for i, label in enumerate(self.labels)}
        return columns

    def _decide(self, probabilities: np.ndarray, decision: str | None) -> list[Prediction]:
        if decision not in (None, "argmax"):
            raise ConfigError(
                f"Unknown decision {decision!r}. Available: argmax, or none given for the run's own policy."
            )
        several = self._head.task.kind == "multi_label"
        policy = self._head.decision
        if decision == "argmax":
            policy = most_probable(several)
        labels, scores = policy.apply(probabilities, self.labels)
        return [Prediction(label, float(score)) for label, score in zip(labels, scores, strict=True)]

    def _read(self, source: Path, columns: list[str], data: DataConfig) -> Iterator[tuple[pd.DataFrame, Prepared]]:
        """Each chunk of a file, and its texts as the predictor takes them."""
        for chunk in read_chunks(source, encoding=data.encoding, delimiter=data.delimiter, quotes=data.quotes):
            pick_columns(chunk, columns, str(source), "--text-column")
            named = zip(("text", "text_pair"), columns, strict=False)
            yield chunk, self._prepare(pd.DataFrame({name: chunk[c].map(_text) for name, c in named}))

    def _prepare(self, frame: pd.DataFrame) -> Prepared:
        return Prepared(self._artifact.predictor.prepare(frame), len(frame))

    def _probabilities(self, prepared: Prepared, quiet: bool = False) -> np.ndarray:
        return probabilities_of(self._logits(prepared, quiet), self._head.task.kind == "multi_label")

    def _logits(self, prepared: Prepared, quiet: bool = False) -> np.ndarray:
        runtime = self._runtime
        if quiet or prepared.rows < 1000:
            runtime = Runtime(runtime.device, runtime.precision, progress=False)
        return self._artifact.predictor.logits(prepared.texts, runtime)[:, self._head.columns]

    @property
    def _name(self) -> str:
        return self._chosen or "+".join(self.tasks)

    def __repr__(self) -> str:
        test = self.metrics.get("test", {})
        named = "mean" if "mean" in test else "accuracy"
        return f"Run({self.folder}, {self._name}, test {named} {test.get(named)})"

    def _repr_html_(self) -> str:
        rows = ""
        shown = ("rows", "accuracy", "macro_f1", "loss")
        if "mean" in self.metrics.get("test", {}):
            shown = tuple(self.metrics["test"])
        for split in ("validation", "test"):
            values = self.metrics.get(split, {})
            cells = "".join(f"<td>{_shown(values.get(n))}</td>" for n in shown)
            rows += f"<tr><th>{split}</th>{cells}</tr>"
        names = "".join(f"<th>{name.replace('macro_f1', 'macro F1')}</th>" for name in shown)
        head = f"<tr><th></th>{names}</tr>"
        title = f"{self._name}, {self._artifact.predictor.title}"
        return f"<b>{title}</b><table>{head}{rows}</table><code>{self.folder}</code>"


def load(run: str | Path, precision: str = "auto", progress: bool = True) -> Run:
    """Open a finished run for prediction; see `Run`."""
    return Run(run, precision, progress)


def _shown(value: Any) -> str:
    return f"{value:.4f}" if isinstance(value, float) else str(value)


def _refuse_collision(chunk: pd.DataFrame, added: dict[str, Any], source: Path) -> None:
    taken = [name for name in added if name in chunk.columns]
    if taken:
        raise DataError(
            f"{source} has columns {', '.join(map(repr, taken))} already, which the predictions would overwrite. "
            "Rename or remove them in the input."
        )


def _text(value: Any) -> str:
    """A cell as a text; a missing one is the empty text, so that every input row has its output row.

    Raises:
        DataError: a list, an object or bytes.
    """
    if isinstance(value, bytes | dict) or pd.api.types.is_list_like(value):
        raise DataError(f"A cell of the text column holds {shortened(repr(value))}, which is not a text.")
    return value if isinstance(value, str) else "" if value is None or pd.isna(value) else str(value)


def _frame(texts: Sequence[Text], columns: int) -> pd.DataFrame:
    if isinstance(texts, str):
        raise DataError("predict takes a list of texts. For one text, write predict([text]).")
    rows = [tuple(text) if isinstance(text, tuple | list) else (text,) for text in texts]
    wrong = next(
        (i for i, row in enumerate(rows) if len(row) != columns or not all(isinstance(t, str) for t in row)), None
    )
    if wrong is not None:
        wanted = "a text" if columns == 1 else "a pair of texts"
        raise DataError(f"Item {wrong} is {shortened(repr(texts[wrong]))}; this task takes {wanted} per item.")
    broken = next((i for i, row in enumerate(rows) if any(holds_half_character(text) for text in row)), None)
    if broken is not None:
        raise DataError(f"Item {broken} holds bytes that are no text, or half a character. Write it in UTF-8.")
    return pd.DataFrame(rows, columns=["text", "text_pair"][:columns], dtype=object)
