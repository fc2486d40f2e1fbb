"""Writing a finished run: metrics, test predictions, and the artifact."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from nlptl.data.encoding import Encoded
from nlptl.data.files import TableWriter
from nlptl.evaluation.decisions import Decision, fit_decision
from nlptl.evaluation.evaluator import full_report, probabilities_of
from nlptl.runs.artifact import ALONE, Head, head_folder, save_artifact
from nlptl.storage.json_files import read_json, write_json
from nlptl.storage.versions import environment
from nlptl.strategies.job import Job, Trained, training_rows
from nlptl.tasks import TaskSpec
from nlptl.training.examples.labelled import LabelledExamples
from nlptl.training.examples.mixed import MixedExamples
from nlptl.training.forward import concatenate, subset
from nlptl.training.loop import measure_padding
from nlptl.training.profile import encoder_flops, matmul_peak, peak_memory
from nlptl.training.resume.states import StateFolder

VERIFIED_ROWS = 16


def save_run(job: Job, trained: Trained, folder: Path) -> None:
    """Write a run of one task."""
    with job.clock.measure("saving"):
        head = Head(job.task, _decision(job, trained))
        classifier = trained.classifier.to("cpu")
        write_predictions(job.task, job.splits.test, trained.test_logits, head.decision, folder / "predictions.csv")
        facts = {
            **_reports(job, trained, head.decision),
            **_facts(job, trained, training_rows(job, "train")),
            "data": _data(job),
        }
        write_json(folder / "metrics.json", facts)
        save_artifact(
            folder,
            job.config,
            [head],
            job.checkpoint,
            classifier,
            trained.mode,
            job.tokenizer,
            job.max_length,
            _verified(job, VERIFIED_ROWS),
        )
    _conclude(job, facts, folder)


def save_together(jobs: list[Job], trained: list[Trained], rows: MixedExamples, folder: Path) -> None:
    """Write a run of several tasks on one classifier; where they were also trained alone, the differences."""
    lead, first = jobs[0], trained[0]
    with lead.clock.measure("saving"):
        heads: list[Head] = []
        tasks = {}
        sample = _verified(lead, VERIFIED_ROWS)
        for job, one in zip(jobs, trained, strict=True):
            head = Head(job.task, _decision(job, one), heads[-1].columns.stop if heads else 0)
            heads.append(head)
            home = head_folder(folder, job.task.name, len(jobs))
            home.mkdir(parents=True, exist_ok=True)
            write_predictions(job.task, job.splits.test, one.test_logits, head.decision, home / "predictions.csv")
            reports = _reports(job, one, head.decision)
            tasks[job.task.name] = {"metric": job.task.metric, **reports, "data": _data(job), **one.notes}
            tasks[job.task.name] |= _difference(job, tasks[job.task.name], folder)
            if job is not lead:
                sample = concatenate(sample, _verified(job, VERIFIED_ROWS))
        facts = {
            **{split: _summary(jobs, tasks, split) for split in ("test", "validation")},
            "tasks": tasks,
            **_facts(lead, replace(first, notes={}), rows),
            "data": {name: sum(job.splits.sizes()[name] for job in jobs) for name in lead.splits.sizes()},
        }
        write_json(folder / "metrics.json", facts)
        save_artifact(
            folder,
            lead.config,
            heads,
            lead.checkpoint,
            first.classifier.to("cpu"),
            first.mode,
            lead.tokenizer,
            lead.max_length,
            sample,
        )
    _conclude(lead, facts, folder)


def _conclude(job: Job, facts: dict[str, Any], folder: Path) -> None:
    """Say how long saving took, too, and let go of the training state."""
    facts["time"] |= job.clock.report()
    write_json(folder / "metrics.json", facts)
    StateFolder(folder / "state").remove()


def _summary(jobs: list[Job], tasks: dict[str, Any], split: str) -> dict[str, Any]:
    """Each task's primary metric, and their mean."""
    values = {f"{job.task.name} {job.task.metric}": tasks[job.task.name][split][job.task.metric] for job in jobs}
    rows = sum(len(job.targets[split]) for job in jobs)
    return {"rows": rows, "mean": float(np.mean(list(values.values()))), **values}


def _difference(job: Job, together: dict[str, Any], folder: Path) -> dict[str, Any]:
    """The primary metric of the same task trained alone, and what training together added to it."""
    home = folder / ALONE / job.task.name
    if not (home / "manifest.json").exists():
        return {}
    metric, alone = job.task.metric, read_json(home / "metrics.json")
    before = {split: alone[split][metric] for split in ("test", "validation")}
    return {"alone": before, "difference": {split: together[split][metric] - before[split] for split in before}}


def _decision(job: Job, trained: Trained) -> Decision:
    probabilities = probabilities_of(trained.validation_logits, job.task.kind == "multi_label")
    return fit_decision(job.task, probabilities, job.targets["validation"])


def _verified(job: Job, rows: int) -> Encoded:
    return subset(job.encoded["test"], np.arange(min(rows, len(job.encoded["test"]))))


def _reports(job: Job, trained: Trained, decision: Decision) -> dict[str, Any]:
    return {
        "test": full_report(job.task, trained.test_logits, job.targets["test"], decision),
        "validation": full_report(job.task, trained.validation_logits, job.targets["validation"], decision),
    }


def _data(job: Job) -> dict[str, Any]:
    return {**job.splits.sizes(), "labels": len(job.task.label_list()), "audit": job.splits.audit.counts}


def _facts(job: Job, trained: Trained, rows: LabelledExamples | MixedExamples) -> dict[str, Any]:
    """What `metrics.json` says besides metrics and data."""
    parameters = list(trained.classifier.parameters())
    trainable = [p for p in parameters if p.requires_grad] or list(trained.classifier.head.parameters())
    return {
        "time": {**job.clock.report(), **_work(job, trained, rows)},
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
        "runtime": {
            "device": job.runtime.device.type,
            "precision": job.runtime.precision,
            "processes": job.runtime.processes,
            "threads": torch.get_num_threads(),
        },
        "versions": environment(),
        **trained.facts,
    }


def _work(job: Job, trained: Trained, rows: LabelledExamples | MixedExamples) -> dict[str, float]:
    """What training did in its time: rates over the optimizer steps, or over encoding and head of a frozen encoder."""
    seconds, progress, count = job.clock.seconds, trained.progress, len(rows.encoded)
    frozen = not job.mode.trains_encoder
    batch_size = job.config.training.batch_size
    busy = seconds["features"] + seconds["head"] if frozen else progress.step_seconds
    examples = count if frozen else count * progress.step / max(-(-count // batch_size), 1)
    tokens = examples * float(rows.encoded.lengths.mean()) if count else 0.0
    peak = matmul_peak(job.runtime) if job.config.runtime.measure_peak else None
    work = encoder_flops(trained.classifier.encoder, round(tokens), training=not frozen)
    told = {
        "forward_backward_seconds": None if frozen else progress.step_seconds - progress.update_seconds,
        "optimizer_seconds": None if frozen else progress.update_seconds,
        "train_examples_per_second": examples / busy if busy else None,
        "train_tokens_per_second": tokens / busy if busy else None,
        "padding_share": None if frozen else _padding(job, trained, rows),
        "peak_memory_gigabytes": peak_memory(job.runtime.device) / 1e9,
        "share_of_peak": work / busy / peak if peak and busy else None,
    }
    return {name: value for name, value in told.items() if value is not None}


def _padding(job: Job, trained: Trained, rows: LabelledExamples | MixedExamples) -> float:
    if trained.classifier.packs and not job.records:
        return 0.0
    size, processes = job.config.training.batch_size, job.runtime.processes
    return measure_padding(rows, size, processes, job.config.seed, rounded=job.records)


def write_predictions(task: TaskSpec, test: pd.DataFrame, logits: np.ndarray, decision: Decision, path: Path) -> None:
    """Write the test rows with gold label, decision, most probable label and score.

    Args:
        task: its labels in id order.
        test: the test split.
        logits: (rows, C) of them.
        decision: fitted on validation.
        path: the file.
    """
    labels = task.label_list()
    probabilities = probabilities_of(logits, task.kind == "multi_label")
    decided, scores = decision.apply(probabilities, labels)
    separator = task.label_separator
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
