"""The one training loop: every strategy goes through `fit`."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nlptl.config import TrainingConfig
from nlptl.data.batching import padding_share
from nlptl.errors import NlptlError
from nlptl.models.encoder import EncoderModel, put_weights, trainable_weights
from nlptl.training.checkpointing import Progress, StateFolder, Weights
from nlptl.training.mixed_rows import MixedRows
from nlptl.training.optimization import build_optimizer, rate_factor, set_rate
from nlptl.training.rows import LabelledRows, Rows
from nlptl.training.runtime import Runtime

Evaluate = Callable[[Any], dict[str, float]]


def fit(
    runtime: Runtime,
    classifier: EncoderModel,
    rows: Rows,
    config: TrainingConfig,
    seed: int,
    evaluate: Evaluate | None = None,
    metric: str = "accuracy",
    state: StateFolder | None = None,
    stop_after: int | None = None,
    on_step: Callable[[float], object] | None = None,
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
        evaluate: model -> validation metrics; called before the first epoch and after each. None: keep the last state.
        metric: the one of them that decides; higher is better, but for `loss`.
        state: where to save, and to go on from if it exists.
        stop_after: end after this many epochs of the planned schedule.
        on_step: told before each step the share of all planned steps that lies behind, for schedules other than the
            learning rate's.

    Raises:
        NlptlError: the gradients became NaN or infinite; names the rows.
    """
    assert config.epochs is not None and config.batch_size is not None  # filled before training
    torch.manual_seed(seed)
    classifier.to(runtime.device)
    micro_batches = _micro_batches_per_step(config, runtime)
    model, optimizer = _prepare(runtime, classifier, build_optimizer(classifier, config), micro_batches, config)
    keep = _Best(runtime, classifier, model)
    progress = Progress()
    steps_per_epoch = len(rows.plan(config.batch_size, seed, 0))
    if state is not None and state.exists():
        weights, keep.weights, progress = state.load(optimizer)
        keep.put(weights)
        # It may have been stopped after the last step of an epoch, before that epoch was validated.
        if evaluate is not None and len(progress.epochs) * steps_per_epoch == progress.step:
            _judge(progress, evaluate(model), metric, len(progress.epochs), keep)
    elif evaluate is not None:
        _judge(progress, evaluate(model), metric, 0, keep)
    total, last_epoch = config.epochs * steps_per_epoch, stop_after or config.epochs
    started = time.perf_counter() - progress.seconds
    bar = runtime.track(None, "training", total=last_epoch * steps_per_epoch, unit="step")
    bar.update(progress.step)
    while progress.step < last_epoch * steps_per_epoch:
        if config.patience is not None and progress.worse_epochs >= config.patience:
            break
        epoch = progress.step // steps_per_epoch
        plan = rows.plan(config.batch_size, seed, epoch)
        model.train()
        for step_rows in plan[progress.step - epoch * steps_per_epoch :]:
            factor = rate_factor(progress.step, total, config.schedule, config.warmup)
            set_rate(optimizer, factor, progress.step / total)
            torch.manual_seed(_step_seed(seed, progress.step, runtime.rank))
            if on_step is not None:
                on_step(progress.step / total)
            loss = _step(runtime, model, optimizer, rows, step_rows, micro_batches, config)
            progress.losses.append(loss)
            progress.step += 1
            bar.update()
            bar.set_postfix(loss=f"{np.mean(progress.losses[-20:]):.3f}", refresh=False)
            runtime.log({"train/loss": loss, "train/learning_rate": optimizer.param_groups[0]["lr"]}, progress.step)
            if state is not None and runtime.is_main and not runtime.is_sharded and state.due():
                progress.seconds = time.perf_counter() - started
                state.save(keep.current(), keep.weights, optimizer, progress)
        if evaluate is not None:
            metrics = evaluate(model)
            _judge(progress, metrics, metric, epoch + 1, keep)
            runtime.log({f"validation/{name}": value for name, value in metrics.items()}, progress.step)
            bar.set_description(f"training ({metric} {metrics[metric]:.3f})")
    bar.close()
    progress.seconds = time.perf_counter() - started
    # Sharded weights come back into the plain classifier; elsewhere it has them already.
    best = keep.weights if evaluate is not None else keep.current()
    # Accelerate wrapped the forward in autocast; what is saved and compared is the bare model.
    runtime.accelerator.unwrap_model(model, keep_fp32_wrapper=False)
    runtime.accelerator.free_memory()
    keep.put(best)
    return progress


def measure_padding(rows: LabelledRows | MixedRows, batch_size: int, processes: int, seed: int) -> float:
    """Share of padding tokens in the first epoch."""
    plan = rows.plan(batch_size, seed, 0)
    return padding_share(rows.encoded.lengths, [step[r::processes] for step in plan for r in range(processes)])


def _step(
    runtime: Runtime,
    model: Any,
    optimizer: Any,
    rows: Rows,
    step_rows: np.ndarray,
    micro_batches: int,
    config: TrainingConfig,
) -> float:
    """One optimizer step; its mean loss over the rows of all processes."""
    accelerator = runtime.accelerator
    mine = np.array_split(step_rows[runtime.rank :: runtime.processes], micro_batches)
    total = torch.zeros((), device=runtime.device)
    for part in mine:
        # A process without rows in a short last step still takes part, with a row that weighs nothing.
        used, weight = (part, 1.0) if len(part) else (step_rows[:1], 0.0)
        with accelerator.accumulate(model), accelerator.autocast():
            loss = rows.losses(model, used, runtime.device).sum() * (weight / len(step_rows))
            # DDP averages over processes and Accelerate over micro-batches; the sum over all rows is wanted.
            accelerator.backward(loss * (runtime.processes * micro_batches))
            if accelerator.sync_gradients:
                norm = accelerator.clip_grad_norm_(model.parameters(), config.clip or float("inf"))
                _check_finite(runtime, norm, step_rows)
            optimizer.step()
            optimizer.zero_grad()
        total += loss.detach()
    return float(runtime.sum(total.cpu().numpy().reshape(1))[0])


def _check_finite(runtime: Runtime, norm: Tensor | None, step_rows: np.ndarray) -> None:
    # fp16 overflows now and then; its scaler skips such steps by itself.
    if norm is None or runtime.precision == "fp16" or bool(torch.isfinite(torch.as_tensor(norm))):
        return
    listed = ", ".join(str(row + 1) for row in sorted(step_rows)[:50])
    raise NlptlError(
        f"The gradients became NaN or infinite, so training stopped before using them. Training rows of this batch: "
        f"{listed}. Try a lower training.learning_rate or --set runtime.precision=fp32."
    )


def _prepare(
    runtime: Runtime, classifier: EncoderModel, optimizer: Any, micro_batches: int, config: TrainingConfig
) -> tuple[Any, Any]:
    accelerator = runtime.accelerator
    accelerator.gradient_accumulation_steps = micro_batches
    accelerator.step = 0
    plugin = getattr(accelerator.state, "deepspeed_plugin", None)
    if plugin is not None:  # there is no data loader for DeepSpeed to read these from
        assert config.batch_size is not None
        plugin.deepspeed_config["gradient_accumulation_steps"] = micro_batches
        share = -(-config.batch_size // (runtime.processes * micro_batches))
        plugin.deepspeed_config["train_micro_batch_size_per_gpu"] = share
    model, prepared = accelerator.prepare(classifier, optimizer)
    return model, prepared


def _micro_batches_per_step(config: TrainingConfig, runtime: Runtime) -> int:
    assert config.batch_size is not None
    share = -(-config.batch_size // runtime.processes)
    return -(-share // (config.micro_batch_size or share))


def _step_seed(seed: int, step: int, rank: int) -> int:
    return int(np.random.SeedSequence([seed, step, rank]).generate_state(1, np.uint64)[0] >> 1)


def _judge(progress: Progress, metrics: dict[str, float], metric: str, epoch: int, keep: _Best) -> None:
    best = next((e for e in progress.epochs if e["epoch"] == progress.best_epoch), None)
    progress.epochs.append({"epoch": epoch, **metrics})
    if best is None or _rank(metrics, metric) > _rank(best, metric):
        progress.best_metric, progress.best_epoch, progress.worse_epochs = metrics[metric], epoch, 0
        keep.take()
    else:
        progress.worse_epochs += 1


def _rank(metrics: dict[str, float], metric: str) -> tuple[float, float]:
    # Small validation splits tie often; then the lower loss is the better state.
    loss = -metrics.get("loss", 0.0)
    return (loss if metric == "loss" else metrics[metric], loss)


class _Best:
    """The best trainable weights so far, on the CPU, and the way back into the classifier."""

    def __init__(self, runtime: Runtime, classifier: EncoderModel, model: Any) -> None:
        self._runtime, self._classifier, self._model = runtime, classifier, model
        self._names = [name for name, p in classifier.named_parameters() if p.requires_grad]
        self.weights: Weights = {}

    def current(self) -> Weights:
        """The trainable weights as they are now."""
        if self._runtime.is_sharded:
            full = self._runtime.accelerator.get_state_dict(self._model)
            return {name: tensor.detach().cpu() for name, tensor in full.items() if name in self._names}
        return trainable_weights(self._classifier)

    def take(self) -> None:
        """Remember the present state."""
        self.weights = self.current()

    def put(self, weights: Weights) -> None:
        """Copy weights into the classifier."""
        put_weights(self._classifier, weights)
