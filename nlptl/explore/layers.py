"""A linear probe on every layer of an encoder (Alain & Bengio 2016), and how far fine-tuning changed each layer."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nlptl.config.run import RunConfig
from nlptl.errors import ConfigError
from nlptl.evaluation.evaluator import quick_metrics
from nlptl.explore.layer_outputs import POOLINGS, layer_count, layer_outputs, linear_cka, split_layers
from nlptl.explore.material import Material, Reader, frozen_classifier, load_material, probe_of
from nlptl.runs.artifact import Artifact, load_artifact
from nlptl.runs.lineage import find_checkpoint, open_checkpoint
from nlptl.tasks import TaskSpec, find_tasks, load_task
from nlptl.training.runtime import local_runtime

Layers = dict[tuple[int, str], dict[str, np.ndarray]]


@dataclass(frozen=True)
class LayerReport:
    """What the probes found: one row per layer and pooling, where layer 0 is the embeddings."""

    checkpoint: str
    run: str | None
    metric: str
    rows: list[dict[str, Any]]
    """Each row holds layer, pooling, validation and test; for a run also validation_after, test_after and cka."""

    @property
    def best(self) -> dict[str, Any]:
        """The row with the highest metric on validation (after fine-tuning, where there is a run)."""
        key = "validation_after" if self.run else "validation"
        return max(self.rows, key=lambda row: (row[key], -row["layer"]))


def probe_layers(config: RunConfig, given: Any = None, run: Path | None = None, most: int = 2000) -> LayerReport:
    """Fit a linear head on the pooled outputs of each layer; one pass over the texts gives the outputs of all layers.

    Args:
        config: says task, data, checkpoint, seed, `probe.regularisation` and `model.max_length`.
        given: Python data, instead of `config.data.source`.
        run: a finished run on an encoder: its layers are probed beside those of the checkpoint it started from, and
            compared with them by linear CKA on the validation texts (Kornblith et al. 2019).
        most: the largest number of rows of each split that are used.

    Raises:
        ConfigError: a checkpoint is named, and the run started from another one.
        NlptlError: the data, the checkpoint or the run cannot be used.
    """
    artifact = load_artifact(run) if run else None
    if artifact is not None:
        noted = artifact.config.checkpoint
        artifact.classifier  # noqa: B018  a baseline has none, which is said before anything is read
        if config.checkpoint not in (None, noted):
            raise ConfigError(f"{run} started from {noted}, not from {config.checkpoint}. Leave --checkpoint out.")
        config = config.model_copy(update={"checkpoint": noted, "model": artifact.config.model})
    task = _task(config, given, artifact)
    if artifact is not None:
        checkpoint = find_checkpoint(artifact.manifest["checkpoint"], artifact.folder)
    else:
        checkpoint = open_checkpoint(config.checkpoint or task.checkpoint)
    runtime = local_runtime(config.runtime.precision, config.runtime.progress)
    material = load_material(config, given, most, task)
    classifier = frozen_classifier(checkpoint, material, "mean", runtime, config)
    reader = Reader.of(checkpoint, classifier, config, runtime, material)
    before = _layers(reader, classifier.encoder, material)
    after: Layers | None = None
    if artifact is not None:
        artifact.classifier.to(runtime.device)
        after = _layers(reader, artifact.classifier.encoder, material)
    rows = []
    places = [(layer, pooling) for pooling in POOLINGS for layer in range(layer_count(classifier.encoder))]
    for place in runtime.track(places, "probing", unit="layer"):
        row: dict[str, Any] = {"layer": place[0], "pooling": place[1], **_probed(before[place], material, config)}
        if after is not None:
            changed = _probed(after[place], material, config)
            row |= {f"{split}_after": changed[split] for split in ("validation", "test")}
            row["cka"] = linear_cka(before[place]["validation"], after[place]["validation"])
        rows.append(row)
    return LayerReport(checkpoint.name, None if run is None else str(run), material.task.metric, rows)


def _task(config: RunConfig, given: Any, artifact: Artifact | None) -> TaskSpec:
    """The run's own task; but where its files lie that are called by name, the registered one of that name knows."""
    registered = find_tasks(config.tasks_dir)
    by_name = config.data.source is None or (
        config.task in registered and config.data.source in registered.get(config.task).data
    )
    if artifact is None or (given is None and by_name):
        return load_task(config.task, config.tasks_dir)
    return artifact.task


def _layers(reader: Reader, encoder: Any, material: Material) -> Layers:
    layers = layer_count(encoder)
    width = layers * len(POOLINGS) * int(encoder.config.hidden_size)
    outputs = reader.read(layer_outputs(encoder), width, material, "layers")
    parts = {split: split_layers(matrix, layers) for split, matrix in outputs.items()}
    return {place: {split: parts[split][place] for split in parts} for place in parts["train"]}


def _probed(features: dict[str, np.ndarray], material: Material, config: RunConfig) -> dict[str, float]:
    """The metric of a probe on the validation split, which chose its strength, and on the test split."""
    whole = {split: np.ascontiguousarray(matrix) for split, matrix in features.items()}
    head = probe_of(whole, material, config)
    metric = material.task.metric
    return {
        split: quick_metrics(material.task, head.logits(whole[split]), material.targets[split])[metric]
        for split in ("validation", "test")
    }
