"""Probabilities that mean what they say: fitted on validation, saved with the run, applied wherever it predicts."""

from nlptl.evaluation.calibration.fitting import fit_calibration, open_calibration
from nlptl.evaluation.calibration.methods import UNCALIBRATED, Calibration
from nlptl.evaluation.calibration.temperature import fit_temperature

__all__ = ["UNCALIBRATED", "Calibration", "fit_calibration", "fit_temperature", "open_calibration"]
