"""Sets of labels that hold the true one as often as was asked for: split conformal prediction."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from nlptl.evaluation.decisions.floors import proportion
from nlptl.evaluation.decisions.policy import Decision
from nlptl.tasks import TaskSpec

if TYPE_CHECKING:
    import numpy as np

ALL = 1e9
"""A score that no label exceeds."""
PENALTY, FREE = 0.01, 5
"""raps: what each label beyond the first `FREE` adds to a set's score (Angelopoulos et al. 2021)."""


@dataclass(frozen=True, kw_only=True)
class PredictionSets(Decision):
    """Every label that is plausible: sets that hold the true label for `decision.coverage` of texts.

    That holds on average over texts that are exchangeable with the validation rows: drawn alike, in no order that
    matters. It fails where texts change with time, and it need not hold for each label by itself.

    `decision.sets`: lac, the labels whose probability is high enough (Sadinle, Lei & Wasserman 2019): the smallest
    sets, which may be empty; then no label is plausible. aps, the most probable labels until their sum is high enough
    (Romano, Sesia & Candes 2020): wider for harder texts and never empty. raps, aps with a penalty on long sets
    (Angelopoulos et al. 2021). Where the most probable label alone is right more often than asked for, aps and raps
    answer with it alone, and cover more. With fewer validation rows than the coverage needs, every set holds all
    labels, and a note says so.
    """

    policy: ClassVar[str] = "conformal"
    reads: ClassVar[frozenset[str]] = frozenset({"coverage", "sets"})
    gives_sets: ClassVar[bool] = True

    sets: str = "lac"
    coverage: float = 0.9

    @classmethod
    def faults(cls, task: TaskSpec) -> Iterator[str]:
        yield from super().faults(task)
        if task.kind == "multi_label":
            yield "decision.policy conformal needs kind single_label"
        if task.decision.calibration in ("vector", "isotonic"):
            yield (
                "decision.policy conformal needs decision.calibration auto, temperature or none: what fits more than "
                "one number to the validation rows makes them no longer like new ones"
            )

    @classmethod
    def fit(cls, task: TaskSpec, probabilities: np.ndarray, targets: np.ndarray) -> Decision:
        import numpy as np

        coverage, sets, rows = task.decision.coverage, task.decision.sets, len(targets)
        place = math.ceil((rows + 1) * coverage - 1e-9)
        if place > rows:
            needed = math.ceil(coverage / (1 - coverage) - 1e-9)
            note = f"Every set holds all labels: to cover {coverage:g}, validation needs {needed} rows; it has {rows}."
            return cls(threshold=ALL, sets=sets, coverage=coverage, note=note)
        scores = _scores(probabilities, sets)[np.arange(rows), targets]
        return cls(threshold=float(np.sort(scores)[place - 1]), sets=sets, coverage=coverage)

    def apply(self, probabilities: np.ndarray, labels: list[str]) -> tuple[list[Any], np.ndarray]:
        import numpy as np

        order = np.argsort(-probabilities, axis=1, kind="stable")
        held = _scores(probabilities, self.sets) <= (self.threshold if self.threshold is not None else 0.0)
        names = [[labels[i] for i in row if held[at, i]] for at, row in enumerate(order)]
        return names, probabilities.max(1, initial=0.0)

    def measures(self, wanted: list[Any], decided: list[Any]) -> dict[str, Any]:
        """Coverage with an exact 95 % interval and of the worst label, and how large the sets are."""
        import numpy as np

        held = np.array([w in names for w, names in zip(wanted, decided, strict=True)], bool)
        sizes = np.array([len(names) for names in decided])
        coverage = proportion(int(held.sum()), len(held))
        by_label = {label: float(held[[w == label for w in wanted]].mean()) for label in sorted(set(wanted))}
        return {
            "coverage": coverage["value"],
            "coverage_interval": coverage["interval"],
            "least_covered_label": min(by_label, key=by_label.__getitem__) if by_label else None,
            "least_coverage": min(by_label.values()) if by_label else None,
            "mean_size": float(sizes.mean()) if len(sizes) else None,
            "single": float((sizes == 1).mean()) if len(sizes) else None,
            "empty": float((sizes == 0).mean()) if len(sizes) else None,
        }


def _scores(probabilities: np.ndarray, sets: str) -> np.ndarray:
    """(N, C): how strange each label would be; a set holds the labels up to the fitted score."""
    import numpy as np

    wide = probabilities.astype(np.float64)
    if sets == "lac":
        return 1 - wide
    order = np.argsort(-wide, axis=1, kind="stable")
    summed = np.cumsum(np.take_along_axis(wide, order, 1), 1)
    if sets == "raps":
        summed = summed + PENALTY * np.maximum(np.arange(1, wide.shape[1] + 1) - FREE, 0)
    # The most probable label is in every set, so that none is empty.
    summed[:, 0] = 0.0
    scores = np.empty_like(summed)
    np.put_along_axis(scores, order, summed, 1)
    return scores
