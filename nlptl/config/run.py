"""RunConfig: everything that a run is, in one record that YAML, flags and Python all feed.

A setting whose default is None takes the task's default for the chosen mode, else the mode's own; `resolved`
puts them in, so that the `run.yaml` of a finished run states every value that was used.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from nlptl.config.data import DataConfig
from nlptl.config.records import NOT_FEATURES, NOTHING, Record, Size, validate
from nlptl.config.training import NonNegative, Positive, ResolvedTraining, TrainingConfig
from nlptl.errors import unknown
from nlptl.registry import STRATEGIES


class ModelConfig(Record):
    """How the checkpoint becomes a classifier."""

    pooling: Literal["cls", "mean", "unit_mean"] | None = None
    """How token states become one vector: the first one's, their mean, or their mean scaled to length 1. None: as the
    checkpoint was trained, and unit_mean instead of mean where the encoder stays frozen."""
    weights: Literal["pretrained", "random"] = "pretrained"
    """random: the checkpoint's architecture and tokenizer, but nothing of what it learned: the control that shows what
    transfer is worth. Mode full only."""
    max_length: Annotated[int, Field(ge=4)] = Field(default=256, json_schema_extra=NOT_FEATURES)
    """Tokens kept per text; never more than the checkpoint has positions."""
    dropout: Annotated[float, Field(ge=0, lt=1)] | None = Field(default=None, json_schema_extra=NOT_FEATURES)
    """Dropout inside the encoder and before the head. None: the mode's default."""
    head_start: Literal["probe", "random"] | None = Field(default=None, json_schema_extra=NOT_FEATURES)
    """Start the head from a linear probe on frozen features, or from noise. None: the mode's default."""


class BaselineConfig(Record):
    """A classical model on TF-IDF vectors instead of a checkpoint, as the control that transfer has to beat."""

    model: str | None = None
    """decision_tree, knn, linear_svm, logistic_regression or naive_bayes. None: train an encoder."""
    features: list[Literal["words", "words_characters", "frequent_words"]] | None = Field(default=None, min_length=1)
    """Kinds of features to choose from on validation. None: the model's own choice."""
    compare: bool = Field(default=False, json_schema_extra=NOTHING)
    """Once a checkpoint is trained, fit every baseline on the same rows, and report the difference to the best."""


class LoraSettings(Record):
    """Low-rank adapters (Hu et al. 2021)."""

    rank: Positive = 16
    alpha: Annotated[float, Field(gt=0)] | None = None
    """Scale of the update is alpha / rank. None: twice the rank."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    rslora: bool = False
    """Scale by alpha / sqrt(rank) (Kalajdzievski 2023)."""
    dora: bool = False
    """Weight-decomposed adapters (Liu et al. 2024)."""
    targets: list[str] | None = None
    """Names of the linear layers to adapt. None: all linear layers of the encoder."""


class ProbeConfig(Record):
    """The linear head on frozen features."""

    regularisation: list[Annotated[float, Field(gt=0)]] = Field(
        default=[0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0], min_length=1
    )
    """Inverse L2 strengths (scikit-learn's C) to choose from on validation."""
    start: Annotated[float, Field(gt=0)] = 1.0
    """The strength for the head that full and lora start from. A head that fits the frozen features as well as it can
    leaves the encoder nothing to learn but noise, and its large weights magnify every change of the encoder."""
    cache: bool = Field(default=True, json_schema_extra=NOTHING)
    """Cache features and heads (`nlptl cache`), so that each text meets the frozen encoder once."""


class ContrastiveConfig(Record):
    """`strategy: contrastive`, for few rows per label."""

    temperature: Annotated[float, Field(gt=0)] = 0.05
    """Cosine similarities are divided by it: the lower, the more the nearest other label counts."""


class SoupConfig(Record):
    """`strategy: soup` (Wortsman et al. 2022)."""

    members: Annotated[int, Field(ge=2)] = 3
    """Trainings whose weights are averaged: seeds `seed`, `seed` + 1, ..."""
    recipe: Literal["greedy", "uniform"] = "greedy"
    """uniform averages all; greedy takes members from the best down, each only if validation does not fall."""


class MultiTaskConfig(Record):
    """`task: a+b+c`, one encoder with a head per task. What `data` says of columns and splits holds for all tasks."""

    sources: dict[str, str] = {}
    """Task -> its data, as `data.source`. A task that is not named here takes its `sample`."""
    label_maps: dict[str, dict[str, str]] = {}
    """Task -> label in its data -> label of the task; goes before `data.label_map`."""
    sampling: Literal["proportional", "temperature", "uniform"] = "proportional"
    """How an epoch, as long as all rows together, is shared out. proportional: each row once. uniform: each task as
    often. temperature: a task of n rows as n ** (1 / temperature), in between."""
    temperature: Annotated[float, Field(ge=1)] = 2.0
    """Of temperature sampling; 1 is proportional, infinity uniform."""
    weights: dict[str, Annotated[float, Field(gt=0)]] = {}
    """Task -> what its rows' losses are multiplied by. A task that is not named here has 1."""
    balance: bool = True
    """Also divide each task's losses by its loss on validation before training, as the heads on the frozen encoder have
    it, up to ten times: among larger gradients the small ones of a task that is nearly solved would do nothing."""
    compare: bool = False
    """Also train each task alone with the same settings, and report the differences."""


class AdaptationConfig(Record):
    """`strategy: domain_adaptation`: labels of `data.source`, texts alone of `data.target`."""

    method: Literal["coral", "mmd", "dann", "self_training", "coral_self_training", "none"] | None = None
    """coral: equal covariances (Sun, Feng & Saenko 2016; Sun & Saenko 2016). mmd: equal distributions under Gaussian
    kernels (Long et al. 2015). dann: features from which the domain cannot be told (Ganin et al. 2016).
    self_training: learn from confident predictions on the target (Zou et al. 2018); of the source-only model first.
    coral_self_training: of coral first, which hurts less often, but gains less where the domains' shares of labels
    differ. none: source only. None: coral_self_training on frozen features, self_training where the encoder learns."""
    weight: NonNegative | None = None
    """Of the alignment loss beside the classification loss (coral, mmd, dann). None: the method's own."""
    shrinkage: Annotated[float, Field(gt=0, le=1)] = 0.8
    """coral on frozen features: how far both covariances are drawn towards a multiple of the identity."""
    rounds: Positive | None = None
    """self_training: times that predictions become labels. None: 8 on frozen features, 2 where the encoder learns."""
    first_share: Annotated[float, Field(gt=0, le=1)] = 0.2
    """self_training: share of the target's rows that the first round believes."""
    last_share: Annotated[float, Field(gt=0, le=1)] = 0.9
    """self_training: share that the last round believes; in between it grows evenly. With one round only this."""
    oracle: bool = True
    """Where the target has labels, also train on them, to report what they would give."""


class RuntimeConfig(Record):
    """Where and how it runs; nothing here changes what is learned, beyond rounding and the order of batches."""

    precision: Literal["auto", "bf16", "fp16", "fp32"] = "auto"
    """auto: what the accelerate config says, else bf16 where the hardware computes it fast, else fp32."""
    trackers: list[str] = Field(default=[], json_schema_extra=NOTHING)
    """Experiment trackers by Accelerate's names, such as tensorboard or wandb."""
    gradient_checkpointing: bool = Field(default=False, json_schema_extra=NOT_FEATURES)
    """Recompute activations in the backward pass: less memory, more time."""
    compile: bool = Field(default=False, json_schema_extra=NOT_FEATURES)
    """Compile the encoder's layers before training (torch.compile, dynamic shapes). Pays on GPUs in long trainings with
    large batches; on CPUs small models become slower. Needs a C compiler."""
    kernels: Literal["auto", "off"] = "auto"
    """auto: replace computations of PyTorch, transformers and PEFT by faster ones that give the same results up to
    rounding: attention over short texts, activations in bf16, LoRA layers, weights rounded once, word embeddings of
    the occurring tokens alone, packing, CUDA graphs. off: none of them; models compute as these libraries have it."""
    packing: Literal["auto", "on", "off"] = "auto"
    """Compute batches without padding, all tokens in one row; outputs are the same up to rounding. Takes bert,
    camembert, distilbert, electra, roberta and xlm-roberta, in training and in the run's own forward passes. Attention
    uses a kernel of its own on NVIDIA GPUs from compute capability 8.0 in bf16 or fp16 without dropout, and is padded
    elsewhere. auto: where that kernel serves; on CPUs texts of like length share a batch, so that little is padding."""
    cuda_graphs: bool = Field(default=True, json_schema_extra=NOT_FEATURES)
    """On NVIDIA GPUs, where packing uses that kernel: capture the passes of training as CUDA graphs, once per shape,
    and replay them, so that the processor does not launch each kernel by itself. Batches then come in plain random
    order. Takes memory for the graphs. Not with gradient_checkpointing or sharded weights; several processes take the
    same batches without graphs."""
    deterministic: bool = False
    """Ask PyTorch for deterministic kernels; an operation that has none is an error."""
    timeout_seconds: Annotated[float, Field(ge=1)] = Field(default=300.0, json_schema_extra=NOTHING)
    """How long processes wait for one another before they take the others for lost. A process that dies is noticed at
    once on CPUs; one that hangs or is cut off, after this time."""
    gradient_compression: Literal["none", "bf16", "fp16"] = Field(default="none", json_schema_extra=NOT_FEATURES)
    """With several processes that each hold the whole model: the type in which they exchange gradients, half as many
    bytes for a little precision. bf16 on GPUs only; fp16 overflows above 65 504, which stops the training."""
    measure_peak: bool = Field(default=False, json_schema_extra=NOTHING)
    """Also measure this machine's matrix-multiply peak (a second), and say what share of it training reached."""
    progress: bool = Field(default=True, json_schema_extra=NOTHING)
    """Progress bars, on a terminal or in a notebook. Elsewhere, or without, the log says how far long work is."""
    cache_limit: Size | None = Field(default=None, json_schema_extra=NOTHING)
    """Most that `nlptl cache` may hold, such as 20GB; 0: nothing. None: the variable NLPTL_CACHE_LIMIT, else 10GB."""

    @model_validator(mode="after")
    def _packing_is_one_of_the_kernels(self) -> RuntimeConfig:
        if self.kernels == "off" and self.packing == "on":
            raise ValueError(
                "packing=on computes batches through nlptl's own attention, which kernels=off leaves out. "
                "Use packing=auto (or off), or kernels=auto"
            )
        return self


class RunConfig(Record):
    """All that a run is. `nlptl train --config RUN/run.yaml` repeats it."""

    task: str
    """Name of a registered task, or several with + between them."""
    mode: str = "full"
    """full, lora or feature_extraction; `baseline` in the run.yaml of a baseline, which trains no encoder."""
    strategy: str | None = None
    """fine_tune, contrastive, soup or domain_adaptation. None: contrastive in mode full with `data.shots` up to 50
    and one label per text, else fine_tune."""
    checkpoint: str | None = None
    """A checkpoint's name, a Hub id (optionally `id@revision`), or a folder. None: the task's."""
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    output: str | None = Field(default=None, json_schema_extra=NOTHING)
    """The run folder. None: `runs/TASK-METHOD-DATE-TIME`."""
    tasks_dir: str | None = None
    """A folder with the user's own tasks."""
    data: DataConfig = DataConfig()
    model: ModelConfig = ModelConfig()
    baseline: BaselineConfig = BaselineConfig()
    lora: LoraSettings = LoraSettings()
    probe: ProbeConfig = ProbeConfig()
    training: TrainingConfig = TrainingConfig()
    contrastive: ContrastiveConfig = ContrastiveConfig()
    soup: SoupConfig = SoupConfig()
    multi_task: MultiTaskConfig = MultiTaskConfig()
    adaptation: AdaptationConfig = AdaptationConfig()
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
    head_start: Literal["probe", "random"]


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
