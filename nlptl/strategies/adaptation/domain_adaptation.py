"""Transductive transfer: labels of a source domain, texts alone of a target domain; `nlptl adapt`.

Three models are trained and compared: on the source only, adapted, and, where the target has labels, the oracle that
learns from them. The adapted one becomes the run. Labels of the target report; nothing is chosen by them.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Any

import numpy as np

from nlptl.errors import ConfigError
from nlptl.evaluation.wording import adaptation_sentence
from nlptl.models.linear_probe import fit_probe
from nlptl.strategies import fine_tune
from nlptl.strategies.adaptation.encoder import align_encoder, self_train_encoder
from nlptl.strategies.adaptation.frozen_features import adapt_frozen
from nlptl.strategies.adaptation.report import compare, describe_model, doubts
from nlptl.strategies.job import Job, Trained
from nlptl.strategies.stages import fresh_classifier, frozen_features, split_logits
from nlptl.training.resume.states import StateFolder

log = logging.getLogger("nlptl")


def learn(job: Job, state: StateFolder) -> Trained:
    """Train on the source, adapt to the target, compare.

    Raises:
        ConfigError: the method cannot take this kind of task.
    """
    settings, method = job.config.adaptation, job.config.adaptation.method
    if "self_training" in method and job.part.several_labels:
        raise ConfigError(f"{method} needs one label a row. Available for multi_label: coral, dann, mmd, none.")
    gap = domain_gap(job)
    log.info(f"Domain gap: {gap:.2f} (0: the domains cannot be told apart, 2: always)")
    log.info("Training on the source only")
    source = fine_tune.learn(replace(job, mode=job.fresh_mode()), StateFolder(state.folder / "source"))
    source_target = _target_logits(job, source)
    adapted, adapted_target = source, source_target
    if method != "none":
        log.info(f"Adapting by {method} to {len(job.encoded['target'])} texts of the target")
        adapted = _adapt(job, StateFolder(state.folder / method), source)
        adapted_target = _target_logits(job, adapted)
    oracle = _oracle(job, state) if settings.oracle and "oracle_train" in job.encoded else None
    labelled = "source_test" in job.encoded
    facts: dict[str, Any] = {
        "method": method,
        "target_rows": len(job.encoded["target"]),
        "reported_on": "target" if labelled else "source",
        "domain_gap": gap,
        "source_only": describe_model(job, source, source_target),
        "adapted": describe_model(job, adapted, adapted_target),
        "oracle": None if oracle is None else describe_model(job, oracle, None),
    }
    facts["doubts"] = doubts(facts["source_only"], facts["adapted"]) if method != "none" else []
    facts["comparison"] = compare(job, source, adapted) if labelled and method != "none" else None
    for doubt in facts["doubts"]:
        log.warning(f"Adapting may have hurt: {doubt}. To keep the source-only model: --method none")
    log.info(adaptation_sentence(facts))
    return replace(adapted, facts={"adaptation": facts})


def domain_gap(job: Job) -> float:
    """Proxy A-distance (Ben-David et al. 2007) of source and target on frozen features: 2 (1 - 2 error).

    The error is that of a linear classifier of domains on the half of the rows that it has not learned from.
    """
    features = frozen_features(job, fresh_classifier(job), job.part, ("train", "target"))
    rng = np.random.default_rng([job.config.seed, 5])
    count = min(len(matrix) for matrix in features.values())
    # As many rows of each: else the larger domain alone would make a low error.
    drawn = [matrix[rng.permutation(len(matrix))[:count]] for matrix in features.values()]
    domains, rows = np.repeat([0, 1], count), np.concatenate(drawn)
    half = np.arange(2 * count) % 2 == 0
    head = fit_probe(rows[half], domains[half], 2, [job.config.probe.start])
    error = float((head.logits(rows[~half]).argmax(1) != domains[~half]).mean()) if count > 1 else 0.5
    return max(0.0, 2.0 * (1.0 - 2.0 * error))


def _adapt(job: Job, state: StateFolder, source: Trained) -> Trained:
    if not job.mode.trains_encoder:
        return adapt_frozen(job, state)
    method = job.config.adaptation.method
    if method == "self_training":
        return self_train_encoder(job, state, source)
    if method == "coral_self_training":
        return self_train_encoder(job, state, align_encoder(job, StateFolder(state.folder / "coral"), "coral"))
    return align_encoder(job, state, method)


def _oracle(job: Job, state: StateFolder) -> Trained:
    """The same training on the target's own labels, except those of its test rows."""
    log.info("Training the oracle on the target's labels, for comparison only")
    splits = ("train", "validation")
    own = job.with_rows(
        {split: job.encoded[f"oracle_{split}"] for split in splits},
        {split: job.targets[f"oracle_{split}"] for split in splits},
    )
    return fine_tune.learn(own, StateFolder(state.folder / "oracle"))


def _target_logits(job: Job, trained: Trained) -> np.ndarray:
    """(target rows, C); on frozen features where the encoder is frozen, for they are there already."""
    if job.mode.trains_encoder:
        return split_logits(job, trained.classifier, "target")
    rows = frozen_features(job, trained.classifier, job.part, ("target",))["target"]
    head = trained.classifier.head
    weight, bias = (p.detach().float().cpu().numpy() for p in (head.weight, head.bias))
    return np.asarray(rows @ weight.T + bias)
