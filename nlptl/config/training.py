"""Optimisation settings: as asked (open ones are None), and as resolved (every one has its value)."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from nlptl.config.records import NOTHING, Record

Positive = Annotated[int, Field(ge=1, lt=2**31)]
Fraction = Annotated[float, Field(gt=0, lt=1)]
NonNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class TrainingConfig(Record):
    """Optimisation. Counts are in rows, epochs and optimizer steps, never in micro-batches."""

    epochs: Positive | None = None
    learning_rate: Annotated[float, Field(gt=0)] | None = None
    head_learning_rate: Annotated[float, Field(gt=0)] | None = None
    """Learning rate of the head. None: the same as the rest."""
    batch_size: Positive | None = None
    """Rows per optimizer step, over all processes and accumulation together."""
    micro_batch_size: Positive | None = None
    """Rows per forward pass and process; a step's share above that is accumulated. None: no accumulation. Of long
    texts in windows each window counts as a row, and None means as many as a step has rows."""
    schedule: Literal["linear", "cosine", "constant"] = "linear"
    warmup: Annotated[float, Field(ge=0, lt=1)] = 0.1
    """Share of all optimizer steps in which the learning rate rises from zero."""
    weight_decay: NonNegative = 0.01
    """Not applied to biases and normalisation weights."""
    clip: NonNegative = 1.0
    """Largest gradient norm; 0 switches clipping off."""
    layer_decay: Annotated[float, Field(gt=0, le=1)] | None = None
    """Each layer below the head learns at this factor of the layer above it (discriminative rates, Howard & Ruder
    2018)."""
    unfreeze: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Gradual unfreezing (Howard & Ruder 2018): the head learns first, then the layers are unfrozen from the top, one
    after another, over this share of all steps. 0: all learn from the first step."""
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] | None = None
    class_weights: Literal["none", "balanced"] = "none"
    """balanced: a label's rows weigh in inverse proportion to their number."""
    loss: Literal["cross_entropy", "focal"] = "cross_entropy"
    """focal: rows that are right already count less, so that many easy ones do not drown few hard ones (Lin et al.
    2017)."""
    focal_gamma: NonNegative = 2.0
    """How much less: a row counts (1 - probability of its label) to this power. 0 is cross_entropy."""
    sampling: Literal["shuffled", "balanced"] = "shuffled"
    """balanced: each epoch draws as many rows of each label, those of rare ones several times."""
    patience: Positive | None = None
    """Stop after this many epochs without a better primary metric on validation. None: train all epochs."""
    save_every: Positive | None = Field(default=None, json_schema_extra=NOTHING)
    """Optimizer steps between saved states. None: as often as saving stays under 3 % of the time."""
    keep_states: Positive = Field(default=2, json_schema_extra=NOTHING)
    """Saved states kept until the run ends; each holds the best weights so far beside the newest."""
    refit: bool | None = None
    """Once validation has had its say (regularisation, whether training helps at all), train again through all epochs
    on train + validation together. None: the mode's default, and yes with `data.shots`."""


class ResolvedTraining(TrainingConfig):
    """What the loop trains with: no setting that it reads is open."""

    epochs: Positive
    learning_rate: Annotated[float, Field(gt=0)]
    head_learning_rate: Annotated[float, Field(gt=0)]
    batch_size: Positive
    layer_decay: Annotated[float, Field(gt=0, le=1)] = 1.0
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0
    refit: bool = False

    @model_validator(mode="before")
    @classmethod
    def _the_head_learns_like_the_rest(cls, values: dict[str, Any]) -> dict[str, Any]:
        if values.get("head_learning_rate") is None:
            return {**values, "head_learning_rate": values.get("learning_rate")}
        return values
