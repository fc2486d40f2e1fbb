"""Writing a finished run: metrics, test predictions, and the artifact."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from nlptl.artifacts import environment, save_artifact, write_json
from nlptl.data.files import TableWriter
from nlptl.evaluation.decisions import Decision, fit_decision
from nlptl.evaluation.evaluator import full_report, probabilities_of
from nlptl.training.checkpointing import StateFolder
from nlptl.training.forward import subset
from nlptl.training.loop import measure_padding
from nlptl.transfer.job import Job, Trained, training_rows

VERIFIED_ROWS = 16


def save_run(job: Job, trained: Trained, folder: Path) -> None:
    several = job.task.kind == "multi_label"
    probabilities = probabilities_of(trained.validation_logits, several)
    decision = fit_decision(job.task, probabilities, job.targets["validation"])
    with job.clock.measure("saving"):
        classifier = trained.classifier.to("cpu")
        sample = subset(job.encoded["test"], np.arange(min(VERIFIED_ROWS, len(job.encoded["test"]))))
        _write_predictions(job, trained.test_logits, decision, folder / "predictions.csv")
        write_json(folder / "metrics.json", _metrics(job, trained, decision))
        save_artifact(
            folder,
            job.config,
            job.task,
            job.checkpoint,
            classifier,
            trained.mode,
            job.tokenizer,
            decision,
            job.max_length,
            sample,
        )
    StateFolder(folder / "state").remove()


def _metrics(job: Job, trained: Trained, decision: Decision) -> dict[str, Any]:
    seconds = job.clock.seconds
    busy = seconds.get("training", 0.0) if job.mode.trains_encoder else seconds["features"] + seconds["head"]
    parameters = list(trained.classifier.parameters())
    trainable = [p for p in parameters if p.requires_grad] or list(trained.classifier.head.parameters())
    rows = training_rows(job, "train")
    seen = len(trained.progress.losses) / max(-(-len(rows.targets) // (job.config.training.batch_size or 1)), 1)
    examples = seen * len(rows.targets) if job.mode.trains_encoder else len(rows.targets)
    padding = measure_padding(rows, job.config.training.batch_size or 1, job.runtime.processes, job.config.seed)
    return {
        "test": full_report(job.task, trained.test_logits, job.targets["test"], decision),
        "validation": full_report(job.task, trained.validation_logits, job.targets["validation"], decision),
        "time": {
            **job.clock.report(),
            "train_examples_per_second": examples / busy if busy else None,
            "padding_share": padding if job.mode.trains_encoder else None,
        },
        "training": {
            "best_epoch": trained.progress.best_epoch,
            "steps": trained.progress.step,
            "epochs": trained.progress.epochs,
            "losses": trained.progress.losses,
            "skipped_steps": trained.progress.skipped_steps,
            "micro_batch_size": trained.progress.micro_batch_size,
            **trained.notes,
        },
        "model": {
            "parameters": sum(p.numel() for p in parameters),
            "trainable_parameters": sum(p.numel() for p in trainable),
            "checkpoint": job.checkpoint.record(),
            "pooling": job.pooling,
        },
        "data": {**job.splits.sizes(), "labels": len(job.task.label_list()), "audit": job.splits.audit.counts},
        "runtime": {
            "device": job.runtime.device.type,
            "precision": job.runtime.precision,
            "processes": job.runtime.processes,
            "threads": torch.get_num_threads(),
        },
        "versions": environment(),
    }


def _write_predictions(job: Job, logits: np.ndarray, decision: Decision, path: Path) -> None:
    labels = job.task.label_list()
    probabilities = probabilities_of(logits, job.task.kind == "multi_label")
    decided, scores = decision.apply(probabilities, labels)
    test = job.splits.test
    separator = job.task.label_separator
    table = pd.DataFrame(
        {
            **{column: test[column] for column in ("file", "row", "text", "text_pair") if column in test},
            "label": [separator.join(name) if isinstance(name, list) else name for name in test["label"]],
            "predicted": [separator.join(name) if isinstance(name, list) else name for name in decided],
            "most_probable": [labels[i] for i in probabilities.argmax(1)],
            "score": np.round(scores.astype(float), 6),
        }
    )
    with TableWriter(path) as writer:
        writer.write(table)
