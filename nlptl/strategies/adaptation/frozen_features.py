"""Domain adaptation on features of a frozen encoder: what results is a linear head for the target's features."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from nlptl.config.training import ResolvedTraining
from nlptl.evaluation.evaluator import quick_metrics
from nlptl.evaluation.probabilities import probabilities_of
from nlptl.models.aligned import AlignedClassifier, LinearMap
from nlptl.models.linear_probe import LinearHead, fit_probe
from nlptl.objectives.alignment import confident_rows, recolour
from nlptl.strategies.adaptation.alignments import ALIGNMENTS, pseudo_label_shares
from nlptl.strategies.job import Answers, Job, Trained
from nlptl.strategies.stages import (
    Features,
    class_weights,
    fresh_classifier,
    frozen_features,
    objective_of,
    set_head,
    train,
)
from nlptl.training.examples.paired import PairedExamples
from nlptl.training.resume.states import StateFolder

log = logging.getLogger("nlptl")
Labelled = tuple[np.ndarray, np.ndarray]
ADAPTED_SPLITS = ("train", "validation", "test", "target")
ROUNDS = 8
# The linear map between frozen features and head, trained by the loop. Strong decay, since map and head together have
# far more weights than there are rows, and no penalty as the probe's.
MAP_TRAINING = ResolvedTraining(
    epochs=20,
    learning_rate=1e-3,
    head_learning_rate=1e-3,
    batch_size=128,
    layer_decay=1.0,
    weight_decay=10.0,
    label_smoothing=0.0,
    refit=False,
)


@dataclass(frozen=True)
class _Adapted:
    """A head for the target, and the source's validation features as that head expects them."""

    head: LinearHead
    validation: np.ndarray


def adapt_frozen(job: Job, state: StateFolder) -> Trained:
    """A head for the target by the configuration's method; the encoder stays as it is.

    The regularisation is chosen on the source's validation split (with coral, recoloured as the training rows are).
    What is said of that split comes from a head that has not seen it; with `training.refit` the head that is kept
    learns from it as well, but for mmd and dann: it says how long their map is trained.
    """
    classifier = fresh_classifier(job)
    features = frozen_features(job, classifier, job.part, ADAPTED_SPLITS)
    method = METHODS[job.config.adaptation.method]
    adapted = method(job, features, _labelled(job, features, ("train",)), None, StateFolder(state.folder / "first"))
    validation, head = adapted.head.logits(adapted.validation), adapted.head
    if job.config.training.refit and method is not _mapped:
        both = _labelled(job, features, ("train", "validation"))
        head = method(job, features, both, head.regularisation, StateFolder(state.folder / "refit")).head
    job.mode.apply(classifier, job.config.lora)
    set_head(classifier, head)
    notes = {"probe_regularisation": head.regularisation}
    return Trained(classifier, job.mode, [Answers(validation, head.logits(features["test"]), notes)])


def _labelled(job: Job, features: Features, splits: tuple[str, ...]) -> Labelled:
    return np.concatenate([features[s] for s in splits]), np.concatenate([job.targets[s] for s in splits])


def _head(job: Job, labelled: Labelled, strength: float | None, validation: np.ndarray) -> LinearHead:
    """A probe of one strength, or of the one that the source's validation rows choose."""
    path = job.config.probe.regularisation if strength is None else [strength]
    held_out = (validation, job.targets["validation"]) if strength is None else None
    with job.clock.measure("head"):
        return fit_probe(*labelled, len(job.task.label_list()), path, held_out, class_weights(job, job.part))


def _recoloured(
    job: Job, features: Features, labelled: Labelled, strength: float | None, state: StateFolder
) -> _Adapted:
    """coral: the source takes on the target's covariance; the head learned there meets the target as it is."""
    moved, labelled = _moved(job, features, labelled)
    return _Adapted(_head(job, labelled, strength, moved["validation"]), moved["validation"])


def _recoloured_then_self_trained(
    job: Job, features: Features, labelled: Labelled, strength: float | None, state: StateFolder
) -> _Adapted:
    """coral_self_training: the first predictions to be pseudo_labelled are those of coral."""
    return _self_trained(job, *_moved(job, features, labelled), strength, state)


def _moved(job: Job, features: Features, labelled: Labelled) -> tuple[Features, Labelled]:
    """The source's rows with the target's mean and covariance."""
    rows, targets = labelled
    weight, offset = recolour(rows, features["target"], job.config.adaptation.shrinkage)
    return {**features, "validation": features["validation"] @ weight + offset}, (rows @ weight + offset, targets)


def _self_trained(
    job: Job, features: Features, labelled: Labelled, strength: float | None, state: StateFolder
) -> _Adapted:
    """self_training: the surest predictions of each label become labels, more of them each round."""
    rows, targets = labelled
    head = _head(job, labelled, strength, features["validation"])
    priors = np.bincount(targets, minlength=len(job.task.label_list())) / len(targets)
    for number, share in enumerate(pseudo_label_shares(job.config.adaptation, ROUNDS), 1):
        probabilities = probabilities_of(head.logits(features["target"]), False)
        sure = confident_rows(probabilities, share, priors)
        log.debug(f"Self-training, round {number}: {len(sure)} of {len(probabilities)} target rows pseudo_labelled")
        both = np.concatenate([rows, features["target"][sure]])
        labels = np.concatenate([targets, probabilities[sure].argmax(1)])
        head = _head(job, (both, labels), head.regularisation, features["validation"])
    return _Adapted(head, features["validation"])


def _mapped(job: Job, features: Features, labelled: Labelled, strength: float | None, state: StateFolder) -> _Adapted:
    """mmd and dann: a linear map under the head that draws the domains together, as long as validation gains by it."""
    alignment = ALIGNMENTS[job.config.adaptation.method]
    source, targets = labelled
    head = _head(job, labelled, strength, features["validation"])
    matrix = torch.from_numpy(np.concatenate([source, features["target"]]))
    torch.manual_seed(job.config.seed)
    inner = LinearMap(head, source)
    weight = job.config.adaptation.weight
    rows = PairedExamples(
        inputs=lambda numbers, device: matrix[torch.from_numpy(numbers)].to(device),
        lengths=np.ones(len(matrix), np.int64),
        targets=targets,
        objective=objective_of(job, job.part),
        weight=alignment.map_weight if weight is None else weight,
        distance=alignment.distance,
    )
    model = AlignedClassifier(inner, alignment.distance is None, matrix.shape[1])
    held_out = torch.from_numpy(features["validation"])

    def judge(_: Any) -> dict[str, float]:
        with torch.no_grad():
            logits = inner.outputs(held_out.to(job.runtime.device))[1]
        return quick_metrics(job.task, logits.float().cpu().numpy(), job.targets["validation"])

    train(job, model, rows, state, judge, "loss", config=MAP_TRAINING, on_step=rows.note)
    return _Adapted(inner.cpu().folded(head.regularisation), features["validation"])


METHODS = {
    "coral": _recoloured,
    "self_training": _self_trained,
    "coral_self_training": _recoloured_then_self_trained,
    "mmd": _mapped,
    "dann": _mapped,
}
