"""Learning from unlabelled text: data collection, model design, training; the result is a checkpoint folder.

Self-taught learning, domain- and task-adaptive pre-training (Gururangan et al. 2020) and unsupervised transfer are this
strategy with out-of-domain, in-domain or task text and one of three objectives; chained by naming the last result as
the next checkpoint.
"""

from __future__ import annotations

import logging
import math
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from nlptl.checkpoints import Checkpoint
from nlptl.config.records import validate
from nlptl.data.text_corpus.corpus import open_corpus
from nlptl.errors import ConfigError
from nlptl.kernels import KernelSettings, enable
from nlptl.models.masked_lm import MaskedLM
from nlptl.models.opening import load_tokenizer
from nlptl.models.shapes import SHAPES
from nlptl.pretraining.collection import TextSource, collect, row_length
from nlptl.pretraining.config import PretrainConfig, ResolvedPretrain
from nlptl.pretraining.folder import (
    prepare_work_folder,
    publish_checkpoint,
    work_folder,
)
from nlptl.pretraining.objectives import Design
from nlptl.registry import OBJECTIVES
from nlptl.runs.folder import agree_on_folder, buffered_log, claimed
from nlptl.runs.lineage import lineage_of, open_checkpoint, pretrainings_of
from nlptl.storage.json_files import read_json
from nlptl.storage.versions import environment
from nlptl.training.examples.unlabelled import held_out_loss
from nlptl.training.loop import fit
from nlptl.training.resume.states import StateFolder
from nlptl.training.runtime import Runtime, join_processes

log = logging.getLogger("nlptl")


def pretrain_config(config: PretrainConfig, given: Any = None) -> Path:
    """Pre-train what a PretrainConfig says; see `nlptl.pretrain`.

    Args:
        config: the settings.
        given: the texts themselves, or with a task its data in Python.

    Returns:
        The checkpoint folder.

    Raises:
        NlptlError: something asked for cannot be done; the message says what, and what to do.
    """
    resolved, checkpoint = _complete(config, given)
    with buffered_log() as messages:
        runtime = join_processes(resolved.runtime)
        folder = agree_on_folder(runtime, resolved.output, "checkpoints", resolved.objective)
        work = work_folder(folder)
        source = TextSource(resolved, given)

        def prepare() -> bool:
            inputs = {"texts": source.digest(), **({} if checkpoint is None else {"checkpoint": checkpoint.revision})}
            return prepare_work_folder(folder, resolved, inputs)

        with claimed(runtime, work, prepare, messages):
            if runtime.is_main:
                collect(resolved, checkpoint, source, runtime, work)
            runtime.barrier()
            design = _design(resolved, checkpoint, work)
            torch.manual_seed(resolved.seed)
            model = OBJECTIVES.get(resolved.objective).build(design)
            enable(model, KernelSettings.of(resolved.runtime))
            if runtime.is_main:
                _describe(resolved, model, work)
            outcome = _train(design, model, runtime, work) if resolved.steps != 0 else {}
        if runtime.is_main:
            provenance = _provenance(resolved, checkpoint, work, outcome)
            publish_checkpoint(folder, model, design.tokenizer, design.pooling, provenance)
            log.info(f"Checkpoint folder: {folder}")
        runtime.barrier()
        if runtime.accelerator.trackers:
            runtime.accelerator.end_training()
        return folder


def _complete(config: PretrainConfig, given: Any) -> tuple[ResolvedPretrain, Checkpoint | None]:
    """Check what does not fit together, and fill in what was left open."""
    objective = OBJECTIVES.get(config.objective)
    if config.task is None and given is None and not config.corpus.sources:
        raise ConfigError("There is nothing to learn from. Give --data with files of texts, or --task.")
    if (config.checkpoint is None) == (config.shape is None):
        raise ConfigError("Give --checkpoint to go on from a checkpoint, or --shape to build a new encoder; not both.")
    if config.runtime.packing == "on":
        raise ConfigError(
            "runtime.packing is on, but pre-training computes padded batches (rows of corpus.packed are full anyway). "
            "Packing is for nlptl train and adapt; leave it at auto here."
        )
    if config.shape is not None and objective.from_scratch is None:
        raise ConfigError(
            f"--objective {config.objective} goes on from a checkpoint. Give --checkpoint, or pre-train one "
            "first: nlptl pretrain --shape mini --data ..."
        )
    checkpoint = None if config.checkpoint is None else open_checkpoint(config.checkpoint)
    if checkpoint is not None:
        defaults = objective.defaults
    else:
        rate = SHAPES.get(str(config.shape)).learning_rate
        defaults = {"learning_rate": rate, **(objective.from_scratch or {})}
    given_training = {name: value for name, value in config.training if value is not None}
    training = {**defaults, **given_training}
    pooling = "mean" if checkpoint is None or config.objective == "masked_lm" else checkpoint.pooling
    values = config.model_dump()
    values |= {"pooling": config.pooling or pooling, "training": training}
    if config.corpus.packed is None:
        values["corpus"]["packed"] = objective.packed
    return validate(ResolvedPretrain, values, "The resolved configuration"), checkpoint


def _design(config: ResolvedPretrain, checkpoint: Checkpoint | None, work: Path) -> Design:
    facts = read_json(work / "corpus" / "facts.json")
    tokenizer = load_tokenizer(work / "tokenizer")
    return Design(
        config,
        None if checkpoint is None else checkpoint.path,
        tokenizer,
        list(facts["new_words"].values()),
        config.pooling,
        row_length(config, checkpoint, tokenizer),
    )


def _train(design: Design, model: Any, runtime: Runtime, work: Path) -> dict[str, Any]:
    """Training: the head alone where it starts from noise, then everything; the best held-out state is kept."""
    config = design.config
    objective = OBJECTIVES.get(config.objective)
    train, held_out = (open_corpus(work / "corpus" / name) for name in ("train", "held_out"))
    batch_size = config.training.batch_size
    wanted = config.steps or -(-len(train) // batch_size) * config.training.epochs
    rounds = min(config.evaluations, wanted)
    steps = -(-wanted // rounds)
    measured = objective.rows(design, held_out, 1)
    state = StateFolder(work / "state")

    def judge(prepared: Any) -> dict[str, float]:
        loss = held_out_loss(runtime, prepared if runtime.is_sharded else model, measured)
        return {"loss": loss, **({"perplexity": math.exp(min(loss, 50.0))} if isinstance(model, MaskedLM) else {})}

    if runtime.accelerator.trackers:
        runtime.accelerator.project_configuration.logging_dir = str(work / "trackers")
        runtime.accelerator.init_trackers("nlptl")
    started = time.perf_counter()
    # A saved state is one of the second part.
    if isinstance(model, MaskedLM) and design.checkpoint is not None and model.brought_no_head and not state.exists():
        _warm_up(design, model, runtime, objective.rows(design, train, round(config.details.head_warmup * wanted)))
    training = config.training.model_copy(update={"epochs": rounds})
    rows = objective.rows(design, train, steps)
    progress = fit(runtime, model, rows, training, config.seed, judge, "loss", state, called="evaluation")
    best = next(entry for entry in progress.epochs if entry["epoch"] == progress.best_epoch)
    said = ", ".join(f"{name} {progress.epochs[0][name]:.3f} -> {best[name]:.3f}" for name in best if name != "epoch")
    log.info(f"Held-out texts: {said} (best after {int(best['epoch']) * steps} of {rounds * steps} steps)")
    evaluations = [{**entry, "step": entry["epoch"] * steps} for entry in progress.epochs]
    return {
        "steps": progress.step,
        "best_step": progress.best_epoch * steps,
        "evaluations": evaluations,
        "seconds": time.perf_counter() - started,
    }


def _warm_up(design: Design, model: MaskedLM, runtime: Runtime, rows: Any) -> None:
    """Noise in the head would reach the encoder as noise in its gradients."""
    if not rows.steps:
        return
    log.info(f"The checkpoint brings no masked-LM head: a new one learns alone for {rows.steps} steps")
    model.freeze_encoder(True)
    training = design.config.training.model_copy(update={"epochs": 1, "schedule": "constant"})
    fit(runtime, model, rows, training, design.config.seed + 1, called="head alone")
    model.freeze_encoder(False)


def _describe(config: ResolvedPretrain, model: Any, work: Path) -> None:
    facts = read_json(work / "corpus" / "facts.json")
    size = sum(parameter.numel() for parameter in model.encoder.parameters())
    start = f"checkpoint {config.checkpoint}" if config.checkpoint else f"a new {config.shape} encoder"
    log.info(
        f"Corpus: {facts['texts']} texts, {facts['tokens']} tokens, {facts['rows']} rows to learn from, "
        f"{facts['held_out_rows']} held out"
    )
    log.info(f"Objective {config.objective} on {start}: {size / 1e6:.1f}M parameters, {facts['vocabulary']} pieces")


def _provenance(
    config: ResolvedPretrain, checkpoint: Checkpoint | None, work: Path, outcome: dict[str, Any]
) -> dict[str, Any]:
    facts = read_json(work / "corpus" / "facts.json")
    return {
        "format": 1,
        "nlptl": version("nlptl"),
        "objective": config.objective,
        "pooling": config.pooling,
        "from": checkpoint.record() if checkpoint else {"shape": config.shape, "tokenizer": config.tokenizer.kind},
        "history": pretrainings_of(checkpoint.path) if checkpoint else [],
        "lineage": lineage_of(checkpoint) if checkpoint else [],
        "corpus": {**facts, "new_words": list(facts["new_words"])},
        "training": outcome,
        "settings": config.model_dump(mode="json"),
        "versions": environment(),
    }
