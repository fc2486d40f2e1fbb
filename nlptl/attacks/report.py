"""What a finished run loses under each attack, and what it loses where a normaliser undoes the attack first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from nlptl.attacks.measures import Answers, measured
from nlptl.config.data import DataConfig
from nlptl.data.attacked_copies import attacked
from nlptl.data.loading import label_targets, load_labelled
from nlptl.data.normalising.normaliser import COLUMNS, NONE, check, normalised
from nlptl.errors import ConfigError, DataError
from nlptl.evaluation.significance import WORSE, Difference, corrected
from nlptl.inference.labelled import labelled_rows
from nlptl.inference.predictor import Run
from nlptl.registry import ATTACKS
from nlptl.runs.artifact import Head, head_folder

CLEAN = "as written"
PRIMARY = ("recall_at_1_percent", "macro_f1")
"""The measure that a sentence tells of: the first that the task has."""


@dataclass(frozen=True)
class RobustnessReport:
    """Points lost per attack, each beside the same rows as they were written."""

    run: str
    task: str
    rows_measured: int
    rows_attacked: int
    positive: str | None
    """Label of the rows that are attacked; None: all are."""
    normaliser: str
    """The run's own."""
    beside: str | None
    """The normaliser that the run is asked through as well; None: no other than its own."""
    seed: int
    rows: list[dict[str, Any]]
    """One for each attack, without and with `beside`: attack, normaliser, share of texts changed and, for each measure,
    its value, points lost (`lost`), half the width of the 95 % interval (`margin`), p after Holm's correction, and
    `outcome`."""

    @property
    def measure(self) -> str:
        """The measure that matters most: recall at 1 % of negatives flagged, or macro F1 without a positive label."""
        return next(name for name in PRIMARY if name in self.rows[0])

    def lost(self, attack: str, normaliser: str | None = None, measure: str | None = None) -> float:
        """Points lost, of 100.

        Args:
            attack: its name, or `as written`.
            normaliser: None for the run's own.
            measure: None for the one that matters most.
        """
        wanted = (attack, normaliser or self.normaliser)
        row = next(row for row in self.rows if (row["attack"], row["normaliser"]) == wanted)
        return float(row[measure or self.measure]["lost"])

    @property
    def sentences(self) -> list[str]:
        """What was found, in words."""
        name = self.measure.replace("_", " ").replace("1 percent", f"1 % of other rows than {self.positive} flagged")
        found = [row for row in self.rows if row["normaliser"] == self.normaliser and row["attack"] != CLEAN]
        hurt = [row for row in found if row[self.measure]["outcome"] == WORSE]
        worst = max(found, key=lambda row: row[self.measure]["lost"])
        said = [
            f"{len(hurt)} of {len(found)} attacks clearly cost {name}"
            + (f"; most: {worst['attack']}, {worst[self.measure]['lost']:.1f} points." if hurt else ".")
        ]
        if self.beside is not None:
            rows = [row for row in self.rows if row["normaliser"] == self.beside]
            still = [row["attack"] for row in rows if row[self.measure]["outcome"] == WORSE and row["attack"] != CLEAN]
            clean = next(row[self.measure]["lost"] for row in rows if row["attack"] == CLEAN)
            costs = f"; texts as they were written lose {clean:.1f} points by it"
            said.append(
                f"With data.normaliser={self.beside} in front, {len(still)} do"
                + (f" ({', '.join(still)})" if still else "")
                + f"{costs}. A run that is trained with it may do better."
            )
        return said

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {**vars(self), "measure": self.measure, "sentences": self.sentences}


def measure_robustness(
    run: Run,
    source: Any = None,
    task: str | None = None,
    attacks: Sequence[str] | None = None,
    normaliser: str | None = None,
    most: int | None = 2000,
    seed: int = 0,
    data: DataConfig | None = None,
) -> RobustnessReport:
    """Answer the same rows as they were written and under each attack.

    Where the task has a positive label, rows of that label alone are attacked, since nobody hides an honest message.

    Args:
        run: an encoder's or a baseline.
        source: labelled rows, as `Run.evaluate` takes them; None: the run's own test rows.
        task: of a run of several tasks.
        attacks: names in the registry ATTACKS; None: all of them.
        normaliser: what the run is asked through besides, without being trained anew; None: `confusables`, or nothing
            else where that is the run's own; `none`: nothing else.
        most: the largest number of rows that are used, drawn with the seed; None: all.
        seed: of the draw and of the attacks.
        data: how rows are read, as `Run.evaluate` takes it.

    Raises:
        ConfigError: an unknown attack or normaliser, or a run of several tasks and none is named.
        DataError: the rows cannot be used.
        MissingExtraError: the normaliser's package is not installed.
    """
    names = sorted(ATTACKS) if attacks is None else list(dict.fromkeys(attacks))
    if not names:
        raise ConfigError(f"No attack is named. Available: {', '.join(sorted(ATTACKS))}.")
    for name in names:
        ATTACKS.check(name)
    own = run.artifact.config.data.normaliser
    beside = "confusables" if normaliser is None and own != "confusables" else normaliser
    beside = None if beside in (None, NONE, own) else beside
    if beside is not None:
        check(beside)
    head = run.artifact.head(task)
    chosen = run if task is None else run.task(task)
    frame = _rows(run, head, source, data, most, seed)
    asked = _Asked(chosen, head, frame)
    changed = {CLEAN: frame, **{name: asked.attacked(name, seed) for name in names}}
    found: list[dict[str, Any]] = []
    clean: Answers | None = None
    for form in [own, *([beside] if beside else [])]:
        for name, rows in changed.items():
            answers = asked.answers(rows if form == own else normalised(rows, form))
            clean = clean or answers
            found.append(_row(name, form, asked.changed(rows), measured(answers, clean)))
    return RobustnessReport(
        str(run.folder),
        head.task.name,
        len(frame),
        int(asked.targeted.sum()),
        head.task.positive_label,
        own,
        beside,
        seed,
        _corrected(found),
    )


@dataclass(frozen=True)
class _Asked:
    """A run, and the rows that it is asked about."""

    run: Run
    head: Head
    frame: pd.DataFrame
    known: dict[Any, tuple[np.ndarray, Any]] = field(default_factory=dict)
    """Text -> probabilities (C,) and decided label: most texts are asked about under every attack."""

    @property
    def targets(self) -> np.ndarray:
        return label_targets(self.frame, self.head.task.label_list())

    @property
    def positive(self) -> np.ndarray | None:
        name = self.head.task.positive_label
        if name is None:
            return None
        place, targets = self.head.task.label_list().index(name), self.targets
        return np.asarray(targets[:, place] > 0.5 if targets.ndim == 2 else targets == place)

    @property
    def targeted(self) -> np.ndarray:
        """(rows,) those that somebody would hide."""
        return np.ones(len(self.frame), bool) if self.positive is None else self.positive

    def attacked(self, name: str, seed: int) -> pd.DataFrame:
        """The rows, those that somebody would hide under an attack."""
        rows, places = self.frame.copy(), np.flatnonzero(self.targeted)
        for column in (column for column in COLUMNS if column in rows):
            texts = rows[column].to_numpy(dtype=object, copy=True)
            texts[places] = attacked(list(texts[places]), name, seed)
            rows[column] = texts
        return rows

    def changed(self, rows: pd.DataFrame) -> float:
        """Share of the rows to hide whose text the attack changed."""
        columns = [column for column in COLUMNS if column in rows]
        return float((rows[columns] != self.frame[columns]).any(axis=1)[self.targeted].mean())

    def answers(self, rows: pd.DataFrame) -> Answers:
        """What the run says of these rows."""
        columns = [column for column in COLUMNS if column in rows]
        texts = list(rows[columns].itertuples(index=False, name=None)) if len(columns) > 1 else list(rows["text"])
        new = list(dict.fromkeys(text for text in texts if text not in self.known))
        said = self.run.answer(new)
        decided = [prediction.label for prediction in said.predictions]
        self.known.update(zip(new, zip(said.probabilities, decided, strict=True), strict=True))
        probabilities, targets = np.stack([self.known[text][0] for text in texts]), self.targets
        several = targets.ndim == 2
        predicted = (probabilities >= 0.5).astype(np.float32) if several else probabilities.argmax(1)
        answers = Answers(targets, predicted)
        name = self.head.task.positive_label
        if name is None:
            return answers
        labels = [self.known[text][1] for text in texts]
        flagged = np.array([name in label if isinstance(label, list) else label == name for label in labels])
        scores = probabilities[:, self.head.task.label_list().index(name)]
        return replace(answers, flagged=flagged, scores=scores, positive=self.positive)


def _rows(run: Run, head: Head, source: Any, data: DataConfig | None, most: int | None, seed: int) -> pd.DataFrame:
    if source is None:
        file = head_folder(run.folder, head.task.name, len(run.artifact.heads)) / "predictions.csv"
        if not file.is_file():
            raise DataError(f"{run.folder} holds no test rows (predictions.csv). Give labelled rows: --data FILE.")
        columns = ["text", "text_pair"][: len(head.task.text_columns)]
        source, data = (
            Path(file),
            DataConfig(text_columns=columns, label_column="label", label_map={}, encoding="utf-8"),
        )
    rows, reading = labelled_rows(run.artifact, head, source, data)
    frame, _ = load_labelled(rows, head.task, reading.data)
    if most is not None and len(frame) > most:
        frame = frame.sample(most, random_state=seed).sort_index()
    name = head.task.positive_label
    if (
        name is not None
        and not frame["label"].map(lambda label: name in label if isinstance(label, list) else label == name).any()
    ):
        raise DataError(f"None of the {len(frame)} rows has the label {name!r}, whose texts would be attacked.")
    return frame.reset_index(drop=True)


def _row(attack: str, normaliser: str, changed: float, found: dict[str, tuple[float, Difference]]) -> dict[str, Any]:
    return {"attack": attack, "normaliser": normaliser, "changed": changed, **found}


def _corrected(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows in plain values; p of all attacks side by side after Holm's correction, measure by measure."""
    measures = [name for name, value in rows[0].items() if isinstance(value, tuple)]
    for name in measures:
        values = [row[name][0] for row in rows]
        for row, value, each in zip(rows, values, corrected([row[name][1] for row in rows]), strict=True):
            row[name] = {
                "value": value,
                "lost": -100 * each.mean,
                "margin": None if each.margin is None else 100 * each.margin,
                "p": each.p,
                "outcome": each.outcome,
            }
    return rows
