"""What `metrics.json` says of a training on an encoder: its course, the model's size, and the work done in its time."""

from __future__ import annotations

from typing import Any

import torch

from nlptl.strategies.fine_tune import examples_of
from nlptl.strategies.job import Job, Trained
from nlptl.strategies.long_texts import long_texts_of
from nlptl.training.examples.labelled import LabelledExamples
from nlptl.training.examples.mixed import MixedExamples
from nlptl.training.loop import measure_padding
from nlptl.training.profile import encoder_flops, matmul_peak, peak_memory


def facts_of(job: Job, trained: Trained) -> dict[str, Any]:
    """The sections training, model, long_texts, runtime and time, and whatever the strategy adds."""
    parameters = list(trained.classifier.parameters())
    trainable = [p for p in parameters if p.requires_grad] or list(trained.classifier.head.parameters())
    progress = trained.progress
    return {
        "training": {
            "best_epoch": progress.best_epoch,
            "steps": progress.step,
            "epochs": progress.epochs,
            "losses": progress.losses,
            "skipped_steps": progress.skipped_steps,
            "micro_batch_size": progress.micro_batch_size,
        },
        "model": {
            "parameters": sum(p.numel() for p in parameters),
            "trainable_parameters": sum(p.numel() for p in trainable),
            "checkpoint": job.checkpoint.record(),
            "pooling": job.pooling,
            "max_length": job.max_length,
        },
        "long_texts": long_texts_of(job),
        "runtime": {
            "device": job.runtime.device.type,
            "precision": job.runtime.precision,
            "processes": job.runtime.processes,
            "threads": torch.get_num_threads(),
        },
        "time": _work(job, trained),
        **trained.facts,
    }


def _work(job: Job, trained: Trained) -> dict[str, float]:
    """What training did in its time: rates over the optimizer steps, or over encoding and head of a frozen encoder."""
    examples = examples_of(job, "train", [1.0] * len(job.parts))
    seconds, progress, count = job.clock.seconds, trained.progress, len(examples.encoded)
    frozen = not job.mode.trains_encoder
    busy = seconds["features"] + seconds["head"] if frozen else progress.step_seconds
    seen = count if frozen else count * progress.step / max(-(-count // job.config.training.batch_size), 1)
    tokens = seen * float(examples.encoded.lengths.mean()) if count else 0.0
    peak = matmul_peak(job.runtime) if job.config.runtime.measure_peak else None
    work = encoder_flops(trained.classifier.encoder, round(tokens), training=not frozen)
    told = {
        "forward_backward_seconds": None if frozen else progress.step_seconds - progress.update_seconds,
        "optimizer_seconds": None if frozen else progress.update_seconds,
        "train_examples_per_second": seen / busy if busy else None,
        "train_tokens_per_second": tokens / busy if busy else None,
        "padding_share": None if frozen else _padding(job, trained, examples),
        "peak_memory_gigabytes": peak_memory(job.runtime.device) / 1e9,
        "share_of_peak": work / busy / peak if peak and busy else None,
    }
    return {name: value for name, value in told.items() if value is not None}


def _padding(job: Job, trained: Trained, examples: LabelledExamples | MixedExamples) -> float:
    size, processes = job.config.training.batch_size, job.runtime.processes
    rounded = job.kernels.cuda_graphs and processes == 1
    if trained.classifier.packs and not rounded:
        return 0.0
    return measure_padding(examples, size, processes, job.config.seed, rounded)
