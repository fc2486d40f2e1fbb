"""Explaining the answers of a finished run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from nlptl.config.keywords import suggests
from nlptl.data.given import is_path, table_of
from nlptl.errors import ConfigError, DataError
from nlptl.explore.explained import Explained, words_by_label
from nlptl.explore.faithfulness import measure_faithfulness
from nlptl.explore.nearest import nearest_rows
from nlptl.inference.predictor import Run, load
from nlptl.inference.texts import Text
from nlptl.runs.reread import reread
from nlptl.storage.paths import user_path
from nlptl.verbs.given_tables import texts_of


@suggests()
def explain(
    run: str | Path | Run,
    texts: Text | Sequence[Text] | None = None,
    *,
    data: Any = None,
    rows: int = 200,
    label: str | None = None,
    task: str | None = None,
    nearest: int = 0,
    training_data: Any = None,
    faithfulness: bool = False,
    removed: int = 3,
    seed: int = 0,
    text_column: str | Sequence[str] | None = None,
) -> Explained:
    """Ask why a run answers texts as it does.

    Each word's share of a label's logit, by integrated gradients on the word embeddings (Sundararajan et al. 2017) or,
    for a linear baseline, by its terms; the words that speak most for each label; the training rows that the encoder
    sees nearest; and whether the named words decide, by removing them.

    Args:
        run: a run folder, or the opened run.
        texts: a text or several; pairs as (text, text_pair) tuples.
        data: a file or table of texts instead.
        rows: of `data` that are explained, drawn with the seed.
        label: whose logit; None: of each text, that of its decided label.
        task: which task of a multi-task run.
        nearest: training rows that are shown beside each text; they are read from the run's data again, and refused
            where these are no longer what the run was trained on.
        training_data: where the run's data lie now, or the data themselves; None: where they lay in training.
        faithfulness: whether to remove words and compare with random ones.
        removed: words of each text that are removed.
        seed: of the rows and of random words.
        text_column: of `data`; two for a task of pairs. None: as in training.

    Raises:
        NlptlError: something asked for cannot be done; the message says what, and what to do.
    """
    opened = run if isinstance(run, Run) else load(user_path(run))
    opened = opened if task is None else opened.task(task)
    items = _items(opened, texts, data, rows, seed, text_column)
    known = _training_rows(opened, training_data) if nearest else None
    made = opened.explain_each(items, label)
    return Explained(
        str(opened.folder),
        made,
        words_by_label(made),
        [] if known is None else nearest_rows(opened, items, known, nearest),
        measure_faithfulness(opened, made, removed, seed=seed) if faithfulness else None,
    )


def _items(opened: Run, texts: Any, data: Any, rows: int, seed: int, text_column: Any) -> list[Text]:
    """The texts to explain."""
    if (texts is None) == (data is None):
        raise ConfigError("Give the texts to explain, or data=FILE; one of them.")
    if texts is not None:
        if isinstance(texts, str) or (isinstance(texts, tuple) and opened.text_columns == 2 and len(texts) == 2):
            return [texts]
        return list(texts)
    frame = texts_of(opened, data, text_column)
    if frame.empty:
        raise DataError("There is no text to explain: the data hold no rows.")
    if len(frame) > rows:
        frame = frame.iloc[np.sort(np.random.default_rng([seed, 4]).permutation(len(frame))[:rows])]
    if opened.text_columns == 1:
        return list(frame["text"])
    return list(zip(frame["text"], frame["text_pair"], strict=True))


def _training_rows(opened: Run, data: Any) -> pd.DataFrame:
    opened.artifact.encoder  # noqa: B018  a baseline has none, which is said before anything is read
    source = str(data) if is_path(data) else None
    return reread(opened.folder, source, None if source or data is None else table_of(data)).train
