"""What is reported of a split: metrics, labels one by one, confusion matrix, and what the decision makes of it."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn import metrics as sk

from nlptl.evaluation.decisions import Decision
from nlptl.evaluation.metrics import compute_metric
from nlptl.registry import METRICS
from nlptl.tasks import TaskSpec

ALWAYS = ("accuracy", "macro_f1")


def probabilities_of(logits: np.ndarray, multi_label: bool) -> np.ndarray:
    """Softmax (or sigmoid, for several labels at once) of (N, C) logits, in float64 for stability, as float32."""
    wide = logits.astype(np.float64)
    if multi_label:
        return np.asarray(1.0 / (1.0 + np.exp(-wide.clip(-60, 60))), np.float32)
    wide -= wide.max(1, keepdims=True, initial=-np.inf)
    exponent = np.exp(wide)
    return np.asarray(exponent / exponent.sum(1, keepdims=True), np.float32)


def quick_metrics(task: TaskSpec, logits: np.ndarray, targets: np.ndarray) -> dict[str, float]:
    """The numbers that steer training: the task's metrics of the most probable label, and the loss."""
    probabilities = probabilities_of(logits, targets.ndim == 2)
    predicted = _most_probable(probabilities, targets)
    positive = task.label_list().index(task.positive_label) if task.positive_label else None
    names = [*ALWAYS, *(n for n in (task.metric, *task.metrics) if n not in ALWAYS)]
    values = {name: compute_metric(name, predicted, probabilities, targets, positive) for name in dict.fromkeys(names)}
    return {**values, "loss": mean_loss(probabilities, targets)}


def full_report(task: TaskSpec, logits: np.ndarray, targets: np.ndarray, decision: Decision) -> dict[str, Any]:
    """Everything `metrics.json` says of a split.

    `accuracy`, `macro_f1` and the other top-level numbers measure the most probable label, as the literature does;
    `decided` measures what predict answers once the task's decision policy has spoken.

    Args:
        task: labels and metrics.
        logits: (N, C).
        targets: (N,) ids, or (N, C) 0/1.
        decision: fitted on validation.
    """
    labels = task.label_list()
    probabilities = probabilities_of(logits, targets.ndim == 2)
    predicted = _most_probable(probabilities, targets)
    report: dict[str, Any] = {"rows": len(targets), **quick_metrics(task, logits, targets)}
    ids = list(range(len(labels)))
    precision, recall, f1, support = sk.precision_recall_fscore_support(targets, predicted, labels=ids, zero_division=0)
    report["per_class"] = {
        name: {"precision": float(p), "recall": float(r), "f1": float(f), "rows": int(n)}
        for name, p, r, f, n in zip(labels, precision, recall, f1, support, strict=True)
    }
    if targets.ndim == 1:
        report["confusion_matrix"] = sk.confusion_matrix(targets, predicted, labels=ids).tolist()
        report["decided"] = _decided(labels, targets, decision.apply(probabilities, labels)[0], decision)
    return report


def check_metrics(task: TaskSpec) -> None:
    """Refuse a task whose metrics do not exist, before anything is trained.

    Raises:
        ConfigError: lists the metrics there are.
    """
    for name in (task.metric, *task.metrics):
        METRICS.get(name)


def _decided(labels: list[str], targets: np.ndarray, decided: list[str], decision: Decision) -> dict[str, Any]:
    wanted = [labels[i] for i in targets]
    result = {
        "policy": decision.policy,
        "threshold": decision.threshold,
        "accuracy": float(np.mean([a == b for a, b in zip(wanted, decided, strict=True)])) if wanted else float("nan"),
        "macro_f1": float(sk.f1_score(wanted, decided, average="macro", labels=sorted(set(wanted)), zero_division=0)),
    }
    if decision.policy == "out_of_scope":
        inside = [d != decision.label for w, d in zip(wanted, decided, strict=True) if w != decision.label]
        outside = [d == decision.label for w, d in zip(wanted, decided, strict=True) if w == decision.label]
        result["in_scope_kept"] = float(np.mean(inside)) if inside else None
        result["out_of_scope_recall"] = float(np.mean(outside)) if outside else None
    return result


def _most_probable(probabilities: np.ndarray, targets: np.ndarray) -> np.ndarray:
    if targets.ndim == 2:
        return (probabilities >= 0.5).astype(np.float32)
    return probabilities.argmax(1) if len(probabilities) else np.zeros(0, np.int64)


def mean_loss(probabilities: np.ndarray, targets: np.ndarray) -> float:
    """Mean negative log-likelihood of targets (N,) ids or (N, C) 0/1 under probabilities (N, C); NaN without rows."""
    if not len(targets):
        return float("nan")
    safe = probabilities.clip(1e-12, 1.0)
    if targets.ndim == 2:
        other = (1 - probabilities).clip(1e-12, 1.0)
        return float(-(targets * np.log(safe) + (1 - targets) * np.log(other)).sum(1).mean())
    return float(-np.log(safe[np.arange(len(targets)), targets]).mean())
