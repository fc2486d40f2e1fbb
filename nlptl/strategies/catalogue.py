"""The transfer strategies for one task's classifier, by name; each module is imported when a run needs it."""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

from nlptl.errors import ConfigError
from nlptl.registry import MODES


@dataclass(frozen=True)
class Strategy:
    """A way to train one task's classifier."""

    home: str
    """Module with `learn(job, state) -> Trained`; not imported before a run needs it."""
    trains_encoder: bool = False
    """Whether it makes sense only in modes in which the encoder learns."""
    several_tasks: bool = False
    """Whether it can train several tasks on one encoder."""
    defaults: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Mode -> dotted RunConfig keys; they go before the mode's own defaults, after the user's and the task's."""
    needs: dict[str, str] = field(default_factory=dict)
    """Dotted RunConfig keys that must be given -> the sentence for one that is not."""

    def check_mode(self, name: str, mode: str) -> None:
        """Refuse a mode that this strategy cannot take.

        Raises:
            ConfigError: the mode freezes the encoder, and the strategy trains it; or there is no such mode.
        """
        if self.trains_encoder and not MODES.get(mode).trains_encoder:
            raise ConfigError(f"The strategy {name!r} trains the encoder; mode {mode!r} freezes it. Use --mode full.")

    def load(self) -> Any:
        """The function `learn` of its module."""
        return import_module(self.home).learn


FEW = 50


def usual_strategy(mode: str, shots: int | None, kind: str) -> str:
    """The strategy of a run that names none.

    Args:
        mode: of the run.
        shots: rows per label, where the run draws so many.
        kind: of the task; contrast needs one label per text.

    Raises:
        ConfigError: there is no such mode.
    """
    few = shots is not None and shots <= FEW and kind == "single_label"
    return str(MODES.get(mode).few_labels_strategy) if few else "fine_tune"


FINE_TUNE = Strategy("nlptl.strategies.fine_tune", several_tasks=True)
CONTRASTIVE = Strategy(
    "nlptl.strategies.contrastive",
    trains_encoder=True,
    defaults={"full": {"training.epochs": 6, "training.learning_rate": 2e-4}, "lora": {"training.epochs": 6}},
)
DISTILLATION = Strategy("nlptl.strategies.distillation", trains_encoder=True)
SOUP = Strategy("nlptl.strategies.soup", trains_encoder=True)
DOMAIN_ADAPTATION = Strategy(
    "nlptl.strategies.adaptation.domain_adaptation",
    needs={"data.target": "Domain adaptation needs texts of the target domain: --target FILE (data.target)."},
)
