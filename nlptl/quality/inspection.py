"""Inspecting labelled rows: which labels are likely wrong, which rows stand there twice, what lies far off."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from nlptl.config.run import RunConfig
from nlptl.quality.config import PROBE, check_folds_from
from nlptl.quality.confusions import Confusion, confused_pairs
from nlptl.quality.findings import findings_of, table_of
from nlptl.quality.folds import Folds, make_folds, out_of_fold, probes
from nlptl.quality.near_duplicates import MEANING, NEARLY, SAME, Duplicates, find_duplicates
from nlptl.quality.outliers import far_out, neighbour_distances
from nlptl.quality.rows import Rows, column_values, embeddings, read_rows
from nlptl.quality.slices import Slice, column_groups, length_groups, measure_slices, script_of
from nlptl.quality.tuned_folds import tuned
from nlptl.quality.writing import write_inspection
from nlptl.quality.wrong_labels import Verdicts, judge, need_cleanlab
from nlptl.tasks import SPLITS

log = logging.getLogger("nlptl")
ROUNDS = {PROBE: 2}
"""Of flagging and learning without the flagged rows; one where each costs trainings."""


@dataclass(frozen=True, repr=False)
class Inspection:
    """What was found in the rows of a task."""

    rows: Rows
    vectors: np.ndarray
    """(N, H) embeddings of the texts."""
    folds: Folds
    verdicts: Verdicts
    duplicates: Duplicates
    distances: np.ndarray
    """(N,) mean cosine distance of each text to its nearest ones."""
    outliers: np.ndarray
    """Rows that are far from all others, the farthest first."""
    confusions: list[Confusion]
    """Pairs of label ids."""
    slices: list[Slice]
    folds_from: str
    findings: pd.DataFrame
    """A row for each row of the data that is worth a look: what `to-correct.csv` holds."""

    @property
    def wrong_labels(self) -> pd.DataFrame:
        """Of the findings, the likely wrong labels, the likeliest first."""
        return self.findings[self.findings["suggested_label"] != ""].reset_index(drop=True)

    @property
    def not_checked(self) -> dict[str, int]:
        """Labels with too few different texts to check their rows, and how many they have."""
        return {self.rows.labels[label]: count for label, count in self.folds.rare.items()}

    @property
    def accuracy(self) -> float:
        """Share of the checked rows whose label is the most probable one out of fold."""
        return float((self.verdicts.suggested == self.folds.targets).mean())

    @property
    def duplicate_counts(self) -> dict[str, dict[str, int]]:
        """Kind of likeness -> places (`train`, `train and test`, ...) -> pairs of rows; and those of two labels."""
        splits, labels = self.rows.frame["split"].to_numpy(), self.rows.targets
        counts: dict[str, dict[str, int]] = {kind: {} for kind in (SAME, NEARLY, MEANING)}
        for pair in self.duplicates.pairs:
            found = sorted({splits[pair.first], splits[pair.second]}, key=SPLITS.index)
            places = [" and ".join(found)]
            if labels[pair.first] != labels[pair.second]:
                places.append("with two labels")
            for place in places:
                counts[pair.kind][place] = counts[pair.kind].get(place, 0) + 1
        return counts

    @property
    def sentences(self) -> list[str]:
        """What was found, in words."""
        return _sentences(self)

    def __repr__(self) -> str:
        return f"Inspection({self.rows.task.name}: {' '.join(self.sentences[:1])})"

    def write(self, folder: str | Path) -> Path:
        """Write `to-correct.csv` and `inspection.json` into a folder.

        Returns:
            The path of `to-correct.csv`.

        Raises:
            DataError: there is a `to-correct.csv` already, which may have been filled in.
        """
        return write_inspection(self.findings, self.to_json(), folder)

    def to_json(self) -> dict[str, Any]:
        """Everything as JSON values."""
        names = self.rows.labels
        return {
            "task": self.rows.task.name,
            "rows": self.rows.splits.sizes(),
            "checked": len(self.folds.checked),
            "not_checked": self.not_checked,
            "folds_from": self.folds_from,
            "out_of_fold_accuracy": self.accuracy,
            "temperature": self.verdicts.temperature,
            "sentences": self.sentences,
            "confused_labels": [
                {**pair._asdict(), "first": names[pair.first], "second": names[pair.second]} for pair in self.confusions
            ],
            "duplicates": self.duplicate_counts,
            "near_duplicates_searched": self.duplicates.searched,
            "pairs": [
                {
                    "first": first,
                    "second": second,
                    "kind": pair.kind,
                    "cosine": round(pair.cosine, 4),
                    "labels": [names[self.rows.targets[pair.first]], names[self.rows.targets[pair.second]]],
                }
                for pair in self.duplicates.pairs
                for first, second in [self.rows.places(np.array([pair.first, pair.second]))]
            ],
            "slices": [
                {**each._asdict(), "interval": list(each.interval or ()), "against": each.against.noted()}
                for each in self.slices
            ],
            "findings": table_of(self.findings),
        }


def inspect_config(
    config: RunConfig, given: Any = None, folds_from: str = PROBE, slices: Sequence[str] = ()
) -> Inspection:
    """Inspect the rows that a configuration names; see `nlptl.inspect`.

    Raises:
        NlptlError: a task, data, checkpoint or column cannot be used, or cleanlab is not installed.
    """
    check_folds_from(folds_from)
    need_cleanlab()
    rows = read_rows(config, given)
    for warning in rows.splits.audit.warnings:
        log.warning(warning)
    columns = column_values(config, rows, list(slices), given)
    vectors = embeddings(config, rows)
    duplicates = find_duplicates(rows, vectors)
    folds = make_folds(rows.targets, duplicates.groups, rows.labels, config.seed)
    path = list(config.probe.regularisation)
    learn = probes(vectors[folds.checked], path) if folds_from == PROBE else tuned(config, rows, folds_from)
    verdicts = judge(partial(out_of_fold, folds, learn), folds.targets, ROUNDS.get(folds_from, 1))
    distances = neighbour_distances(vectors, duplicates.groups)
    outliers, _ = far_out(distances)
    texts = [rows.texts[row] for row in folds.checked]
    groups = {"length": length_groups(texts), "script": [script_of(text) for text in texts]}
    groups |= {name: column_groups([cells[row] for row in folds.checked]) for name, cells in columns.items()}
    return Inspection(
        rows,
        vectors,
        folds,
        verdicts,
        duplicates,
        distances,
        outliers,
        _renumbered(confused_pairs(verdicts.suggested, folds.targets, len(folds.labels)), folds.labels),
        measure_slices(verdicts.suggested == folds.targets, groups),
        folds_from,
        findings_of(rows, folds, verdicts, duplicates, outliers, distances),
    )


def _renumbered(pairs: list[Confusion], labels: list[int]) -> list[Confusion]:
    return [pair._replace(first=labels[pair.first], second=labels[pair.second]) for pair in pairs]


def _sentences(found: Inspection) -> list[str]:
    frame, wrong = found.rows.frame, found.wrong_labels
    checked = len(found.folds.checked)
    by_split = wrong["split"].value_counts()
    parts = [f"{split} {by_split[split]}" for split in SPLITS if by_split.get(split)]
    said = [
        f"{len(wrong)} of {checked} checked labels are likely wrong ({100 * len(wrong) / checked:.1f}%)"
        + (f": {', '.join(parts)}." if parts else ".")
    ]
    if by_split.get("test"):
        said.append(
            "Those of test rows are said apart: each correction there changes what all runs are measured on, so "
            "correct them before runs are compared, never because of what a run answers."
        )
    if found.not_checked:
        listed = ", ".join(f"{name} ({count})" for name, count in list(found.not_checked.items())[:10])
        said.append(
            f"Not checked: the {len(frame) - checked} rows of {len(found.not_checked)} labels with too few different "
            f"texts, {listed}."
        )
    leaks = found.duplicates.across(frame["split"].to_numpy())
    if leaks:
        kinds = ", ".join(f"{sum(pair.kind == kind for pair in leaks)} {kind}" for kind in (SAME, NEARLY, MEANING))
        said.append(f"{len(leaks)} pairs of rows stand in two splits ({kinds}).")
    two = sum(counts.get("with two labels", 0) for counts in found.duplicate_counts.values())
    if two:
        said.append(f"{two} pairs of like texts have two different labels.")
    said += [f"{each.name} {each.value}: {_worse(each)}" for each in found.slices if each.against.outcome == "worse"]
    return said


def _worse(each: Slice) -> str:
    points = 100 * each.against.mean
    return f"accuracy {each.accuracy:.3f} out of fold, {points:+.1f} points against the other rows: worse."
