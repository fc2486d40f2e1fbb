"""Each method of domain adaptation must adapt: on shifted data that it is made for, doing nothing fails these tests."""

from __future__ import annotations

from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

import nlptl
from nlptl.config.model import ProbeConfig
from nlptl.config.strategies import AdaptationConfig
from nlptl.models.linear_probe import fit_probe
from nlptl.strategies.adaptation.alignments import ALIGNMENTS
from nlptl.strategies.adaptation.frozen_features import METHODS
from nlptl.strategies.stages import class_weights
from nlptl.tasks import TaskSpec
from nlptl.training.resume.states import StateFolder
from nlptl.training.runtime import start_runtime

HIDDEN = 8
WIDE = 128
"""Features of an encoder spread what they know over many directions; a map that decays strongly needs as many."""
TINY = {
    "training.epochs": 5,
    "training.batch_size": 16,
    "training.learning_rate": 1e-2,
    "runtime.precision": "fp32",
    "runtime.progress": False,
    "model.pooling": "mean",
    "model.head_start": "random",
    "adaptation.oracle": False,
    "adaptation.rounds": 1,
}


def rows(count: int, seed: int, noise: float = 0.6) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Features (count, H), labels, and the labels as -1 and 1: the first direction tells them apart."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, count)
    sign = 2.0 * labels - 1.0
    features = rng.normal(0, noise, (count, HIDDEN))
    features[:, 0] += sign
    return features, labels, sign


def moved_domain() -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """The target's features lie elsewhere and are stretched: the border of the source cuts through one label."""
    return domains(lambda features, sign: features * [2.0, 0.5, 1, 1, 1, 1, 1, 1] + [2.5, 0, 0, 0, 0, 0, 0, 0])


def misleading_domain() -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """A second direction tells the source's labels apart as well; in the target it lies elsewhere, for every row."""

    def shift(features: np.ndarray, sign: np.ndarray) -> np.ndarray:
        features[:, 1] += 3.0
        return features

    features, targets = domains(shift, second=True)
    rng = np.random.default_rng(9)
    spread = np.linalg.qr(rng.normal(size=(WIDE, HIDDEN)))[0].T * WIDE**0.5
    wide = {name: known @ spread + rng.normal(0, 0.3, (len(known), WIDE)) for name, known in features.items()}
    return {name: known.astype(np.float32) for name, known in wide.items()}, targets


def drifting_domain() -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Both labels have moved a little along the border's slope; the sure rows still tell where they are."""

    def turn(features: np.ndarray, sign: np.ndarray) -> np.ndarray:
        angle = np.deg2rad(60)
        both = features[:, :2] @ np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
        return np.hstack([both, features[:, 2:]])

    return domains(turn, noise=0.35)


def domains(shift: Any, second: bool = False, noise: float = 0.6) -> Any:
    """Splits of features, and of labels; those of the target only report."""
    features, targets = {}, {}
    for number, (split, count) in enumerate({"train": 1000, "validation": 400, "target": 1000, "test": 600}.items()):
        found, labels, sign = rows(count, number, noise)
        if second and split in ("train", "validation"):
            found[:, 1] += sign
        if split in ("target", "test"):
            found = shift(found, sign)
        features[split], targets[split] = found.astype(np.float32), labels
    return features, targets


def job_of(targets: dict[str, np.ndarray], method: str, strength: float, weight: float | None) -> Any:
    """What the methods on frozen features ask of a job."""
    task = TaskSpec(name="x", description="d", labels=["no", "yes"])
    labelled = {split: targets[split] for split in ("train", "validation")}
    part = SimpleNamespace(task=task, targets=labelled, several_labels=False)
    config = SimpleNamespace(
        seed=0,
        adaptation=AdaptationConfig(method=method, weight=weight),
        probe=ProbeConfig(regularisation=[strength]),
        training=SimpleNamespace(class_weights="none", label_smoothing=0.0, loss="cross_entropy"),
    )
    clock = SimpleNamespace(measure=lambda name: nullcontext(), seconds={"evaluation": 0.0, "training": 0.0})
    runtime = start_runtime("fp32", progress=False)
    return SimpleNamespace(
        config=config, task=task, part=part, parts=[part], targets=labelled, clock=clock, runtime=runtime
    )


def accuracies(
    method: str, made: Any, folder: Any, strength: float, weight: float | None = None
) -> tuple[float, float]:
    """On the target's test rows: of the source's own head, and of the method's.

    Args:
        method: its name.
        made: features and labels.
        folder: for what an interrupted training would go on from.
        strength: of the probe; a low one leaves a map something to gain on validation, as its first epoch must.
        weight: of the alignment; None: the method's own.
    """
    features, targets = made
    job = job_of(targets, method, strength, weight)
    labelled = features["train"], targets["train"]
    source = fit_probe(*labelled, 2, [strength], None, class_weights(job, job.part))
    adapted = METHODS[method](job, features, labelled, None, StateFolder(folder)).head
    return tuple(
        float((head.logits(features["test"]).argmax(1) == targets["test"]).mean()) for head in (source, adapted)
    )


@pytest.mark.parametrize(
    ("method", "made", "gain"),
    [
        ("coral", moved_domain, 0.2),
        ("coral_self_training", moved_domain, 0.2),
        ("self_training", drifting_domain, 0.04),
    ],
)
def test_on_a_shift_that_it_is_made_for_a_method_gains(method, made, gain, tmp_path):
    before, after = accuracies(method, made(), tmp_path, strength=0.03)
    assert after >= before + gain


# The default weight of dann is so small that its discriminator moves nothing here.
@pytest.mark.parametrize(("method", "weight"), [("mmd", None), ("dann", 10.0)])
def test_alignment_takes_away_what_misleads_and_training_the_map_alone_does_not(method, weight, tmp_path):
    before, after = accuracies(method, misleading_domain(), tmp_path / "aligned", 1e-4, weight)
    _, alone = accuracies(method, misleading_domain(), tmp_path / "alone", 1e-4, 0.0)
    assert after >= max(before, alone) + 0.15


def test_every_method_is_tested():
    assert set(METHODS) == {"coral", "coral_self_training", "self_training", "mmd", "dann"}
    assert set(ALIGNMENTS) <= set(METHODS)


@pytest.mark.parametrize("method", sorted(METHODS))
def test_what_an_encoder_learns_depends_on_the_targets_texts(tiny, obvious, tmp_path, method):
    """The same source, seed and settings: whoever does not look at the target learns the same twice."""
    source = pd.concat([pd.read_csv(obvious / f"{split}.csv") for split in ("train", "validation")], ignore_index=True)
    found = {}
    for name, words in (("one", "song shop trip"), ("other", "meal phone chair")):
        target = pd.DataFrame({"text": [f"{words} {text} {words}" for text in source["text"]]})
        given = {"method": method, "mode": "full", "checkpoint": tiny["bert"], "output": tmp_path / name}
        run = nlptl.adapt("sentiment", source=source, target=target, settings=TINY, **given)
        found[name] = run.predict_proba(source["text"].tolist()), run.metrics["adaptation"]
    losses = {facts["source_only"]["source_validation"]["loss"] for _, facts in found.values()}
    assert len(losses) == 1, "the model of the source alone has not seen the target"
    assert np.abs(found["one"][0] - found["other"][0]).max() > 1e-4
