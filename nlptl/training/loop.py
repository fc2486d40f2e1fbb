"""The one training loop: every strategy goes through `fit`."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from contextlib import closing, nullcontext
from typing import Any

import numpy as np
import torch

from nlptl.config.training import ResolvedTraining
from nlptl.data.tokens.batching import padding_share
from nlptl.data.tokens.encoding import filler_lengths
from nlptl.kernels import during_training
from nlptl.models.encoder import Trainable, put_weights
from nlptl.training.best import BestState, judge, why_kept
from nlptl.training.distributed.replicas import replicate, share_model
from nlptl.training.distributed.shards import copy_to_shard
from nlptl.training.examples.labelled import Examples, LabelledExamples, RowLosses
from nlptl.training.examples.mixed import MixedExamples
from nlptl.training.memory import share, try_memory
from nlptl.training.optimizer import build_optimizer, rate_factor, set_rate
from nlptl.training.resume.recovery import Recovery
from nlptl.training.resume.states import Progress, StateFolder
from nlptl.training.runtime import Runtime
from nlptl.training.step import OptimizerStep, Outcome, step_seed

log = logging.getLogger("nlptl")
Evaluate = Callable[[Any], dict[str, float]]


def fit(
    runtime: Runtime,
    classifier: Trainable,
    rows: Examples,
    config: ResolvedTraining,
    seed: int,
    evaluate: Evaluate | None = None,
    metric: str = "accuracy",
    state: StateFolder | None = None,
    on_step: Callable[[float], object] | None = None,
    judged: int = 0,
    called: str = "epoch",
) -> Progress:
    """Train the classifier's trainable parameters in place and leave it in its best state.

    A step's loss is the sum over its rows divided by their number, however the rows are spread over processes and
    micro-batches; dropout is seeded by step. So losses depend neither on the number of processes nor, beyond dropout
    and rounding, on the micro-batch size, and a resumed run repeats the steps it would have made.

    Args:
        runtime: processes, device, precision.
        classifier: already in its mode (`Mode.apply`).
        rows: what is learned from, with the loss of each row.
        config: resolved settings.
        seed: of the run.
        evaluate: the model, or its sharded copy, to validation metrics; called before the first epoch and after each.
            None: keep the last state.
        metric: the one of them that decides; higher is better, but for `loss`.
        state: where to save, and to go on from if it exists.
        on_step: told before each step the share of all planned steps that lies behind, for schedules other than the
            learning rate's.
        judged: rows that `evaluate` measures on; where they are few, the last epoch is preferred (`best.judge`).
        called: what a pass over the rows is called in the log.

    Raises:
        NlptlError: loss or gradients became NaN or infinite (names the rows), or memory does not suffice for one row.
        Preempted: a signal asked to stop; the state is saved.
        ArtifactError: the state cannot be written, or the one that is there belongs to another training.
    """
    classifier.to(runtime.device)
    share_model(runtime, classifier)
    alone = runtime.processes == 1
    # Sharded weights are sharded as the checkpoint has them.
    with nullcontext() if runtime.is_sharded else during_training(classifier, runtime.dtype, rows.tokens, alone):
        progress = _train(runtime, classifier, rows, config, seed, evaluate, metric, state, on_step, judged, called)
    if progress.best_metric is not None and runtime.is_main:
        log.info(f"Kept: {called} {progress.best_epoch}, {why_kept(progress, metric)}")
    return progress


def _train(
    runtime: Runtime,
    classifier: Trainable,
    rows: Examples,
    config: ResolvedTraining,
    seed: int,
    evaluate: Evaluate | None,
    metric: str,
    state: StateFolder | None,
    on_step: Callable[[float], object] | None,
    judged: int,
    called: str,
) -> Progress:
    torch.manual_seed(seed)
    learner = copy_to_shard(runtime.accelerator, classifier) if runtime.is_sharded else classifier
    model, optimizer = _prepare(runtime, learner, build_optimizer(learner, config), config)
    best = BestState(runtime, learner)
    first_epoch = rows.plan(config.batch_size, seed, 0)
    steps_per_epoch = len(first_epoch)
    recovery = Recovery(runtime, state, optimizer, best, config, first_epoch)
    progress = recovery.load() or Progress()
    total = config.epochs * steps_per_epoch
    started = time.perf_counter() - progress.seconds
    bar = runtime.track(None, "training", total=total, unit="step")
    bar.update(progress.step)
    with recovery.listening(), closing(bar), runtime.noticing_loss_in_passes(), runtime.cores.followed():
        losses = RowLosses(rows, model, runtime.device)
        step = _make_ready(runtime, losses, optimizer, config, seed, progress, first_epoch[0][:1])
        while True:
            # True before the first step and after each epoch, also when a resumed run stopped just there.
            if evaluate is not None and len(progress.epochs) * steps_per_epoch == progress.step:
                with runtime.stop.cutting():
                    metrics = evaluate(model)
                if recovery.asked_to_stop():
                    recovery.stop(progress)
                judge(progress, metrics, metric, best, judged, progress.step == total)
                bar.set_description(f"training ({metric} {metrics[metric]:.3f})", refresh=False)
                _tell(runtime, progress, steps_per_epoch, config.epochs, called, {metric: metrics[metric]})
                if progress.step:
                    runtime.log({f"validation/{name}": value for name, value in metrics.items()}, progress.step)
            patient = config.patience is None or progress.worse_epochs < config.patience
            if progress.step >= total or not patient:
                break
            epoch = progress.step // steps_per_epoch
            plan = rows.plan(config.batch_size, seed, epoch)
            model.train()
            for step_rows in plan[progress.step - epoch * steps_per_epoch :]:
                done = progress.step / total
                set_rate(optimizer, rate_factor(progress.step, total, config.schedule, config.warmup), done)
                if on_step is not None:
                    on_step(done)
                outcome = step.take(
                    step_rows, step_seed(seed, progress.step, runtime.rank), recovery.due(progress.step + 1)
                )
                _note(progress, outcome, step)
                progress.seconds = time.perf_counter() - started
                _after_step(bar, runtime, progress, config.batch_size, optimizer.param_groups[0]["lr"])
                if outcome.save:
                    recovery.save(progress)
                if outcome.stop:
                    recovery.stop(progress)
            if evaluate is None:
                _tell(runtime, progress, steps_per_epoch, config.epochs, called, {})
    progress.seconds = time.perf_counter() - started
    kept = best.weights if evaluate is not None else best.current()
    runtime.accelerator.free_memory()
    put_weights(classifier.to(runtime.device), kept)
    return progress


def measure_padding(
    rows: LabelledExamples | MixedExamples, batch_size: int, processes: int, seed: int, rounded: bool = False
) -> float:
    """Share of padding tokens in the first epoch; of packed batches, which are padded only where they are rounded."""
    parts = [step[r::processes] for step in rows.plan(batch_size, seed, 0) for r in range(processes)]
    if not rounded:
        encoded = rows.encoded
        return padding_share(encoded.by_row.lengths, [encoded.rows_of(part) for part in parts])
    real = np.array([rows.encoded.lengths[part].sum() for part in parts])
    fillers = sum(int(filler_lengths(int(tokens)).sum()) for tokens in real)
    return fillers / (fillers + int(real.sum()))


def _tell(
    runtime: Runtime, progress: Progress, steps: int, passes: int, called: str, validation: dict[str, float]
) -> None:
    """A line of the log for a pass over the rows, or for how things stand before the first."""
    done = progress.step // steps
    said = [f"loss {np.mean(progress.losses[-steps:]):.3f}"] if done else []
    said += [f"validation {name} {value:.4f}" for name, value in validation.items()]
    if runtime.is_main:
        log.info(f"{called} {done}/{passes}{'' if done else ', before training'}: {', '.join(said)}")


def _after_step(bar: Any, runtime: Runtime, progress: Progress, rows: int, rate: float) -> None:
    runtime.cores.look()
    bar.update()
    speed = f"{progress.step * rows / progress.seconds:.0f} rows/s"
    bar.set_postfix_str(f"loss {np.mean(progress.losses[-20:]):.3f}, {speed}", refresh=False)
    runtime.log({"train/loss": progress.losses[-1], "train/learning_rate": rate}, progress.step)


def _note(progress: Progress, outcome: Outcome, step: OptimizerStep) -> None:
    progress.losses.append(outcome.loss)
    progress.step += 1
    progress.skipped_steps += outcome.skipped
    progress.step_seconds += outcome.seconds
    progress.update_seconds += outcome.update_seconds
    if step.shrunk:
        progress.micro_batch_size = step.micro_batch_size


def _prepare(runtime: Runtime, classifier: Trainable, optimizer: Any, config: ResolvedTraining) -> tuple[Any, Any]:
    """The model and the optimizer that step; a model that is not sharded is wrapped once its memory has been tried."""
    accelerator = runtime.accelerator
    if not runtime.is_sharded:
        accelerator.gradient_accumulation_steps = 1
        return classifier, accelerator.prepare_optimizer(optimizer)
    most = share(config, runtime)
    micro_batches = -(-most // min(config.micro_batch_size or most, most))
    accelerator.gradient_accumulation_steps = micro_batches
    accelerator.step = 0
    plugin = getattr(accelerator.state, "deepspeed_plugin", None)
    if plugin is not None:  # there is no data loader for DeepSpeed to read these from
        plugin.deepspeed_config["gradient_accumulation_steps"] = micro_batches
        plugin.deepspeed_config["train_micro_batch_size_per_gpu"] = -(-most // micro_batches)
    model, prepared = accelerator.prepare(classifier, optimizer)
    return model, prepared


def _make_ready(
    runtime: Runtime,
    losses: RowLosses,
    optimizer: Any,
    config: ResolvedTraining,
    seed: int,
    progress: Progress,
    row: np.ndarray,
) -> OptimizerStep:
    """What takes the steps, with as many rows per forward pass as fit."""
    most = share(config, runtime)
    size = min(config.micro_batch_size or most, most)
    if runtime.is_sharded:  # Accelerate counts the parts of a step as they were when it prepared the model
        return OptimizerStep(runtime, losses, optimizer, config, size)
    size, complete = min(progress.micro_batch_size or size, size), True
    if runtime.processes > 1:
        size, complete = try_memory(runtime, losses, optimizer, config, seed, size)
    prepared = replicate(runtime, losses, complete, row)
    return OptimizerStep(runtime, prepared, optimizer, config, size, complete, losses.rows.inputs_of)
