"""What a finished run loses to texts that are written to get past it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nlptl.attacks.report import RobustnessReport, measure_robustness
from nlptl.config.data import DataConfig
from nlptl.config.keywords import settings_by_key
from nlptl.config.overrides import load_config
from nlptl.errors import joined
from nlptl.inference.predictor import Run, load


def robustness(
    run: str | Path | Run,
    *,
    data: Any = None,
    task: str | None = None,
    attacks: str | Sequence[str] | None = None,
    normaliser: str | None = None,
    rows: int | None = 2000,
    text_column: str | int | Sequence[str | int] | None = None,
    label_column: str | int | None = None,
    label_map: Mapping[Any, Any] | None = None,
    seed: int = 0,
) -> RobustnessReport:
    """Ask what a run loses under each attack, and with a normaliser in front; see `measure_robustness`.

    Args:
        run: a run folder, or the opened run: an encoder's or a baseline.
        data: labelled rows, as `Run.evaluate` takes them; None: the run's own test rows.
        task: of a run of several tasks.
        attacks: some of `nlptl.registry.ATTACKS`; None: all of them.
        normaliser: what the run is asked through besides: confusables (the default, where the run has another), nfkc,
            or none for the run alone.
        rows: the largest number of rows that are used, drawn with the seed; None: all.
        text_column, label_column, label_map: of the data, as `nlptl.train`; None: as in training.
        seed: of the draw and of the attacks.

    Returns:
        Points lost per attack with intervals, in `rows`; in words, in `sentences`.

    Raises:
        NlptlError: something asked for cannot be done; the message says what, and what to do.
    """
    opened = run if isinstance(run, Run) else load(run)
    keywords = {"text_column": text_column, "label_column": label_column, "label_map": label_map}
    values, faults = settings_by_key(keywords, None)
    if faults:
        raise joined("The call", faults)
    named = {key: value for key, value in values.items() if value is not None}
    reading: DataConfig | None = load_config(None, **{"task": "-", **named}).data if named else None
    chosen = [attacks] if isinstance(attacks, str) else attacks
    return measure_robustness(opened, data, task, chosen, normaliser, rows, seed, reading)
