"""RunConfig: everything that a run is, in one record that YAML, flags and Python all feed.

A setting whose default is None takes the task's default for the chosen mode, else the mode's own; `resolved`
puts them in, so that the `run.yaml` of a finished run states every value that was used.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator

from nlptl.config.data import DataConfig
from nlptl.config.model import LoraSettings, ModelConfig, ProbeConfig
from nlptl.config.records import NOTHING, Record, validate
from nlptl.config.runtime import RuntimeConfig
from nlptl.config.strategies import (
    AdaptationConfig,
    ContrastiveConfig,
    DistillationConfig,
    MultiTaskConfig,
    SoupConfig,
    ViaConfig,
)
from nlptl.config.training import ResolvedTraining, TrainingConfig
from nlptl.errors import unknown
from nlptl.registry import SCORERS, STRATEGIES

AUTO, PROBABILITY = "auto", "probability"
"""Values of `decision.scorer` beside the names of scorers."""


def check_scorer(name: str) -> str:
    """A value of `decision.scorer`.

    Raises:
        ValueError: there is no such scorer.
    """
    if name not in (AUTO, PROBABILITY, *SCORERS):
        raise ValueError(unknown("decision.scorer", name, [AUTO, PROBABILITY, *SCORERS]))
    return name


class BaselineConfig(Record):
    """A classical model on TF-IDF vectors instead of a checkpoint, as the control that transfer has to beat."""

    model: str | None = None
    """decision_tree, knn, linear_svm, logistic_regression or naive_bayes. None: train an encoder."""
    features: list[Literal["words", "words_characters", "frequent_words"]] | None = Field(default=None, min_length=1)
    """Kinds of features to choose from on validation. None: the model's own choice."""
    compare: bool = Field(default=False, json_schema_extra=NOTHING)
    """Once a checkpoint is trained, fit every baseline on the same rows, and report the difference to the best."""


Calibrations = Literal["auto", "none", "temperature", "vector", "isotonic"]


class DecisionConfig(Record):
    """How probabilities are calibrated and answers decided, where it is not as the task says.

    Of each setting, None means: as the task says.
    """

    policy: str | None = None
    """argmax, threshold, precision, recall, alerts, cost, out_of_scope, abstain or conformal."""
    calibration: Calibrations | None = None
    """What makes probabilities of logits, fitted on validation: temperature (one number), vector (two for each label),
    isotonic (a rising step function for each label), none. auto: temperature, where validation has 20 rows."""
    label: str | None = None
    """out_of_scope: the label given to texts below the cut-off. abstain: that of texts without an answer."""
    reject: Literal["auto", "always", "never"] | None = None
    """out_of_scope: whether unsure texts are sent out of scope. auto: where validation has rows of that label, which
    show what it finds and costs; else the most probable label is the answer."""
    keep: Annotated[float, Field(gt=0, lt=1)] | None = None
    """out_of_scope: share of validation's in-scope rows that are to stay in scope."""
    scorer: str | None = None
    """out_of_scope: what is compared with the cut-off: probability, that of the most probable label; a scorer
    (combined, energy, knn, mahalanobis, max_logit, max_softmax, out_of_scope_class, relative_mahalanobis); or auto, the
    one that is best on half of validation's rows."""
    floor: Annotated[float, Field(gt=0, lt=1)] | None = None
    """precision, recall: of the positive label. abstain: share of the answers that is to be right."""
    confidence: Annotated[float, Field(gt=0, lt=1)] | None = None
    """precision, recall, alerts, abstain: probability that what was asked for holds on new rows."""
    alerts_per_thousand: Annotated[float, Field(gt=0, lt=1000)] | None = None
    """alerts: texts of a thousand that may get the positive label."""
    costs: dict[str, Annotated[float, Field(allow_inf_nan=False)]] | None = None
    """cost: of answers, as GOLD>ANSWER; a mistake that is not named costs 1."""
    coverage: Annotated[float, Field(gt=0, lt=1)] | None = None
    """conformal: share of sets that hold the true label."""
    sets: Literal["lac", "aps", "raps"] | None = None
    """conformal: lac, the smallest sets; aps, wider for harder texts; raps, aps without long sets."""

    @field_validator("scorer")
    @classmethod
    def _known(cls, name: str | None) -> str | None:
        return None if name is None else check_scorer(name)


class RunConfig(Record):
    """All that a run is. `nlptl train --config RUN/run.yaml` repeats it."""

    task: str
    """Name of a registered task, or several with + between them."""
    mode: str = "full"
    """full, lora or feature_extraction; `baseline` in the run.yaml of a baseline, which trains no encoder."""
    strategy: str | None = None
    """fine_tune, contrastive, soup, distillation or domain_adaptation. None: contrastive in mode full with `data.shots`
    up to 50 and one label per text, else fine_tune."""
    checkpoint: str | None = None
    """A checkpoint's name, a Hub id (optionally `id@revision`), or a folder: of a checkpoint, a pre-training, or a
    finished run, whose encoder it then is. None: the task's."""
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    output: str | None = Field(default=None, json_schema_extra=NOTHING)
    """The run folder. None: `runs/TASK-METHOD-DATE-TIME`."""
    tasks_dir: str | None = None
    """A folder with the user's own tasks."""
    data: DataConfig = DataConfig()
    model: ModelConfig = ModelConfig()
    baseline: BaselineConfig = BaselineConfig()
    decision: DecisionConfig = DecisionConfig()
    lora: LoraSettings = LoraSettings()
    probe: ProbeConfig = ProbeConfig()
    training: TrainingConfig = TrainingConfig()
    contrastive: ContrastiveConfig = ContrastiveConfig()
    soup: SoupConfig = SoupConfig()
    distillation: DistillationConfig = DistillationConfig()
    multi_task: MultiTaskConfig = MultiTaskConfig()
    adaptation: AdaptationConfig = AdaptationConfig()
    via: ViaConfig = ViaConfig()
    runtime: RuntimeConfig = RuntimeConfig()

    @field_validator("strategy")
    @classmethod
    def _known(cls, name: str | None) -> str | None:
        if name is not None and name not in STRATEGIES:
            raise ValueError(unknown("strategy", name, STRATEGIES))
        return name

    @property
    def method(self) -> str:
        """What learns: the mode, or the baseline's model."""
        return self.baseline.model or self.mode

    def with_baseline(self, model: str) -> RunConfig:
        """A copy for a baseline."""
        return self.model_copy(update={"baseline": self.baseline.model_copy(update={"model": model})})

    def resolved(self, *layers: Mapping[str, Any]) -> ResolvedRun:
        """The settings of a run that trains an encoder, none that it reads left open.

        Args:
            layers: dotted key -> value, most specific first (the task's defaults before the mode's): an open setting
                takes its value from the first layer that has one.

        Raises:
            ConfigError: a value is refused, or a setting stays open.
        """
        return validate(ResolvedRun, self._filled(layers), "The resolved configuration")

    def resolved_baseline(self, *layers: Mapping[str, Any]) -> ResolvedBaselineRun:
        """As `resolved`, for a baseline: settings of encoders and their training stay open."""
        return validate(ResolvedBaselineRun, self._filled(layers), "The resolved configuration")

    def _filled(self, layers: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
        values = self.model_dump()
        for layer in layers:
            for key, value in layer.items():
                section, _, name = key.rpartition(".")
                home = values[section] if section else values
                if home[name] is None:
                    home[name] = value
        return values


class ResolvedModel(ModelConfig):
    """`model` with every open setting filled."""

    pooling: Literal["cls", "mean", "unit_mean"]
    dropout: Annotated[float, Field(ge=0, lt=1)]
    head_start: Literal["probe", "random", "keep"]


class ResolvedAdaptation(AdaptationConfig):
    """`adaptation` with its method."""

    method: Literal["coral", "mmd", "dann", "self_training", "coral_self_training", "none"]


class ResolvedRun(RunConfig):
    """What a run that trains an encoder was trained with; `run.yaml` holds it."""

    strategy: str
    checkpoint: str
    model: ResolvedModel
    training: ResolvedTraining
    adaptation: ResolvedAdaptation


class ResolvedBaseline(BaselineConfig):
    """`baseline` with model and features."""

    model: str
    features: list[Literal["words", "words_characters", "frequent_words"]] = Field(min_length=1)


class ResolvedBaselineTraining(TrainingConfig):
    """`training` as far as a baseline reads it."""

    refit: bool


class ResolvedBaselineRun(RunConfig):
    """What a baseline was fitted with; `run.yaml` holds it."""

    baseline: ResolvedBaseline
    training: ResolvedBaselineTraining
