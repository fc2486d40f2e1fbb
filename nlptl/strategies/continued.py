"""Continued training: on new rows of a task that an earlier run has learned, from its head or its adapter.

`model.head_start: keep` begins with the head of the run that is the checkpoint: labels that it knows keep their rows,
new labels get new ones. What was forgotten is measured on the earlier run's test rows. `lora.adapter: continue` goes on
with its adapter, on the checkpoint that it belongs to, instead of merging it and adding another.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import torch

from nlptl.checkpoints import MANIFEST, Checkpoint
from nlptl.config.model import LoraSettings
from nlptl.config.records import read_record
from nlptl.config.run import RunConfig
from nlptl.data.files import read_frame
from nlptl.data.loading import Splits, label_targets
from nlptl.data.text_keys import keys_of
from nlptl.data.tokens.cached_tokens import encode_cached
from nlptl.errors import ConfigError
from nlptl.evaluation.significance import over_rows
from nlptl.models.classifier import Classifier
from nlptl.models.linear_probe import LinearHead, fit_new_rows
from nlptl.models.modes import ADAPTER
from nlptl.registry import MODES
from nlptl.runs.lineage import find_checkpoint, open_classifier
from nlptl.runs.manifest import MODEL, task_homes, tasks_of
from nlptl.storage.cache import open_cache
from nlptl.storage.json_files import read_json
from nlptl.strategies import long_texts
from nlptl.strategies.job import Job, Trained
from nlptl.strategies.stages import frozen_features
from nlptl.tasks import TaskSpec
from nlptl.training.forward import logits_of

log = logging.getLogger("nlptl")
KEEP = "keep"
CONTINUE: Literal["continue"] = "continue"
MOST_LABELS = 5
"""Labels that the report of what was forgotten names."""


@dataclass(frozen=True)
class Earlier:
    """The task of an earlier run that is learned on."""

    run: Path
    task: TaskSpec
    home: Path
    """The folder of the task's own files."""
    columns: slice
    """Its columns of the run's logits."""


def earlier_of(checkpoint: Checkpoint, task: TaskSpec) -> Earlier:
    """What a run that is the checkpoint has learned of a task: its task of the same name, or its only one.

    Raises:
        ConfigError: the checkpoint is no run, or the run has several tasks, none of that name.
    """
    if checkpoint.run is None:
        raise ConfigError(
            f"--head keep begins with the head of an earlier run, but the checkpoint {checkpoint.name} is no run. Give "
            "--checkpoint RUN, or leave --head out."
        )
    manifest = read_json(checkpoint.run / MANIFEST)
    tasks, homes, start = tasks_of(checkpoint.run, manifest), task_homes(checkpoint.run, manifest), 0
    for known, home in zip(tasks, homes, strict=True):
        columns = slice(start, start + len(known.label_list()))
        start = columns.stop
        if known.name == task.name or len(tasks) == 1:
            return Earlier(checkpoint.run, known, home, columns)
    names = ", ".join(known.name for known in tasks)
    raise ConfigError(f"--head keep: the run {checkpoint.run} has learned {names}, none of which is {task.name}.")


def defaults_of(config: RunConfig, checkpoint: Checkpoint, task: TaskSpec) -> dict[str, Any]:
    """Dotted settings that an earlier head decides; none where it is not kept.

    Raises:
        ConfigError: there is no such head, or another pooling is asked for than it was fitted under.
    """
    if config.model.head_start != KEEP:
        return {}
    run = earlier_of(checkpoint, task).run
    pooling = read_json(run / MANIFEST)["pooling"]
    if config.model.pooling not in (None, pooling):
        raise ConfigError(f"--head keep: the head of {run} belongs to {pooling} pooling. Leave model.pooling out.")
    return {"model.pooling": pooling}


def with_kept_labels(splits: Splits, checkpoint: Checkpoint) -> Splits:
    """The splits under the labels of the earlier run, with those of the new rows behind them.

    Raises:
        ConfigError: no label in common, or another number of labels per text.
    """
    earlier, task = earlier_of(checkpoint, splits.task), splits.task
    known, found = earlier.task.label_list(), task.label_list()
    if earlier.task.kind != task.kind:
        raise ConfigError(f"--head keep: {earlier.run} is {earlier.task.kind}, and {task.name} is {task.kind}.")
    if not set(known) & set(found):
        raise ConfigError(
            f"--head keep: {earlier.run} and the new rows have no label in common ({', '.join(known[:5])}; "
            f"{', '.join(found[:5])}). Leave --head out to begin with a new head, or map labels with --label-map."
        )
    return replace(splits, task=task.with_labels([*known, *(label for label in found if label not in known)]))


def kept_head(job: Job, classifier: Classifier) -> LinearHead:
    """The earlier run's head; rows of new labels are fitted beside it, on the features of the earlier encoder.

    Args:
        job: of one task.
        classifier: fresh. What the earlier one has between encoder and last layer, if anything, is put into it.
    """
    earlier = earlier_of(job.checkpoint, job.task)
    manifest = read_json(earlier.run / MANIFEST)
    config = read_record(RunConfig, earlier.run / "run.yaml")
    before, _ = open_classifier(earlier.run, config, tasks_of(earlier.run, manifest), manifest)
    weight, bias = (parameter.detach()[earlier.columns].clone() for parameter in before.head.parameters())
    kept, classes = LinearHead(weight, bias, float("nan")), len(job.task.label_list())
    with torch.no_grad():
        for name, parameter in classifier.own.items():
            if name in before.own and before.own[name].shape == parameter.shape:
                parameter.copy_(before.own[name])
    if len(weight) == classes:
        return kept
    features = frozen_features(job, classifier, job.part, ("train",))["train"]
    return fit_new_rows(features, job.targets["train"], classes, kept, job.config.probe.start)


def forgetting(job: Job, trained: Trained) -> dict[str, Any]:
    """What the new model still knows of the earlier run's test rows: the section `forgetting` of `metrics.json`.

    Rows that the new run learns from are left out. Empty where the earlier run does not hold its test rows, or its
    texts may have several labels.
    """
    earlier = earlier_of(job.checkpoint, job.task)
    file = earlier.home / "predictions.csv"
    if earlier.task.kind != "single_label" or not file.is_file():
        log.info(f"What was forgotten is not measured: {earlier.run} holds no test rows with one label each")
        return {}
    table = read_frame(file)
    texts = table[[column for column in ("text", "text_pair") if column in table]]
    learned = pd.concat([job.part.splits.train, job.part.splits.validation])
    kept = ~keys_of(texts).isin(set(keys_of(learned))).to_numpy()
    table, texts = table[kept].reset_index(drop=True), texts[kept].reset_index(drop=True)
    if table.empty:
        log.info(f"What was forgotten is not measured: the new run learns from every test row of {earlier.run}")
        return {}
    names = table["label"].map(str)
    targets = label_targets(pd.DataFrame({"label": names}), job.task.label_list())
    cache = open_cache(job.config.runtime.cache_limit)
    long_text = long_texts.long_text_of(job.config)
    reading = (lambda chunks: chunks), cache, long_text, job.config.data.normaliser
    encoded = encode_cached(texts, job.tokenizer, job.max_length, *reading)
    width = job.parts[-1].columns.stop
    logits = logits_of(job.runtime, trained.classifier, encoded, job.pad_id, width, "evaluating the earlier test rows")
    after = (logits.argmax(1) == targets).astype(np.float64)
    before = (table["most_probable"].map(str) == names).to_numpy(np.float64)
    found = over_rows(after, before)
    by_label = pd.DataFrame({"label": names, "before": before, "after": after}).groupby("label")
    means = by_label[["before", "after"]].mean().assign(rows=by_label.size())
    lost = means.assign(lost=means["before"] - means["after"]).query("lost > 0").nlargest(MOST_LABELS, "lost")
    return {
        "forgetting": {
            "run": str(earlier.run),
            "left_out": int((~kept).sum()),
            "before": float(before.mean()),
            "after": float(after.mean()),
            **found.noted(),
            "labels": {
                str(label): {"rows": int(row["rows"]), "before": float(row["before"]), "after": float(row["after"])}
                for label, row in lost.iterrows()
            },
        }
    }


def continue_adapter(config: RunConfig, checkpoint: Checkpoint) -> tuple[RunConfig, Checkpoint]:
    """The settings and the checkpoint of a run that goes on with an adapter.

    Args:
        config: as asked for.
        checkpoint: the run that the adapter is of, opened.

    Returns:
        The settings, `lora` as the adapter was made; and the checkpoint that the adapter belongs to.

    Raises:
        ConfigError: the checkpoint is no run with an adapter, or other settings of adapters are asked for.
    """
    manifest = read_json(checkpoint.run / MANIFEST) if checkpoint.run is not None else {}
    if checkpoint.run is None or not (checkpoint.run / MODEL / ADAPTER).is_dir() or manifest["whole"]:
        raise ConfigError(
            f"lora.adapter=continue goes on with the adapter of a run of mode lora; {config.checkpoint} is none. Leave "
            "it out: then a new adapter is added."
        )
    made = read_record(RunConfig, checkpoint.run / "run.yaml").lora.model_copy(update={"adapter": CONTINUE})
    if config.lora not in (made, LoraSettings(adapter=CONTINUE)):
        said = ", ".join(f"{key}={value}" for key, value in made.model_dump(exclude={"adapter"}).items())
        raise ConfigError(
            f"lora.adapter=continue keeps the adapter of {checkpoint.run} as it was made ({said}). Leave the other "
            "settings of lora out, or merge it and add another (lora.adapter=new)."
        )
    base = find_checkpoint(manifest["checkpoint"], checkpoint.run)
    return config.model_copy(update={"lora": made}), replace(base, run=checkpoint.run)


def continues_adapter(config: RunConfig) -> bool:
    """Whether the run goes on with an earlier run's adapter."""
    return config.lora.adapter == CONTINUE and MODES.get(config.mode).has_adapters
