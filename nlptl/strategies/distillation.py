"""Several models teach one: its soft labels come from their mean, on the training rows and on texts without labels.

The teachers are finished runs, or trainings of other seeds within this one (Hinton et al. 2015; Furlanello et al. 2018
for a student of the same size). The student may keep only some of the checkpoint's layers (Sanh et al. 2019).
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from functools import reduce

import numpy as np
import pandas as pd

from nlptl.data.text_corpus.corpus import read_texts
from nlptl.data.text_keys import keys_of
from nlptl.data.tokens.cached_tokens import encode_cached
from nlptl.errors import ConfigError
from nlptl.evaluation.evaluator import quick_metrics
from nlptl.evaluation.probabilities import probabilities_of
from nlptl.models.classifier import Classifier
from nlptl.models.encoder import keep_layers, put_weights
from nlptl.models.modes import Mode
from nlptl.objectives.distillation import Distillation
from nlptl.runs.artifact import Artifact, load_artifact
from nlptl.storage.cache import open_cache
from nlptl.storage.paths import user_path
from nlptl.strategies.fine_tune import fit_probes, joint_head
from nlptl.strategies.job import Answers, Job, Trained
from nlptl.strategies.long_texts import long_text_of
from nlptl.strategies.soup import started, train_member
from nlptl.strategies.stages import (
    class_weights,
    fit_head,
    fresh_classifier,
    judge_of,
    labelled_examples,
    split_logits,
    start,
    starts_from_probe,
    train,
    train_again,
)
from nlptl.training.examples.labelled import LabelledExamples
from nlptl.training.forward import concatenate, features_of, logits_of
from nlptl.training.resume.states import StateFolder

log = logging.getLogger("nlptl")
SPLITS = ("train", "validation", "test")
TEXTS = "texts"
"""Texts without labels, beside the splits."""
Said = dict[str, np.ndarray]
"""Split, or `TEXTS` -> (rows, C) logits of a teacher."""


@dataclass(frozen=True)
class Teacher:
    """What one of the teachers says of every row."""

    name: str
    said: Said


def learn(job: Job, state: StateFolder) -> Trained:
    """Ask the teachers, then train the student by what they say and by the labels.

    Raises:
        ConfigError: a task of several labels a text, or a teacher of another task.
    """
    if job.part.several_labels:
        raise ConfigError(f"Strategy 'distillation' needs one label per text; {job.task.name!r} is multi_label.")
    settings = job.config.distillation
    job = _with_texts(job)
    teachers = _runs(job) if settings.teachers else _members(job, state)
    said = {split: _mean([t.said[split] for t in teachers], settings.temperature) for split in teachers[0].said}
    log.info(f"The student learns from {len(teachers)} teachers")
    classifier, mode = _student(job)
    examples, metric = _examples(job, said, ["train"]), job.task.metric
    progress = train(job, classifier, examples, state, judge_of(job, classifier), metric)
    validation = split_logits(job, classifier, "validation")
    if job.config.training.refit:
        log.info("Training again on train + validation together")
        classifier, mode = _student(job)
        examples = _examples(job, said, ["train", "validation"])
        train_again(job, classifier, examples, state, progress, metric)
    facts = {
        "temperature": settings.temperature,
        "texts": len(job.encoded[TEXTS]) if TEXTS in job.encoded else 0,
        "teachers": {teacher.name: _scores(job, teacher.said) for teacher in teachers},
        "ensemble": _scores(job, {split: np.log(np.maximum(said[split], 1e-12)) for split in SPLITS}),
        "layers": classifier.depth,
    }
    answers = Answers(validation, split_logits(job, classifier, "test"))
    return Trained(classifier, mode, [answers], progress, {"distillation": facts})


def _with_texts(job: Job) -> Job:
    """The job with the texts without labels encoded; those that are reported on are left out."""
    source = job.config.distillation.texts
    if source is None:
        return job
    part = job.part
    texts = pd.DataFrame({"text": [text for chunk in read_texts([source]) for text in chunk]}).drop_duplicates()
    keys = keys_of(texts)
    reported_on = set(keys_of(part.splits.validation)) | set(keys_of(part.splits.test))
    frame = texts[~keys.isin(reported_on)].reset_index(drop=True)
    cache, long_text = open_cache(job.config.runtime.cache_limit), long_text_of(job.config)
    reading = (lambda chunks: chunks), cache, long_text, job.config.data.normaliser
    encoded = encode_cached(frame, job.tokenizer, job.max_length, *reading)
    log.info(
        f"Texts without labels: {len(frame)} ({len(texts) - len(frame)} stand in validation or test and are left out)"
    )
    splits = replace(part.splits, more={**part.splits.more, TEXTS: frame})
    return replace(job, parts=[replace(part, splits=splits, encoded={**part.encoded, TEXTS: encoded})])


def _runs(job: Job) -> list[Teacher]:
    """What finished runs say.

    Raises:
        ConfigError: a run of other labels, or of several tasks none of which is this one.
    """
    frames = {split: frame for split, frame in job.part.splits.frames().items() if split in (*SPLITS, TEXTS)}
    return [_run(job, load_artifact(user_path(name)), frames) for name in job.config.distillation.teachers]


def _run(job: Job, artifact: Artifact, frames: dict[str, pd.DataFrame]) -> Teacher:
    several = len(artifact.heads) > 1
    head = artifact.head(job.task.name if several else None)
    wanted, known = job.task.label_list(), head.task.label_list()
    if set(wanted) != set(known):
        lacking, other = sorted(set(wanted) - set(known)), sorted(set(known) - set(wanted))
        raise ConfigError(
            f"The teacher {artifact.folder} has other labels than {job.task.name}: it lacks {lacking[:5]} and knows "
            f"{other[:5]} besides. Teachers and student need the same labels."
        )
    order = [head.start + known.index(label) for label in wanted]
    artifact.predictor.settle(job.runtime)
    said = {
        split: artifact.predictor.logits(artifact.predictor.prepare(frame), job.runtime)[:, order]
        for split, frame in frames.items()
    }
    return Teacher(artifact.folder.name, said)


def _members(job: Job, state: StateFolder) -> list[Teacher]:
    """What trainings of this run's own settings say, one for each seed; finished ones are kept beside the state."""
    probes = fit_probes(job, fresh_classifier(job)) if starts_from_probe(job) else []
    head, teachers = joint_head(probes), []
    for number in range(job.config.distillation.members):
        seed = job.config.seed + number
        log.info(f"Teacher {number + 1} of {job.config.distillation.members}, seed {seed}")
        weights, _ = train_member(job, head, state, seed)
        classifier, _ = started(job, head)
        put_weights(classifier, weights)
        rows = [split for split in (*SPLITS, TEXTS) if split in job.encoded]
        teachers.append(Teacher(f"seed {seed}", {split: _logits(job, classifier, split) for split in rows}))
    return teachers


def _logits(job: Job, classifier: Classifier, split: str) -> np.ndarray:
    width = job.parts[-1].columns.stop
    return logits_of(job.runtime, classifier, job.encoded[split], job.pad_id, width, f"asking about {split}")


def _mean(logits: list[np.ndarray], temperature: float) -> np.ndarray:
    """(rows, C) mean of the teachers' probabilities at a temperature."""
    probabilities = np.stack([probabilities_of(each / temperature, False) for each in logits])
    return np.asarray(probabilities.mean(0))


def _student(job: Job) -> tuple[Classifier, Mode]:
    """The checkpoint in the run's mode, with as many layers as are kept, its head fitted on its frozen features."""
    classifier, mode = fresh_classifier(job), job.fresh_mode()
    layers, head = job.config.distillation.layers, None
    if layers is not None:
        keep_layers(classifier, layers)
    if starts_from_probe(job):
        if layers is None:
            head = joint_head(fit_probes(job, classifier))
        else:  # features of fewer layers are no checkpoint's, so that no cache holds them
            features = {
                split: features_of(job.runtime, classifier, job.encoded[split], job.pad_id, None)[0]
                for split in ("train", "validation")
            }
            head = fit_head(job, job.part, features, [job.config.probe.start])
    start(job, classifier, head, mode)
    return classifier, mode


def _examples(job: Job, said: Said, splits: list[str]) -> LabelledExamples:
    """Rows of splits with what the teachers say and their labels, and the texts with what the teachers say."""
    named = [*splits, *([TEXTS] if TEXTS in job.encoded else [])]
    labels = [job.targets[split] if split in job.targets else np.full(len(job.encoded[split]), -1) for split in named]
    settings, training = job.config.distillation, job.config.training
    objective = Distillation(
        settings.temperature, settings.weight, training.label_smoothing, class_weights(job, job.part)
    )
    targets = np.concatenate(
        [np.concatenate([said[name], ids[:, None]], 1) for name, ids in zip(named, labels, strict=True)]
    )
    encoded = reduce(concatenate, (job.encoded[name].at_most(job.config.model.max_windows) for name in named))
    rows = labelled_examples(job, job.part)
    return replace(rows, encoded=encoded, targets=targets.astype(np.float32), objective=objective)


def _scores(job: Job, said: Said) -> dict[str, float]:
    """The task's metric of a teacher on the held-out splits."""
    metric = job.task.metric
    return {split: quick_metrics(job.task, said[split], job.targets[split])[metric] for split in ("validation", "test")}
