"""How a checkpoint becomes a classifier: the model, its adapters, and its linear head on frozen features."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from nlptl.config.records import NOT_FEATURES, NOTHING, Record
from nlptl.config.training import Positive


class ModelConfig(Record):
    """How the checkpoint becomes a classifier."""

    pooling: Literal["cls", "mean", "unit_mean"] | None = None
    """How token states become one vector: the first one's, their mean, or their mean scaled to length 1. None: as the
    checkpoint was trained, and unit_mean instead of mean where the encoder stays frozen."""
    weights: Literal["pretrained", "random"] = "pretrained"
    """random: the checkpoint's architecture and tokenizer, but nothing of what it learned: the control that shows what
    transfer is worth. Mode full only."""
    max_length: Annotated[int, Field(ge=4)] | Literal["auto"] = Field(default=256, json_schema_extra=NOT_FEATURES)
    """Tokens that the encoder reads at once; never more than the checkpoint has positions. auto: as many as 99 of 100
    training texts have, or as the checkpoint allows (at most 512 where it sets no limit)."""
    long_text: Literal["truncate", "head_tail", "windows"] = Field(default="truncate", json_schema_extra=NOT_FEATURES)
    """What becomes of a text that is longer: truncate reads its first tokens; head_tail its first quarter of
    `max_length` and its last three (Sun et al. 2019); windows all of it, in pieces of `max_length` that overlap."""
    window_overlap: Annotated[float, Field(ge=0, le=0.9)] = Field(default=0.25, json_schema_extra=NOT_FEATURES)
    """Share of a window that the next one repeats, at least: what is said at the edge of one is whole in another."""
    window_pooling: Literal["mean", "max", "attention", "max_logits"] = Field(
        default="mean", json_schema_extra=NOT_FEATURES
    )
    """How a text's windows become one answer. mean: of their features and, the head being linear, of their logits;
    max: the largest value of each feature; attention: the mean weighed by learned scores; max_logits: for each label
    the window that speaks most for it. A frozen encoder takes mean or max."""
    max_windows: Positive = Field(default=16, json_schema_extra=NOT_FEATURES)
    """Windows of one text that a training step learns from, spread evenly over it: what bounds a step's memory.
    Everything else (frozen features, validation, test, predictions) reads all windows."""
    dropout: Annotated[float, Field(ge=0, lt=1)] | None = Field(default=None, json_schema_extra=NOT_FEATURES)
    """Dropout inside the encoder and before the head. None: the mode's default."""
    head_start: Literal["probe", "random", "keep"] | None = Field(default=None, json_schema_extra=NOT_FEATURES)
    """Start the head from a linear probe on frozen features, from noise, or (keep) from the head of the run that is the
    checkpoint: labels that it knows keep their rows, new ones get new rows. None: the mode's default."""

    @property
    def in_windows(self) -> bool:
        """Whether a long text is read in windows."""
        return self.long_text == "windows"


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
    adapter: Literal["new", "continue"] = "new"
    """Where the checkpoint is a run of mode lora: merge its adapter and add a new one, or continue the same adapter."""


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
