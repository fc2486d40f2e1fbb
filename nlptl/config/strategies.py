"""The sections of settings that belong to one strategy each."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from nlptl.config.records import NOTHING, Record
from nlptl.config.training import NonNegative, Positive


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


class ViaConfig(Record):
    """Intermediate tasks: other data that the encoder learns before the task itself (`train --via SOURCE`)."""

    sources: list[str] = []
    """Files or folders with labels of their own, or finished runs; learned in this order."""
    together: bool = False
    """Learn all sources at once, as the tasks of one run, instead of one after another."""
    objective: Literal["contrastive", "classification", "unlabelled"] | None = None
    """contrastive: texts are drawn to prototypes of their labels. classification: a head is trained (Phang et al.
    2018). unlabelled: each text is contrasted with itself, and labels are not read (Zhang et al. 2021). None:
    classification for a source with the task's own labels and for several sources together, else contrastive."""
    mode: Literal["full", "lora"] = "full"
    """How much of the encoder learns from the sources."""
    rows: Positive | None = None
    """Most rows of a source, shared evenly among its labels. Few steps leave more of what the checkpoint knows. None:
    4000; 20000 of a source with the task's own labels."""
    epochs: Positive | None = None
    """None: 1; 2 for a source with the task's own labels."""
    learning_rate: Annotated[float, Field(gt=0)] | None = None
    """Highest learning rate of the encoder while it learns a source. None: 5e-5, lower than a task's own; 1e-4 for a
    source with the task's own labels."""
    interpolation: Annotated[float, Field(ge=0, le=1)] | None = None
    """Share of the way from the checkpoint's weights to those after a source (Wortsman et al. 2022). None: chosen by
    probes on rows that the source's training did not see: the task's own, and those of labels that were held out.
    Where the source has the task's own labels, its head may be taken over with the encoder, if neither a strategy nor
    a start of the head is asked for: then the task is learned on from it (fine_tune)."""
    text_columns: list[str] | None = Field(default=None, min_length=1, max_length=2)
    """Of the sources. None: `text`."""
    label_column: str | None = None
    """Of the sources. None: `label`."""
    compare: bool = Field(default=True, json_schema_extra=NOTHING)
    """Also learn the task straight from the checkpoint, with the same seed and rows, and report the difference."""


class DistillationConfig(Record):
    """`strategy: distillation` (Hinton et al. 2015): several models teach one."""

    teachers: list[str] = []
    """Finished runs of any kind, with the same labels. None named: trainings of other seeds within this run."""
    members: Positive = 3
    """Where no teachers are named: trainings with seeds `seed`, `seed` + 1, ... that teach."""
    texts: str | None = None
    """A file or folder of texts without labels, of which the teachers' answers are learned as well."""
    temperature: Annotated[float, Field(gt=0)] = 2.0
    """Logits are divided by it, so that what the teachers think of the other labels counts more."""
    weight: Annotated[float, Field(ge=0, le=1)] = 0.5
    """Share of the teachers' answers in the loss of a row with a label; the rest is the label's."""
    layers: Positive | None = None
    """Layers of the checkpoint's encoder that the student keeps, evenly spaced; mode full only. None: all."""
