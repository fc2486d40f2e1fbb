"""How sure the metrics of a finished run are: intervals over the rows of a split, from what the run keeps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from nlptl.evaluation.probabilities import probabilities_of
from nlptl.runs.answers import SplitAnswers
from nlptl.tasks import TaskSpec

if TYPE_CHECKING:
    from nlptl.evaluation.intervals import Interval


def split_intervals(
    task: TaskSpec, report: Mapping[str, Any], answers: SplitAnswers | None
) -> dict[str, Interval | None]:
    """Metric -> its 95 % interval; of a metric that is not there, none is known.

    Args:
        task: labels.
        report: what `metrics.json` says of the split.
        answers: on the split; None for runs of before they were kept, whose confusion matrix gives some.
    """
    from nlptl.evaluation.intervals import matrix_intervals, metric_intervals  # brings scikit-learn

    if answers is None:
        matrix = report.get("confusion_matrix")
        return {} if matrix is None else matrix_intervals(np.asarray(matrix, np.int64))[0]
    positive = None if task.positive_label is None else task.label_list().index(task.positive_label)
    probabilities = probabilities_of(answers.logits, task.kind == "multi_label")
    return metric_intervals(probabilities, answers.targets, positive)
