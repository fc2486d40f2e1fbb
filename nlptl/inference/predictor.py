"""A finished run that predicts: texts in, labels and probabilities out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from nlptl.config.data import DataConfig
from nlptl.data.files import TableWriter, read_chunks
from nlptl.data.loading import label_targets, load_labelled
from nlptl.data.objects import object_frame
from nlptl.data.prefetch import prefetch
from nlptl.data.sources import check_text_columns, pick_columns
from nlptl.errors import ConfigError, DataError
from nlptl.evaluation.decisions import Decision, decide, most_probable
from nlptl.evaluation.evaluator import full_report
from nlptl.imports import uncollected
from nlptl.inference.display import splits_html, test_result
from nlptl.inference.labelled import labelled_rows, log
from nlptl.inference.opened import OpenRun
from nlptl.inference.prepared import Prepared
from nlptl.inference.reading import Reading, reading_for
from nlptl.inference.tables import check_output, column_texts, refuse_collision
from nlptl.inference.texts import Text, is_dataset, texts_frame
from nlptl.runs.artifact import Head
from nlptl.storage.paths import user_path

if TYPE_CHECKING:
    from nlptl.inference.explanation import Explainer, Explanation


class Prediction(NamedTuple):
    """A decided label (a list of them for multi_label) and the probability behind it."""

    label: Any
    score: float


class Answers(NamedTuple):
    """Predictions, and what they were made from."""

    predictions: list[Prediction]
    probabilities: np.ndarray
    """(texts, C) float32."""
    scope: np.ndarray | None
    """(texts,) how far in scope, higher is more; None where the run has no scorer."""


class Run(OpenRun):
    """A finished run: its metrics, and its answers.

    Several threads may ask one run at once, as in a web service; they take turns, and each gets its own answer.

    Args:
        folder: the run folder.
        precision: bf16, fp16, fp32, or auto for the fastest that this machine computes in; None: the precision that
            the run was trained and measured in, or fp32, with a warning, where this machine does not compute in that.
        progress: show progress bars.

    Raises:
        ArtifactError: the folder is no finished run, or is damaged.
        ConfigError: a precision that there is not, or that this machine cannot compute in.
    """

    def predict_proba(self, texts: Iterable[Text]) -> np.ndarray:
        """Probabilities (texts, C) float32.

        Args:
            texts: texts, or (text, text_pair) tuples for a pair task: a list, or another ordered collection such as
                a pandas Series, a numpy array or a column of a `datasets` object.

        Raises:
            DataError: not a collection of texts.
        """
        return self._probabilities(self._prepare(texts_frame(texts, self.text_columns)))

    def predict(self, texts: Iterable[Text], decision: str | None = None) -> list[Prediction]:
        """One decided label per text.

        Args:
            texts: as `predict_proba`; for a table see `predict_frame`.
            decision: None for the policy fitted on validation, or `argmax` for the most probable label.
        """
        return self.answer(texts, decision).predictions

    def answer(self, texts: Iterable[Text], decision: str | None = None) -> Answers:
        """Decided labels, probabilities and, where the run has a scorer, `scope`; of one forward pass.

        Args:
            texts: as `predict_proba`.
            decision: as `predict`.
        """
        self._policy(decision)
        probabilities, scope = self._answered(self._prepare(texts_frame(texts, self.text_columns)))
        return Answers(self.decide(probabilities, decision, scope), probabilities, scope)

    def decide(
        self, probabilities: np.ndarray, decision: str | None = None, scope: np.ndarray | None = None
    ) -> list[Prediction]:
        """The decided label of each row of `predict_proba`.

        Args:
            probabilities: (texts, C).
            decision: as `predict`.
            scope: (texts,) by `Run.scope`; needed where the run's decision goes by a scorer.

        Raises:
            ConfigError: an unknown decision, or one that needs `scope`.
        """
        labels, scores = decide(self._policy(decision), probabilities, self.labels, scope)
        return [Prediction(label, float(score)) for label, score in zip(labels, scores, strict=True)]

    def predict_frame(
        self, table: Any, all_scores: bool = False, decision: str | None = None, data: DataConfig | None = None
    ) -> pd.DataFrame:
        """A table with the columns `predicted` and `score` added; rows, index and other columns stay as they are.

        Args:
            table: a DataFrame, or a `datasets.Dataset`. A missing text counts as the empty one.
            all_scores: add the probability of every label.
            decision: as `predict`.
            data: as `predict_file`.

        Raises:
            DataError: no table, no text column, or a column of an added one's name.
        """
        if not isinstance(table, pd.DataFrame) and not is_dataset(table):
            raise DataError(f"predict_frame takes a DataFrame or a datasets.Dataset, not a {type(table).__name__}.")
        # Checked and read as everywhere else; what is returned is the table as it was given.
        read = object_frame(table, "The table")
        reading = self._reading(data)
        texts = column_texts(read, self._columns_of(read, reading, "The table"))
        added = self._added(*self._answered(self._prepare(texts)), all_scores, decision)
        kept = table if isinstance(table, pd.DataFrame) else table.to_pandas()
        refuse_collision(kept, added, "The table")
        return kept.assign(**added)

    def predict_file(
        self,
        source: str | Path,
        output: str | Path,
        all_scores: bool = False,
        decision: str | None = None,
        data: DataConfig | None = None,
        safe_csv: bool = False,
    ) -> int:
        """File to file, chunk by chunk; every column is kept, `predicted`, `score` and `score_LABEL` are added.

        A run whose decision goes by a scorer adds `scope` too: how far in scope the text is, higher is more.

        Args:
            source: CSV, TSV, JSONL, JSON or Parquet.
            output: CSV, TSV, JSONL or Parquet.
            all_scores: add the probability of every label.
            decision: as `predict`.
            data: how the file is read: text_columns, encoding. What is not set in it is as it was in training; where
                the file shows that it cannot be so, as the task has it, with a warning.
            safe_csv: in CSV and TSV, put an apostrophe before texts that a spreadsheet would run as formulas.

        Returns:
            Rows written.

        Raises:
            DataError: the input cannot be read, lacks the text column, or has a column of an added one's name; then
                nothing is written.
        """
        source, output = user_path(source), user_path(output)
        check_output(source, output)
        self._policy(decision)
        reading = self._reading(data)
        rows = 0
        with (
            TableWriter(output, safe_csv, like=source) as writer,
            self._runtime.track(None, "predicting", unit="row") as bar,
        ):
            for chunk, prepared in prefetch(self._read(source, reading)):
                added = self._added(*self._answered(prepared, quiet=True), all_scores, decision)
                refuse_collision(chunk, added, str(source))
                writer.write(chunk.assign(**added))
                rows += len(chunk)
                bar.update(len(chunk))
        return rows

    def evaluate(self, source: Any, data: DataConfig | None = None) -> dict[str, Any]:
        """Measure the run on labelled rows: the same numbers as `metrics.json` has of a split.

        Args:
            source: a file; a DataFrame or a `datasets.Dataset`; or, for its test split, a folder, a saved or loaded
                `datasets.DatasetDict`, a dict by split, a data set that the task knows by name, or a Hub id.
            data: how it is read: text_columns, label_column, label_map, encoding, bad_rows. What is not set in it is as
                it was in training; where the rows show that it cannot be so, as the task has it, with a warning.

        Raises:
            DataError: all faults of the rows at once.
        """
        rows, reading = labelled_rows(self._artifact, self._head, source, data)
        frame, audit = load_labelled(rows, self._head.task, reading.data)
        for warning in audit.warnings:
            log.warning(warning)
        logits, scope = self._computed(self._prepare(frame))
        targets = label_targets(frame, self.labels)
        head = self._head
        report = full_report(head.task, logits, targets, head.decision, head.calibration, scope)
        return {**report, "audit": audit.counts}

    def explain(self, text: Text, label: str | None = None) -> Explanation:
        """What each word of a text adds to the logit of a label; shown in colours in a notebook.

        Runs on encoders are explained by integrated gradients on the word embeddings (Sundararajan et al. 2017), linear
        baselines by what their terms add. `nlptl.explain` also finds near training rows and measures faithfulness.

        Args:
            text: a text, or a (text, text_pair) tuple for a pair task.
            label: whose logit; None: that of the decided label.

        Raises:
            ConfigError: no such label, or nothing explains a run of this kind.
            MissingExtraError: captum is not installed.
        """
        from nlptl.inference.explanation import explain_text

        return explain_text(self, self._explainer, self._head, text, label)

    def explain_each(self, texts: Iterable[Text], label: str | None = None) -> list[Explanation]:
        """`explain` of several texts, with a progress bar."""
        return [self.explain(text, label) for text in self._runtime.track(list(texts), "explaining", unit="text")]

    @property
    def head(self) -> Head:
        """The task that it answers for, with its decision."""
        return self._head

    @cached_property
    def _explainer(self) -> Explainer:
        from nlptl.inference.explanation import explainer_of

        return explainer_of(self._artifact, self._runtime)

    def _added(
        self, probabilities: np.ndarray, scope: np.ndarray | None, all_scores: bool, decision: str | None
    ) -> dict[str, Any]:
        """The columns that predictions add to a table."""
        predictions = self.decide(probabilities, decision, scope)
        labels = [p.label if isinstance(p.label, str) else self.label_separator.join(p.label) for p in predictions]
        columns: dict[str, Any] = {"predicted": labels, "score": [round(p.score, 6) for p in predictions]}
        if scope is not None:
            columns["scope"] = scope.round(6)
        if all_scores:
            rounded = probabilities.astype(float).round(6)
            columns |= {f"score_{label}": rounded[:, i] for i, label in enumerate(self.labels)}
        return columns

    def _policy(self, decision: str | None) -> Decision:
        if decision is None:
            return self._head.decision
        if decision != "argmax":
            raise ConfigError(
                f"Unknown decision {decision!r}. Available: argmax, or none given for the run's own policy."
            )
        return most_probable(self._head.task.kind == "multi_label")

    def _reading(self, data: DataConfig | None) -> Reading:
        reading = reading_for(self._artifact, self._head, data)
        check_text_columns(reading.texts[0], self._head.task)
        return reading

    def _read(self, source: Path, reading: Reading) -> Iterator[tuple[pd.DataFrame, Prepared]]:
        """Each chunk of a file, and its texts as the predictor takes them."""
        columns: list[str] = []
        dialect = reading.dialect(source)
        chunks = read_chunks(source, encoding=dialect.encoding, delimiter=dialect.delimiter, quotes=dialect.quotes)
        for chunk in chunks:
            columns = columns or reading.text_columns(list(chunk.columns), str(source))
            pick_columns(chunk, columns, str(source), "--text-column")
            yield chunk, self._prepare(column_texts(chunk, columns))

    @staticmethod
    def _columns_of(table: pd.DataFrame, reading: Reading, origin: str) -> list[str]:
        columns = reading.text_columns(list(map(str, table.columns)), origin)
        pick_columns(table, columns, origin, "data=DataConfig(text_columns=[...])")
        return columns

    def __repr__(self) -> str:
        return f"Run({self.folder}, {self._name}, {test_result(self.metrics)})"

    def _repr_html_(self) -> str:
        title = f"{self._name}, {self._artifact.predictor.title}"
        return f"<b>{title}</b>{splits_html(self.metrics)}<code>{self.folder}</code>"


def load(run: str | Path, precision: str | None = None, progress: bool = True) -> Run:
    """Open a finished run for prediction; see `Run`."""
    with uncollected():  # the first run that is opened imports transformers
        return Run(run, precision, progress)
