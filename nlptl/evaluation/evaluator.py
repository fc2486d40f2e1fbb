"""What is reported of a split: metrics, labels one by one, confusion matrix, and what the decision makes of it.

scikit-learn, and what measures by it, is imported when something is measured: predicting passes through here and needs
none of it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from nlptl.errors import ConfigError
from nlptl.evaluation.alerts import alert_report
from nlptl.evaluation.calibration import Calibration
from nlptl.evaluation.calibration.measures import bins_noted, calibration_measures, reliability
from nlptl.evaluation.decisions import Decision, decide
from nlptl.evaluation.probabilities import mean_loss, probabilities_of
from nlptl.registry import METRICS
from nlptl.tasks import TaskSpec

ALWAYS = ("accuracy", "macro_f1")


def compute_metric(
    name: str, predicted: np.ndarray, scores: np.ndarray, targets: np.ndarray, positive: int | None
) -> float:
    """One metric by name.

    Args:
        name: a registered metric.
        predicted: (N,) ids, or (N, C) 0/1.
        scores: (N, C) probabilities.
        targets: (N,) ids, or (N, C) 0/1.
        positive: id of the positive label; score metrics are NaN without one.

    Raises:
        ConfigError: there is no such metric, or it gives no number of its own name.
    """
    metric = METRICS.get(name)
    if len(targets) == 0 or (metric.needs_positive and positive is None):
        return float("nan")
    if metric.on_scores:
        wanted = targets[:, positive] if targets.ndim == 2 else targets == positive
        result = metric().compute(predictions=scores[:, positive].tolist(), references=wanted.astype(int).tolist())
    else:
        result = metric().compute(predictions=predicted.tolist(), references=targets.tolist())
    if not isinstance(result, dict) or name not in result:
        raise ConfigError(
            f"The metric {name!r} ({metric.__module__}.{metric.__qualname__}) gave {result!r}; its _compute must "
            f"return {{{name!r}: number}}."
        )
    return float(result[name])


def quick_metrics(task: TaskSpec, logits: np.ndarray, targets: np.ndarray) -> dict[str, float]:
    """The numbers that steer training: the task's metrics of the most probable label, and the loss.

    Args:
        task: labels and metrics.
        logits: (N, C).
        targets: (N,) ids, or (N, C) 0/1.
    """
    probabilities = probabilities_of(logits, targets.ndim == 2)
    predicted = _most_probable(probabilities, targets)
    positive = task.label_list().index(task.positive_label) if task.positive_label else None
    names = [*ALWAYS, *(n for n in (task.metric, *task.metrics) if n not in ALWAYS)]
    values = {name: compute_metric(name, predicted, probabilities, targets, positive) for name in dict.fromkeys(names)}
    return {**values, "loss": mean_loss(probabilities, targets)}


def full_report(
    task: TaskSpec,
    logits: np.ndarray,
    targets: np.ndarray,
    decision: Decision,
    calibration: Calibration,
    scope: np.ndarray | None = None,
) -> dict[str, Any]:
    """Everything `metrics.json` says of a split.

    `accuracy`, `macro_f1` and the other top-level numbers measure the model's most probable label, as the literature
    does; `calibration` how far probabilities can be trusted before and after it; `decided` measures what predict
    answers once calibration and the task's decision policy have spoken; `alerts`, where the task has a positive label,
    how many of its rows are found at how many alerts.

    Args:
        task: labels and metrics.
        logits: (N, C).
        targets: (N,) ids, or (N, C) 0/1.
        decision: fitted on validation.
        calibration: fitted on validation.
        scope: (N,) of the scorer that the decision goes by, where it has one.
    """
    from sklearn import metrics as sk

    labels = task.label_list()
    plain = probabilities_of(logits, targets.ndim == 2)
    predicted = _most_probable(plain, targets)
    report: dict[str, Any] = {"rows": len(targets), **quick_metrics(task, logits, targets)}
    ids = list(range(len(labels)))
    report["per_class"] = _by_label(labels, targets, predicted)
    if targets.ndim == 1:
        report["confusion_matrix"] = sk.confusion_matrix(targets, predicted, labels=ids).tolist()
    probabilities = calibration.probabilities(logits, targets.ndim == 2)
    report["calibration"] = {
        "method": calibration.method,
        "before": calibration_measures(plain, targets),
        "after": calibration_measures(probabilities, targets),
        "bins": bins_noted(reliability(probabilities, targets)),
        **({"note": calibration.note} if calibration.note else {}),
    }
    if task.positive_label is not None:
        place = labels.index(task.positive_label)
        positive = targets[:, place] > 0.5 if targets.ndim == 2 else targets == place
        report["alerts"] = alert_report(plain[:, place], positive)
    report["decided"] = _decided(labels, targets, decide(decision, probabilities, labels, scope)[0], decision)
    if scope is not None and getattr(decision, "scorer", None) is not None:
        from nlptl.evaluation.out_of_scope.report import scope_report

        right = (str(decision.label), scope, probabilities, targets, decision.threshold)
        report["out_of_scope"] = scope_report(labels, *right)
    return report


def check_metrics(task: TaskSpec) -> None:
    """Refuse a task whose metrics do not exist or cannot be imported, before anything is trained.

    Raises:
        ConfigError: lists the metrics there are.
    """
    for name in (task.metric, *task.metrics):
        METRICS.get(name)


def _decided(labels: list[str], targets: np.ndarray, decided: list[Any], decision: Decision) -> dict[str, Any]:
    """What the decisions are worth; the note of the fit goes with them."""
    from sklearn import metrics as sk

    several = targets.ndim == 2
    wanted = [[labels[i] for i in np.flatnonzero(row)] for row in targets] if several else [labels[i] for i in targets]
    result: dict[str, Any] = {"policy": decision.policy, "threshold": decision.threshold}
    further = {**decision.measures(wanted, decided), **({"note": decision.note} if decision.note else {})}
    if decision.gives_sets:
        return {**result, **further}
    right = [set(a) == set(b) if several else a == b for a, b in zip(wanted, decided, strict=True)]
    result["accuracy"] = float(np.mean(right)) if right else float("nan")
    if several:
        table = np.array([[label in names for label in labels] for names in decided], bool).reshape(targets.shape)
        result |= {
            f"{how}_f1": float(sk.f1_score(targets > 0.5, table, average=how, zero_division=0)) if right else 0.0
            for how in ("macro", "micro")
        }
        result["per_class"] = _by_label(labels, targets, table.astype(np.float32))
    else:
        there = sorted(set(wanted))
        result["macro_f1"] = float(sk.f1_score(wanted, decided, average="macro", labels=there, zero_division=0))
    return {**result, **further}


def _by_label(labels: list[str], targets: np.ndarray, predicted: np.ndarray) -> dict[str, dict[str, Any]]:
    """Precision, recall, F1 and number of rows of each label; (N,) ids or (N, C) 0/1."""
    from sklearn import metrics as sk

    ids = list(range(len(labels)))
    precision, recall, f1, support = sk.precision_recall_fscore_support(targets, predicted, labels=ids, zero_division=0)
    return {
        name: {"precision": float(p), "recall": float(r), "f1": float(f), "rows": int(n)}
        for name, p, r, f, n in zip(labels, precision, recall, f1, support, strict=True)
    }


def _most_probable(probabilities: np.ndarray, targets: np.ndarray) -> np.ndarray:
    if targets.ndim == 2:
        return (probabilities >= 0.5).astype(np.float32)
    return probabilities.argmax(1) if len(probabilities) else np.zeros(0, np.int64)
