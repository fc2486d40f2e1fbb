"""No transfer: the checkpoint's architecture from random weights, as the control that shows what transfer is worth."""

from __future__ import annotations

from typing import Any

from nlptl.config.run import RunConfig
from nlptl.errors import ConfigError
from nlptl.registry import MODES

# Random weights need larger and more steps than those that only have to be bent; no layer knows more than another.
_DEFAULTS: dict[str, Any] = {
    "training.epochs": 20,
    "training.learning_rate": 3e-4,
    "training.head_learning_rate": 1e-3,
    "training.layer_decay": 1.0,
    "training.patience": 5,
    "model.dropout": 0.1,
    "model.head_start": "random",
}


def from_scratch_defaults(config: RunConfig) -> dict[str, Any]:
    """Dotted settings for `model.weights=random`, before those of the task and the mode, which mean a checkpoint's.

    Raises:
        ConfigError: a mode that keeps the checkpoint's weights, or a head fitted on what they make of a text.
    """
    if not MODES.get(config.mode).trains_every_weight:
        raise ConfigError(
            f"model.weights=random cannot be trained in mode {config.mode!r}, which keeps the encoder's weights "
            "as they are. Use --mode full."
        )
    if config.model.head_start == "probe":
        raise ConfigError(
            "model.head_start=probe fits the head on features of a trained encoder; with model.weights=random there "
            "is none. Leave it out."
        )
    return _DEFAULTS
