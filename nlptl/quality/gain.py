"""What correcting gave: the same training on the rows as they were and as they are corrected, on the same test rows."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from nlptl.config.run import RunConfig
from nlptl.data.files import TableWriter
from nlptl.data.loading import Splits, load_splits
from nlptl.errors import DataError
from nlptl.evaluation.significance import Difference, over_rows
from nlptl.evaluation.wording import correction_sentences
from nlptl.quality.corrections import Corrections, read_corrections
from nlptl.quality.rows import inspected_task, read_rows
from nlptl.runs.test_rows import rows_right
from nlptl.storage.json_files import read_json, write_json
from nlptl.storage.paths import user_path
from nlptl.strategies.pipeline import train
from nlptl.tasks import SPLITS, TaskSpec

log = logging.getLogger("nlptl")
BEFORE, AFTER = "before", "corrected"
FACTS = "gain.json"
OUTPUT = "corrected"


@dataclass(frozen=True)
class Gain:
    """Two runs of the same settings, and how they compare."""

    folder: Path
    """Holds the data and the run as they were (`before-data`, `before`) and corrected, and `gain.json`."""
    facts: dict[str, Any]
    """Rows relabelled and dropped by split, the metric of both runs, and the paired comparison."""

    @property
    def run(self) -> Path:
        """The run on the corrected rows."""
        return self.folder / AFTER

    @property
    def difference(self) -> Difference:
        """Accuracy after less before, on the same test rows."""
        return Difference.of_rows(self.facts["right"])

    @property
    def sentence(self) -> str:
        """The outcome in words."""
        return correction_sentences(self.facts)


def apply_config(config: RunConfig, corrections: str | Path, given: Any = None) -> Gain:
    """Train as configured on the rows as they are, and on the corrected ones; see `nlptl.apply_corrections`.

    Test rows are corrected for both runs, and rows that are dropped from test are dropped for both, so that they answer
    the same questions. Both data sets are written beside the runs, so that each can be repeated.

    Raises:
        NlptlError: the corrections do not fit the data, or something else cannot be used; nothing is trained then.
    """
    home = user_path(config.output or OUTPUT)
    if home.exists():
        raise DataError(f"{home} exists already. Choose another --output.")
    task = inspected_task(config)
    wanted = read_corrections(corrections, read_rows(config, given))
    splits = load_splits(task, config.data, config.seed, given)
    frames, counts, after = _frames(splits), {}, {}
    for split, frame in frames.items():
        after[split], counts[split] = wanted.applied(frame)
        if after[split].empty:
            raise DataError(f"All rows of {split} are dropped. Keep some.")
    _tell_unused(wanted, counts)
    before = {**frames, "test": after["test"]}
    folders = {}
    for name, rows in ((BEFORE, before), (AFTER, after)):
        data = _write_data(rows, task, home / f"{name}-data")
        log.info(f"Training on the rows {'as they were' if name == BEFORE else 'as corrected'}")
        folders[name] = train(_trained_on(config, data, home / name))
    right = {name: rows_right(folder) for name, folder in folders.items()}
    scores = {name: read_json(folder / "metrics.json")["test"][task.metric] for name, folder in folders.items()}
    facts = {
        "corrections": str(corrections),
        "counts": counts,
        "metric": task.metric,
        "scores": scores,
        "accuracy": {name: float(each.mean()) for name, each in right.items()},
        "right": over_rows(right[AFTER], right[BEFORE]).noted(),
    }
    write_json(home / FACTS, facts)
    return Gain(home, facts)


def _frames(splits: Splits) -> dict[str, pd.DataFrame]:
    return {name: frame for name, frame in splits.frames().items() if name in SPLITS}


def _tell_unused(wanted: Corrections, counts: dict[str, dict[str, int]]) -> None:
    done = sum(sum(each.values()) for each in counts.values())
    unused = len(wanted.labels) + len(wanted.dropped) - done
    if unused:
        log.warning(
            f"{unused} corrected rows are in no split of this training (leaks are left out), and change nothing"
        )


def _write_data(frames: dict[str, pd.DataFrame], task: TaskSpec, folder: Path) -> Path:
    """A file for each split, under the task's own columns, with the place that each row came from."""
    names = dict(zip(("text", "text_pair"), task.text_columns, strict=False)) | {"label": task.label_column}
    try:
        folder.mkdir(parents=True)
    except OSError as error:
        raise DataError(f"Cannot make the folder {folder}: {error.strerror or error}.") from error
    for split, frame in frames.items():
        kept = frame[[name for name in (*names, "file", "row") if name in frame]]
        with TableWriter(folder / f"{split}.csv") as writer:
            writer.write(kept.rename(columns={**names, "file": "from_file", "row": "from_row"}))
    return folder


def _trained_on(config: RunConfig, data: Path, output: Path) -> RunConfig:
    """The same settings on a folder of split files, whose rows were chosen already."""
    own: dict[str, Any] = {
        "source": str(data),
        "validation": None,
        "test": None,
        "split": None,
        "shots": None,
        "label_map": {},
    }
    read = {"text_columns": None, "label_column": None, "encoding": None, "delimiter": None, "quotes": None}
    section = config.data.model_copy(update={**own, **read})
    return config.model_copy(update={"data": section, "output": str(output)})
