"""What `metrics.json` says of a scorer: how well it separates, and what is answered by it, beside the other road."""

from __future__ import annotations

from typing import Any

import numpy as np

from nlptl.evaluation.out_of_scope.measures import Measured, separation, share

SCORER, CLASS, BOTH = "scorer", "class", "both"
"""Roads out of scope: below the cut-off; the out-of-scope label is the most probable; either, which is what a run
answers."""


def scope_report(
    labels: list[str],
    label: str,
    scope: np.ndarray,
    probabilities: np.ndarray,
    targets: np.ndarray,
    threshold: float | None,
) -> dict[str, Any]:
    """The section `out_of_scope` of a split, each number with its 95 % interval.

    Args:
        labels: C names in id order.
        label: the out-of-scope label, which need not be one of them.
        scope: (N,) scores, higher is more in scope.
        probabilities: (N, C).
        targets: (N,) label ids.
        threshold: the lowest score that is in scope.

    Returns:
        Rows of both sides; `in_scope_accuracy` (share of in-scope rows whose most probable label is right, before
        anything is rejected); `auroc` and its like where there are rows of both sides; and `roads`, the two ways out of
        scope each by itself and together, with `in_scope_kept`, `in_scope_accuracy` (kept, and right) and
        `out_of_scope_recall`.
    """
    outside = labels.index(label) if label in labels else -1
    in_scope, best = targets != outside, probabilities.argmax(1)
    right = best == targets
    by_class = best == outside
    below = scope < (-np.inf if threshold is None else threshold)
    roads = {SCORER: below, **({CLASS: by_class, BOTH: by_class | below} if outside >= 0 else {})}
    return {
        "in_scope_rows": int(in_scope.sum()),
        "out_of_scope_rows": int((~in_scope).sum()),
        "in_scope_accuracy": _noted(share(right[in_scope])),
        **{name: found.noted() for name, found in separation(scope, in_scope).items()},
        "roads": {name: _road(rejected, right, in_scope) for name, rejected in roads.items()},
    }


def _road(rejected: np.ndarray, right: np.ndarray, in_scope: np.ndarray) -> dict[str, Any]:
    return {
        "in_scope_kept": _noted(share(~rejected[in_scope])),
        "in_scope_accuracy": _noted(share((~rejected & right)[in_scope])),
        "out_of_scope_recall": _noted(share(rejected[~in_scope])),
    }


def _noted(found: Measured | None) -> dict[str, Any] | None:
    return None if found is None else found.noted()
