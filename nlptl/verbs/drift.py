"""Looking whether new texts are still like those that a run was measured on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nlptl.config.keywords import SETTING_OF, settings_by_key, suggests
from nlptl.config.overrides import load_config
from nlptl.inference.predictor import Run
from nlptl.monitoring.drift import Check, check_drift
from nlptl.monitoring.report import DriftReport
from nlptl.monitoring.samples import Samples
from nlptl.monitoring.verdict import Floors


@suggests()
def drift(
    run: str | Path | Run,
    new: Any,
    *,
    reference: Any = None,
    task: str | None = None,
    text_column: str | int | Sequence[str | int] | None = None,
    label_column: str | int | None = None,
    label_map: Mapping[Any, Any] | None = None,
    encoding: str | None = None,
    delimiter: str | None = None,
    rows: int = 5000,
    permutations: int = 999,
    smallest_auc: float = Floors.auc,
    smallest_change: float = Floors.change,
    precision: str | None = None,
    seed: int = 0,
) -> DriftReport:
    """Compare new texts with the held-out rows of a run: do texts differ, have scores moved, has accuracy fallen?

    The reference is the run's own test rows: those that it learned from would look different from any new text. Tests
    are a classifier two-sample test (Lopez-Paz & Oquab 2017) and MMD (Gretton et al. 2012) on the encoder's features,
    with p from permutations, Kolmogorov-Smirnov on the score of the decided label and chi-square on decided labels. A
    difference counts where p is below 0.05 after Holm's correction *and* the effect reaches its floor.

    Args:
        run: a run folder, or an open run.
        new: a file (CSV, TSV, JSONL, Parquet), a DataFrame, a `datasets.Dataset`, or texts in a list or Series.
        reference: likewise, held-out rows instead of the run's own test rows.
        task: which one, of a run of several tasks.
        text_column, label_map, encoding, delimiter: as `nlptl.train`; where not given, as the run was trained.
        label_column: measure the accuracy on the new rows' labels in this column as well.
        rows: of each side that are compared, drawn with the seed.
        permutations: of each permutation test.
        smallest_auc: of the classifier, below which texts do not count as different; 0.5 is chance.
        smallest_change: of scores and of the shares of labels, below which neither counts as moved.
        precision: as `nlptl.load`.
        seed: of draws, folds and permutations.

    Raises:
        NlptlError: something cannot be read or has too few rows; the message says what, and what to do.
    """
    opened = run if isinstance(run, Run) else Run(run, precision)
    opened = opened if task is None else opened.task(task)
    head = opened.artifact.head(task)
    keywords = {
        "text_column": text_column,
        "label_column": label_column,
        "label_map": label_map,
        "encoding": encoding,
        "delimiter": delimiter,
    }
    values, _ = settings_by_key(
        keywords, None, {**SETTING_OF, "encoding": "data.encoding", "delimiter": "data.delimiter"}
    )
    data = load_config(None, **{"task": head.task.name, **values}).data
    check = Check(rows, permutations, seed, Floors(smallest_auc, smallest_change))
    return check_drift(opened, Samples(opened.artifact, head, data), new, reference, label_column is not None, check)
