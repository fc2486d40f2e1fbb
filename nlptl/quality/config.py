"""What an inspection is asked for."""

from __future__ import annotations

from nlptl.errors import ConfigError, unknown

PROBE = "probe"
FOLDS_FROM = {
    PROBE: "a linear probe on the frozen encoder",
    "lora": "adapters trained on the other folds",
    "full": "an encoder fine-tuned on the other folds",
}
"""What answers a fold."""


def check_folds_from(name: str) -> None:
    """Raise for a name that there is not.

    Raises:
        ConfigError: lists those there are.
    """
    if name not in FOLDS_FROM:
        raise ConfigError(unknown("model of the folds", name, FOLDS_FROM))
