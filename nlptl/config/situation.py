"""What a run is, as far as it decides which settings have an effect; and a rule that says where some have none."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from nlptl.config.run import RunConfig

SECTION_OF_STRATEGY = {
    "contrastive": ("contrastive",),
    "soup": ("soup",),
    "distillation": ("distillation",),
    "domain_adaptation": ("adaptation",),
}
"""The sections that only one strategy reads. An outside strategy names those that it reads as `sections`."""
ALIGNING = ("coral", "mmd", "dann")


@dataclass(frozen=True)
class Situation:
    """What a run is, as far as it decides which settings have an effect."""

    config: RunConfig
    trains_encoder: bool
    """False: the encoder is frozen and its head is fitted without a training loop; also for a baseline."""
    has_adapters: bool
    """Whether the mode reads the section `lora`."""
    head_start: str
    """`probe` or `random`, as it will be resolved."""
    strategy: str
    sections: tuple[str, ...] = ()
    """The sections that the strategy reads, of those that not every strategy does."""
    method: str = "none"
    """The method of domain adaptation; `none` for other strategies."""
    several_tasks: bool = False
    decides_by: frozenset[str] = frozenset()
    """The settings `decision.*` that the decision policies of the tasks read."""
    crosses_domains: bool = False
    """Whether each of several domains is adapted to each other one (`nlptl adapt --domains`)."""

    @property
    def is_baseline(self) -> bool:
        """Whether a classical model is fitted, and no encoder is opened."""
        return self.config.baseline.model is not None

    @property
    def adapts(self) -> bool:
        """Whether there is a target domain."""
        return "adaptation" in self.sections

    @property
    def aligns(self) -> bool:
        """Whether a loss draws two domains together."""
        frozen = ("mmd", "dann")
        return self.method in ((*ALIGNING, "coral_self_training") if self.trains_encoder else frozen)

    @property
    def starts_from_probe(self) -> bool:
        """Whether the head that training starts from is a linear probe."""
        return self.head_start == "probe" and "contrastive" not in self.sections


@dataclass(frozen=True)
class Rule:
    """Settings that have an effect on some runs only."""

    keys: tuple[str, ...]
    """Dotted settings; `section.*` for all of a section."""
    applies: Callable[[Situation], bool]
    reason: str
    """Why they have none on the others; what stands in braces is filled with mode, strategy, method and baseline."""
    harmless: bool = False
    """True: it is left aside with a warning, since whoever compares modes or methods gives all of them the same
    settings: how training goes, where there is none; or a detail of another method. False: it is refused."""

    def covers(self, key: str) -> bool:
        """Whether the rule speaks of this setting."""
        return key in self.keys or f"{key.partition('.')[0]}.*" in self.keys

    def sentence(self, situation: Situation) -> str:
        """The reason, in terms of this run."""
        config = situation.config
        return self.reason.format(
            mode=config.mode, strategy=situation.strategy, method=situation.method, baseline=config.baseline.model
        )
