"""A run that learns other data first: its sources in their order, then what `EncoderLearner` learns.

Supplementary training on an intermediate labelled task (Phang et al. 2018). The intermediate trainings lie in the run
folder below `via/`; each is a run or a pre-training of its own, so that an interrupted one goes on where it was.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar, Self

from nlptl.checkpoints import Checkpoint
from nlptl.config.run import RunConfig
from nlptl.data.loading import Splits
from nlptl.intermediate.interpolation import HEAD, Choice, Judge, choose, write_between
from nlptl.intermediate.sources import Learnt, learn_sources, sources_of
from nlptl.registry import MODES
from nlptl.runs.lineage import VIA, open_checkpoint
from nlptl.strategies.continued import KEEP
from nlptl.strategies.job import Learned, RunContext
from nlptl.strategies.pipeline import EncoderLearner
from nlptl.tasks import TaskSpec

log = logging.getLogger("nlptl")


@dataclass(frozen=True)
class ViaLearner(EncoderLearner):
    """An `EncoderLearner` whose checkpoint learns the sources first."""

    asked: RunConfig = field(kw_only=True)
    """What the run was asked for; `config` has the rest filled in."""
    told: tuple[dict[str, Any], ...] = ()
    """What was learned from each source, once it was."""
    tells_forgetting: ClassVar[bool] = False

    @classmethod
    def of(cls, config: RunConfig, tasks: list[TaskSpec]) -> Self:
        """Find the checkpoint and the sources, and fill every open setting.

        Raises:
            NlptlError: as `EncoderLearner.of`, or a source that is not there.
        """
        sources_of(config)
        plain = EncoderLearner.of(config, tasks)
        return cls(plain.config, plain.checkpoint, asked=config)

    def prepare(self, loaded: list[Splits], given: Any, folder: Path) -> ViaLearner:
        """Learn the sources; what they gave is the checkpoint of the learner to go on with."""
        checkpoint, told = self.checkpoint, list[dict[str, Any]]()
        for number, group in enumerate(sources_of(self.config), 1):
            home = folder / VIA / f"{number}-{group[0].name}"
            log.info(f"Via {', '.join(source.shown for source in group)}")
            learnt = learn_sources(self.config, group, checkpoint, home, loaded[0])
            checkpoint, entry = self._between(checkpoint, learnt, loaded, home)
            told.append(entry)
        if not told[-1][HEAD]:
            return replace(self, checkpoint=checkpoint, told=tuple(told))
        model = self.asked.model.model_copy(update={"head_start": KEEP})
        asked = self.asked.model_copy(update={"model": model, "checkpoint": checkpoint.name})
        going_on = EncoderLearner.of(asked, [splits.task for splits in loaded])
        return replace(self, config=going_on.config, checkpoint=checkpoint, told=tuple(told))

    def learn(self, context: RunContext, folder: Path) -> Learned:
        learned = super().learn(context, folder)
        return replace(learned, facts={**learned.facts, VIA: {"sources": list(self.told)}})

    def _between(
        self, before: Checkpoint, learnt: Learnt, loaded: list[Splits], home: Path
    ) -> tuple[Checkpoint, dict[str, Any]]:
        """The checkpoint between before and after a source, and what is told of it."""
        after = open_checkpoint(str(learnt.folder))
        share, has_head = self.config.via.interpolation, learnt.has_head and self._may_keep_a_head
        if share is None:
            judge = Judge.of(self.config, before, loaded[0], learnt.held_out)
            choice = choose(before, after, judge, learnt.folder if has_head else None)
        else:
            choice = Choice(share, keeps_head=has_head and share == 1)
        told = {**learnt.told, "interpolation": choice.share, HEAD: choice.keeps_head, "losses": choice.losses}
        if choice.keeps_head:
            return after, told
        if choice.share == 0:
            log.warning(
                f"What was learned from {learnt.told['source']} does not clearly help on rows that it did not see: it "
                "is left out, and the task is learned as if it were not there"
            )
            return before, told
        return write_between(before, after, choice.share, home / "encoder", learnt.told), told

    @property
    def _may_keep_a_head(self) -> bool:
        """Whether the task may be learned on from another head than the one that its own settings begin with."""
        open_start = self.asked.model.head_start is None and self.asked.strategy in (None, "fine_tune")
        return open_start and MODES.get(self.asked.mode).trains_encoder
