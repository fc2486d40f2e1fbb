"""Changing the labels of a finished run."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd

from nlptl.config.keywords import suggests
from nlptl.data.given import is_path, table_of
from nlptl.data.loading import Splits
from nlptl.errors import ConfigError, DataError
from nlptl.evaluation.wording import evolution_sentences
from nlptl.evolution.changes import Changes, as_noted, checked
from nlptl.evolution.regression import regression
from nlptl.evolution.renaming import rename_labels
from nlptl.evolution.rows import NewRows, joined_rows
from nlptl.evolution.training import keep_rows, learns_encoder, train_on
from nlptl.inference.predictor import Run, load
from nlptl.runs.card import write_card
from nlptl.runs.reread import reread
from nlptl.storage.json_files import read_json, write_json
from nlptl.storage.paths import user_path
from nlptl.verbs.given_tables import labelled_texts_of, texts_of

log = logging.getLogger("nlptl")
KEPT = 50
"""Training rows of each old label that are learned again beside new ones."""


@suggests()
def evolve(
    run: str | Path | Run,
    output: str | Path | None = None,
    *,
    rename: Mapping[str, str] | None = None,
    merge: Mapping[str, Sequence[str]] | None = None,
    add: Mapping[str, Any] | Sequence[str] | str | None = None,
    data: Any = None,
    keep: int | None = None,
    training_data: Any = None,
    epochs: int | None = None,
    text_column: str | Sequence[str] | None = None,
    label_column: str | None = None,
    label_map: Mapping[str, str] | None = None,
) -> Run:
    """Change the labels of a finished run, and see what the old ones lose by it.

    The run stays as it is; a new one is written. Renaming trains nothing. Merging fits a head for the merged labels on
    the run's own training rows and goes on for an epoch. Adding goes on from the run's head, on the new rows and some
    old ones of each label. A frozen encoder's head and a baseline are fitted anew on all rows.

    Args:
        run: a run folder of one task, or the opened run.
        output: the new run folder. None: `runs/TASK-evolved-DATE-TIME`.
        rename: old name -> new name.
        merge: new label -> the old labels that become it.
        add: new label -> its texts (a file, a table or a list); or names of labels alone, whose rows are in `data`.
        data: labelled rows: of labels that are added, and more of old ones.
        keep: training rows that are learned again of each old label, drawn with the run's seed. None: 50 where labels
            are added to a run whose encoder learns, else all.
        training_data: where the run's data lie now, or the data themselves; None: where they lay in training.
        epochs: None: as the run was trained; one for merging.
        text_column, label_column, label_map: of `data` and the texts of `add`. None: as in training.

    Returns:
        The new run. `run.metrics["evolution"]` says what changed, and its `regression` how many test rows of the
        earlier run are right before and after, label by label (McNemar's exact test, Holm's correction).

    Raises:
        NlptlError: something asked for cannot be done; the message says what, and what to do.
    """
    opened = run if isinstance(run, Run) else load(user_path(run))
    if len(opened.tasks) > 1:
        raise ConfigError(f"{opened.folder} serves {len(opened.tasks)} tasks; labels change on runs of one task.")
    named = {} if add is None else dict.fromkeys([add] if isinstance(add, str) else add)
    changes = checked(opened.head.task, Changes(dict(rename or {}), dict(merge or {}), tuple(named)))
    folder = _output(opened, output)
    if changes.renamed:
        if data is not None:
            raise ConfigError("Renaming trains nothing, so data would have no effect. Leave it out.")
        if _is_first():
            write_card(rename_labels(opened.folder, changes, folder))
            log.info(evolution_sentences(read_json(folder / "metrics.json")["evolution"]))
        return load(folder)
    tables = add if isinstance(add, Mapping) else {}
    new = _new_rows(opened, tables, data, text_column, label_column, label_map)
    if new is not None:
        new.check(changes, opened.labels)
    elif changes.added:
        raise ConfigError(f"Give rows of {', '.join(changes.added)}: add={{label: texts}}, or data with labelled rows.")
    return _trained(opened, changes, new, folder, keep, training_data, epochs)


def _trained(
    opened: Run,
    changes: Changes,
    new: NewRows | None,
    folder: Path,
    keep: int | None,
    training_data: Any,
    epochs: int | None,
) -> Run:
    artifact, config = opened.artifact, opened.artifact.config
    grows = learns_encoder(config) and not changes.merged
    old = _old_rows(opened, training_data, needed=not grows or new is None)
    most = keep if keep is not None or not grows else KEPT
    frames, kept = joined_rows(new, old, changes, most, config.seed)
    train_on(artifact, changes, frames, folder, epochs)
    made = load(folder)
    if not _is_first():
        return made
    keep_rows(folder, frames)
    learned = pd.concat([frames["train"], frames["validation"]])
    facts = {
        "run": str(opened.folder),
        **as_noted(changes),
        "kept_rows": kept,
        "regression": regression(made, opened.folder, changes.names, learned),
    }
    write_json(folder / "metrics.json", {**read_json(folder / "metrics.json"), "evolution": facts})
    write_card(folder)
    tell = log.warning if facts["regression"].get("fell") else log.info
    tell(evolution_sentences(facts))
    return made


def _new_rows(
    opened: Run,
    tables: Mapping[str, Any],
    data: Any,
    text_column: Any,
    label_column: str | None,
    label_map: Mapping[str, str] | None,
) -> NewRows | None:
    """Rows of new labels and further ones of old labels; None where nothing is given."""
    parts = [texts_of(opened, those, text_column).assign(label=label) for label, those in tables.items()]
    if data is not None:
        parts.append(labelled_texts_of(opened, data, text_column, label_column, dict(label_map) if label_map else None))
    return NewRows(pd.concat(parts, ignore_index=True)) if parts else None


def _old_rows(opened: Run, data: Any, needed: bool) -> Splits | None:
    """What the run was made from; None where it cannot be had and is not needed, which is told."""
    source = str(data) if is_path(data) else None
    try:
        return reread(opened.folder, source, None if source or data is None else table_of(data))
    except DataError as error:
        if needed or data is not None:
            raise DataError(f"{error} Say where they lie now: --training-data") from error
        log.warning(f"{error} None of them are learned again.")
        return None


def _output(opened: Run, output: str | Path | None) -> Path:
    if output is not None:
        return user_path(output)
    return Path("runs") / f"{opened.head.task.name}-evolved-{datetime.now():%Y%m%d-%H%M%S}"


def _is_first() -> bool:
    return int(os.environ.get("RANK", "0")) == 0
