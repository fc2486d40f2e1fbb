"""How a run's calibration is fitted, and opened again from `calibration.json`."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from nlptl.errors import ArtifactError, unknown
from nlptl.evaluation.calibration.methods import METHODS, UNCALIBRATED, Calibration

FEWEST = {"temperature": 20, "vector": 20, "isotonic": 20}
"""Validation rows for each number that is fitted: one in all, or one for each label."""


def fit_calibration(asked: str, logits: np.ndarray, targets: np.ndarray) -> Calibration:
    """Fit on validation; where that has too few rows, nothing is calibrated, and a note says so.

    Args:
        asked: none, temperature, vector, isotonic, or auto for temperature.
        logits: (N, C) float32 of validation rows.
        targets: (N,) label ids, or (N, C) 0/1 for several labels at once.
    """
    name = "temperature" if asked == "auto" else asked
    if name == "none":
        return UNCALIBRATED
    needed = FEWEST[name] * (1 if name == "temperature" else logits.shape[1])
    if len(targets) < needed:
        note = (
            f"Probabilities are not calibrated: validation has {len(targets)} of the {needed} rows that fitting "
            f"{name} needs."
        )
        return replace(UNCALIBRATED, note=note)
    return METHODS[name].fit(logits, targets)


def open_calibration(values: dict[str, Any]) -> Calibration:
    """The calibration that a `calibration.json` describes.

    Raises:
        ArtifactError: it describes none.
    """
    name = values.get("method")
    if not isinstance(name, str) or name not in METHODS:
        raise ArtifactError(f"calibration.json is damaged: {unknown('calibration', str(name), METHODS)}")
    return METHODS[name].from_json(values)
