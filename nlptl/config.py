"""RunConfig: everything that a run is, in one record that YAML, flags and Python all feed.

A setting whose default is None takes the task's default for the chosen mode, else the mode's own; `filled` puts
them in, so that the `run.yaml` of a finished run states every value that was used.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import Field

from nlptl.errors import ConfigError, shortened, unknown
from nlptl.schema import Record, fields_at, read_yaml, validate

Positive = Annotated[int, Field(ge=1, lt=2**31)]
Fraction = Annotated[float, Field(gt=0, lt=1)]
NonNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class DataConfig(Record):
    """Which rows are read, and how."""

    source: str | None = None
    """One of the task's named data sets, a file (CSV, TSV, JSONL, Parquet), a folder of split files, a saved
    `datasets` folder, or a Hub id. None: the task's `sample`."""
    validation: str | None = None
    """A file with the validation split. None: from the source, else cut from train, stratified and seeded."""
    test: str | None = None
    """A file with the test split. None: from the source, else cut from train, stratified and seeded."""
    text_columns: list[str] | None = Field(default=None, min_length=1, max_length=2)
    """One text column, or a pair. None: the data set's own, else the task's."""
    label_column: str | None = None
    """None: the data set's own, else the task's."""
    label_map: dict[str, str] = {}
    """Label in the data -> label of the task."""
    shots: Positive | None = None
    """Keep this many training rows per label, drawn with the seed."""
    validation_fraction: Fraction = 0.1
    """Share of train that becomes validation where there is none (twice that with `shots`)."""
    test_fraction: Fraction = 0.2
    """Share of a single file that becomes test where there is none."""
    duplicates: Literal["keep", "drop"] = "keep"
    """Repeated texts (case, spaces and punctuation ignored) with the same label inside one split."""
    leaks: Literal["drop", "keep"] = "drop"
    """Training rows whose text also stands in validation or test, validation rows whose text stands in test."""
    bad_rows: Literal["stop", "drop"] = "stop"
    """Rows without text or label: stop with all of them listed, or drop and count them."""
    encoding: str | None = None
    """Text encoding of CSV and JSONL files. None: UTF-8, or what a byte order mark says."""


class ModelConfig(Record):
    """How the checkpoint becomes a classifier."""

    pooling: Literal["cls", "mean"] | None = None
    """How token states become one vector. None: as the checkpoint was trained."""
    max_length: Annotated[int, Field(ge=4)] = 256
    """Tokens kept per text; never more than the checkpoint has positions."""
    dropout: Annotated[float, Field(ge=0, lt=1)] | None = None
    """Dropout inside the encoder and before the head. None: the mode's default."""
    head_start: Literal["probe", "random"] | None = None
    """Start the head from a linear probe on frozen features, or from noise. None: the mode's default."""


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
        default=[0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0], min_length=1
    )
    """Inverse L2 strengths (scikit-learn's C) to choose from on validation."""
    start: Annotated[float, Field(gt=0)] = 1.0
    """The strength for the head that full and lora start from. A head that fits the frozen features as well as it can
    leaves the encoder nothing to learn but noise, and its large weights magnify every change of the encoder."""
    cache: bool = True
    """Keep computed features on disk, so that each text meets the frozen encoder once."""


class TrainingConfig(Record):
    """Optimisation. Counts are in rows, epochs and optimizer steps, never in micro-batches."""

    epochs: Positive | None = None
    learning_rate: Annotated[float, Field(gt=0)] | None = None
    head_learning_rate: Annotated[float, Field(gt=0)] | None = None
    """Learning rate of the head. None: the same as the rest."""
    batch_size: Positive | None = None
    """Rows per optimizer step, over all processes and accumulation together."""
    micro_batch_size: Positive | None = None
    """Rows per forward pass and process; a step's share above that is accumulated. None: no accumulation."""
    schedule: Literal["linear", "cosine", "constant"] = "linear"
    warmup: Annotated[float, Field(ge=0, lt=1)] = 0.1
    """Share of all optimizer steps in which the learning rate rises from zero."""
    weight_decay: NonNegative = 0.01
    """Not applied to biases and normalisation weights."""
    clip: NonNegative = 1.0
    """Largest gradient norm; 0 switches clipping off."""
    layer_decay: Annotated[float, Field(gt=0, le=1)] | None = None
    """Each layer below the head learns at this factor of the layer above it."""
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] | None = None
    class_weights: Literal["none", "balanced"] = "none"
    """balanced: a label's rows weigh in inverse proportion to their number."""
    patience: Positive | None = None
    """Stop after this many epochs without a better primary metric on validation. None: train all epochs."""
    refit: bool | None = None
    """Once validation has chosen epochs or regularisation, train again on train + validation together. None: the
    mode's default, and always with `data.shots`."""


class RuntimeConfig(Record):
    """Where and how it runs; nothing here changes what is learned, beyond rounding."""

    precision: Literal["auto", "bf16", "fp16", "fp32"] = "auto"
    """auto: what the accelerate config says, else bf16 where the hardware computes it fast, else fp32."""
    trackers: list[str] = []
    """Experiment trackers by Accelerate's names, such as tensorboard or wandb."""
    gradient_checkpointing: bool = False
    """Recompute activations in the backward pass: less memory, more time."""
    deterministic: bool = False
    """Ask PyTorch for deterministic kernels; an operation that has none is an error."""
    progress: bool = True
    """Progress bars."""


class RunConfig(Record):
    """All that a run is. `nlptl train --config RUN/run.yaml` repeats it."""

    task: str
    """Name of a registered task."""
    mode: str = "full"
    """full, lora or feature_extraction."""
    checkpoint: str | None = None
    """A checkpoint's name, a Hub id (optionally `id@revision`), or a folder. None: the task's."""
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    output: str | None = None
    """The run folder. None: `runs/TASK-MODE-DATE-TIME`."""
    tasks_dir: str | None = None
    """A folder with the user's own tasks."""
    data: DataConfig = DataConfig()
    model: ModelConfig = ModelConfig()
    lora: LoraSettings = LoraSettings()
    probe: ProbeConfig = ProbeConfig()
    training: TrainingConfig = TrainingConfig()
    runtime: RuntimeConfig = RuntimeConfig()

    def filled(self, *layers: Mapping[str, Any]) -> RunConfig:
        """A copy in which settings that are None take their value from the first layer that has one.

        Args:
            layers: dotted key -> value, most specific first (the task's defaults before the mode's).
        """
        values = self.model_dump()
        for layer in layers:
            for key, value in layer.items():
                section, name = _home(values, key)
                if section[name] is None:
                    section[name] = value
        return validate(RunConfig, values, "The resolved configuration")


def load_config(file: str | Path | None = None, **settings: Any) -> RunConfig:
    """Read a RunConfig.

    Args:
        file: a YAML file to start from.
        settings: dotted keys with `__` or `.` between section and key, over the file's values; None is "not given".

    Raises:
        ConfigError: every fault of the result at once.
    """
    values = read_yaml(Path(file)) if file is not None else {}
    origin = f"{file}" if file is not None else "The configuration"
    for key, value in settings.items():
        if value is not None:
            _put(values, key.replace("__", "."), value)
    return validate(RunConfig, values, origin)


def parse_assignments(assignments: list[str]) -> dict[str, Any]:
    """`section.key=value` pairs of `--set`; values are read as YAML (numbers, true/false, lists).

    Raises:
        ConfigError: no equals sign, an unknown key, or a value that is not YAML.
    """
    parsed: dict[str, Any] = {}
    for assignment in assignments:
        key, equals, text = assignment.partition("=")
        if not equals:
            raise ConfigError(f"--set {shortened(assignment)!r} has no value. Write section.key=value.")
        try:
            value = yaml.safe_load(text)
        except (yaml.YAMLError, ValueError, RecursionError) as error:  # ValueError: a date such as 2026-99-99
            raise ConfigError(f"--set {shortened(assignment)!r}: the value is not valid YAML.") from error
        # YAML 1.1 reads `1e-4` as text; a person who writes it means the number.
        parsed[key.strip()] = _number_or(value)
        _check_key(key.strip())
    return parsed


def parse_label_map(text: str) -> dict[str, str]:
    """`old=new,old2=new2` as a dict.

    Raises:
        ConfigError: a part without an equals sign, or a name given twice.
    """
    mapping: dict[str, str] = {}
    for part in filter(None, (p.strip() for p in text.split(","))):
        old, equals, new = (s.strip() for s in part.partition("="))
        if not equals or not old or not new:
            raise ConfigError(f"--label-map: {part!r} is not old=new. Write for example ham=legitimate,spam=fraud.")
        if old in mapping:
            raise ConfigError(f"--label-map names {old!r} twice.")
        mapping[old] = new
    return mapping


def _number_or(value: Any) -> Any:
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            return value
    return value


def _check_key(key: str) -> None:
    known = dotted_keys()
    if key not in known:
        raise ConfigError(unknown("setting", key, known))


def dotted_keys() -> list[str]:
    """Every setting as `key` or `section.key`."""
    keys = []
    for name in RunConfig.model_fields:
        inner = fields_at(RunConfig, (name,))
        keys += [f"{name}.{key}" for key in inner] if inner else [name]
    return keys


def _put(values: dict[str, Any], key: str, value: Any) -> None:
    _check_key(key)
    section, _, name = key.rpartition(".")
    target = values.setdefault(section, {}) if section else values
    if not isinstance(target, dict):
        raise ConfigError(f"{section} must be a mapping of settings, not {type(target).__name__}.")
    target[name] = value


def _home(values: dict[str, Any], key: str) -> tuple[dict[str, Any], str]:
    section, _, name = key.rpartition(".")
    return (values[section] if section else values), name
