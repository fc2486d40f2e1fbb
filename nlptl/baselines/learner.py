"""A classical model as what a run learns by: the pipeline's counterpart of `EncoderLearner`."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from nlptl.baselines.bag_of_words import BagOfWords, TextVectors
from nlptl.baselines.models import Baseline
from nlptl.baselines.predictor import BaselinePredictor
from nlptl.baselines.tuning import Chosen, LabelledTexts, choose
from nlptl.config.run import ResolvedBaselineRun, RunConfig
from nlptl.data.loading import Splits
from nlptl.data.normalising.normaliser import check as check_normaliser
from nlptl.errors import ConfigError, LaunchError
from nlptl.registry import BASELINES
from nlptl.runs.artifact import Artifact
from nlptl.runs.saving import logit_difference
from nlptl.strategies.job import VERIFIED_ROWS, Answers, Learned, RunContext, tell_rows
from nlptl.tasks import TaskSpec
from nlptl.training.runtime import Runtime, local_runtime

log = logging.getLogger("nlptl")


@dataclass(frozen=True)
class BaselineLearner:
    """A classical model on TF-IDF vectors, tuned on validation."""

    config: ResolvedBaselineRun
    baseline: Baseline

    @classmethod
    def of(cls, config: RunConfig, tasks: list[TaskSpec]) -> BaselineLearner:
        """As `fitted_here`, where this process is the only one.

        Raises:
            LaunchError: several processes were launched.
            ConfigError: as `fitted_here`.
        """
        if int(os.environ.get("WORLD_SIZE", "1")) > 1:
            raise LaunchError(
                "A baseline is fitted in one process. Start it with `nlptl baseline`, without a launcher."
            )
        return cls.fitted_here(config, tasks)

    @classmethod
    def fitted_here(cls, config: RunConfig, tasks: list[TaskSpec]) -> BaselineLearner:
        """Find the model and fill the settings that it reads; it is fitted in this process, whatever others do.

        Raises:
            ConfigError: an unknown model, several tasks, or a setting that means nothing to the model.
            MissingExtraError: the normaliser needs a package that is not installed.
        """
        if len(tasks) > 1:
            raise ConfigError(f"{config.task} names {len(tasks)} tasks; a baseline takes one.")
        check_normaliser(config.data.normaliser)
        baseline: Baseline = BASELINES.get(config.method)
        resolved = config.resolved_baseline({"baseline.features": list(baseline.features), "training.refit": True})
        if resolved.training.class_weights == "balanced" and not baseline.weighs_labels:
            weighing = ", ".join(name for name in BASELINES if BASELINES.get(name).weighs_labels)
            raise ConfigError(
                f"training.class_weights balanced means nothing to {resolved.baseline.model}. Leave it out, or choose "
                f"one of: {weighing}."
            )
        return cls(resolved.model_copy(update={"mode": "baseline"}), baseline)

    @property
    def revision(self) -> None:
        """A classical model begins with nothing."""
        return None

    def prepare(self, loaded: list[Splits], given: Any, folder: Path) -> None:
        return None

    def complete(self, loaded: list[Splits]) -> list[Splits]:
        return loaded

    def start(self) -> Runtime:
        """One process, on the CPU."""
        return local_runtime("fp32", self.config.runtime.progress)

    def try_out(self, tasks: list[TaskSpec], runtime: Runtime) -> Runtime:
        """A classical model starts from nothing that could fail."""
        return runtime

    def learn(self, context: RunContext, folder: Path) -> Learned:
        """Tune on validation; with `training.refit` fit the chosen setting again on train and validation together."""
        frames, targets = context.part.splits.frames(), context.targets
        tell_rows(context)
        rows = {split: LabelledTexts(frames[split], targets[split]) for split in ("train", "validation")}
        with context.clock.measure("training"):
            chosen = self._tuned(context, rows)
            model = self._refitted(chosen, rows) if self.config.training.refit else chosen.model
        with context.clock.measure("evaluation"):
            answers = Answers(chosen.validation_logits, model.logits(frames["test"]))
        sample = frames["test"].head(VERIFIED_ROWS)
        return Learned(SavedBaseline(model, sample), [answers], _facts(chosen, model))

    def _tuned(self, context: RunContext, rows: dict[str, LabelledTexts]) -> Chosen:
        name, task = self.config.baseline.model, context.task
        chosen = choose(
            name,
            self.baseline,
            task,
            rows["train"],
            rows["validation"],
            self.config.baseline.features,
            self._balanced,
            self.config.seed,
            self.config.data.normaliser,
            lambda combinations: context.runtime.track(combinations, name, unit="setting"),
        )
        value = max(tried[task.metric] for tried in chosen.tried)
        setting = ", ".join(f"{key}={value}" for key, value in chosen.setting.items())
        log.info(
            f"{name}: {task.metric} {value:.4f} on validation with {chosen.features}, {setting} "
            f"({len(chosen.tried)} tried)"
        )
        return chosen

    def _refitted(self, chosen: Chosen, rows: dict[str, LabelledTexts]) -> BagOfWords:
        """The chosen setting on train and validation together; the temperature stays that of validation."""
        frame = pd.concat([rows["train"].frame, rows["validation"].frame], ignore_index=True)
        targets = np.concatenate([rows["train"].targets, rows["validation"].targets])
        vectors = TextVectors.fit(frame, chosen.features, self.config.data.normaliser)
        classes = chosen.validation_logits.shape[1]
        matrix = vectors.transform(frame)
        scorer = self.baseline.fit(matrix, targets, classes, chosen.setting, self._balanced, self.config.seed)
        return BagOfWords(vectors, scorer, chosen.model.name, chosen.model.temperature)

    @property
    def _balanced(self) -> bool:
        return self.config.training.class_weights == "balanced"


@dataclass(frozen=True)
class SavedBaseline:
    """A fitted classical model, as a run folder keeps it."""

    model: BagOfWords
    sample: pd.DataFrame
    """A few texts whose logits must be the same after reloading."""
    kind: ClassVar[str] = "baseline"

    def facts(self, folder: Path) -> dict[str, Any]:
        return {"model": self.model.name}

    def write(self, folder: Path) -> None:
        self.model.save(folder)

    def compare(self, reopened: Artifact) -> str | None:
        if not isinstance(reopened.predictor, BaselinePredictor):
            return f"a {type(reopened.predictor).__name__} in it"
        return logit_difference(self.model.logits(self.sample), reopened.predictor.model.logits(self.sample))


def _facts(chosen: Chosen, model: BagOfWords) -> dict[str, Any]:
    parameters = model.scorer.parameters
    return {
        "training": {"features": chosen.features, "setting": chosen.setting, "tried": chosen.tried},
        "model": {
            "baseline": model.name,
            "features": model.vectors.width,
            "temperature": model.temperature,
            "parameters": parameters,
            "trainable_parameters": parameters,
        },
        "runtime": {"device": "cpu", "precision": "fp32", "processes": 1},
    }
