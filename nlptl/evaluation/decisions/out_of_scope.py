"""The best label, or out of scope where no label is probable enough."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Self

from nlptl.errors import ArtifactError, ConfigError
from nlptl.evaluation.decisions.argmax import Argmax
from nlptl.evaluation.decisions.policy import Decision
from nlptl.tasks import TaskSpec

if TYPE_CHECKING:
    import numpy as np

    from nlptl.evaluation.out_of_scope.fitting import FittedScope


@dataclass(frozen=True, kw_only=True)
class OutOfScope(Decision):
    """The best label, or `label` where that is the best anyway or no other reaches the threshold.

    The threshold keeps the asked-for share (`decision.keep`) of validation's in-scope rows (Hendrycks & Gimpel 2017:
    the maximum softmax probability as the score). With fewer in-scope rows than it takes for one of them to fall below
    it, or than `FEWEST_ROWS`, it stays at 0, which sends no row out of scope.

    Without rows of `label` in validation nothing shows what the cut-off finds. Then the most probable label is the
    answer, unless `decision.reject` is `always`; a note says what rejecting would cost.

    With a scorer (`decision.scorer`), its scores are compared with the threshold in place of the probability.
    """

    policy: ClassVar[str] = "out_of_scope"
    reads: ClassVar[frozenset[str]] = frozenset({"label", "keep", "reject", "scorer"})

    scorer: str | None = None
    """Whose scores are compared; None: the probability of the most probable label."""
    choice: dict[str, Any] = field(default_factory=dict)
    """Of a scorer: what it was chosen from, on how many rows, and what it was fitted at."""

    @classmethod
    def faults(cls, task: TaskSpec) -> Iterator[str]:
        yield from super().faults(task)
        if task.decision.label is None:
            yield "decision.policy out_of_scope needs decision.label"
        if task.kind == "multi_label":
            yield "decision.policy out_of_scope needs kind single_label"

    @classmethod
    def fit(cls, task: TaskSpec, probabilities: np.ndarray, targets: np.ndarray) -> Decision:
        import numpy as np

        from nlptl.evaluation.out_of_scope.fitting import cut_off, fewest_in_scope

        labels, label, keep = task.label_list(), task.decision.label, task.decision.keep
        outside = labels.index(str(label)) if label in labels else None
        inside = np.ones(len(targets), bool) if outside is None else targets != outside
        in_scope = probabilities[inside]
        rows = len(in_scope)
        if task.decision.reject == "never":
            return Argmax()
        needed = fewest_in_scope(keep)
        if task.decision.reject == "auto" and inside.all():
            right = probabilities.argmax(1) == targets
            return Argmax(note=_offer(str(label), keep, probabilities.max(1, initial=0.0), right, needed))
        if rows < needed:
            note = (
                f"The out-of-scope cut-off stays at 0, so that it sends no text out of scope: validation has {rows} of "
                f"the {needed} in-scope rows that fitting it with decision.keep={keep:g} needs."
            )
            return cls(threshold=0.0, label=label, note=note)
        if outside is not None:
            in_scope = np.delete(in_scope, outside, axis=1)
        cut = cut_off(in_scope.max(1), keep)
        return cls(threshold=cut, label=label, note=_unmeasured(str(label), keep) if inside.all() else None)

    @classmethod
    def by_scorer(cls, task: TaskSpec, fitted: FittedScope, targets: np.ndarray) -> Decision:
        """The policy of a fitted scorer; what it notes is logged by `fit_decision`.

        Args:
            task: labels and settings.
            fitted: scorer and cut-off.
            targets: (N,) label ids of validation.
        """
        labels, label, keep = task.label_list(), str(task.decision.label), task.decision.keep
        measured = label in labels and bool((targets == labels.index(label)).any())
        notes = [fitted.note, None if measured else _unmeasured(label, keep)]
        note = " ".join(filter(None, notes)) or None
        return cls(threshold=fitted.threshold, label=label, note=note, scorer=fitted.name, choice=fitted.choice)

    def apply(
        self, probabilities: np.ndarray, labels: list[str], scope: np.ndarray | None = None
    ) -> tuple[list[Any], np.ndarray]:
        """Decide every row.

        Args:
            probabilities: (N, C) float32.
            labels: C names in id order.
            scope: (N,) of the run's scorer, higher is more in scope; needed where there is one.

        Returns:
            As every policy: the score beside a label is the probability of the most probable one.

        Raises:
            ConfigError: the policy compares a scorer's scores, and none are given.
        """
        import numpy as np

        best = probabilities.argmax(1) if len(probabilities) else np.zeros(0, np.int64)
        score = probabilities[np.arange(len(best)), best]
        compared = score if self.scorer is None else scope
        if compared is None:
            raise ConfigError(
                f"This decision compares scores of {self.scorer} with a cut-off, and only probabilities were given. "
                "Give scope=run.scope(texts) too, or use predict, which computes both at once."
            )
        cut = 0.0 if self.threshold is None else self.threshold
        return [labels[i] if s >= cut else str(self.label) for i, s in zip(best, compared, strict=True)], score

    def to_json(self) -> dict[str, Any]:
        values = super().to_json()
        return values if self.scorer else {k: v for k, v in values.items() if k not in ("scorer", "choice")}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Self:
        for name, kind in (("scorer", str), ("choice", dict)):
            if not isinstance(values.get(name, kind()), kind):
                raise ArtifactError(f"decision.json is damaged: {name} is {values[name]!r}.")
        if values.get("scorer") is not None and values.get("threshold") is None:
            raise ArtifactError(f"decision.json is damaged: the scorer {values['scorer']} has no threshold.")
        return super().from_json(values)

    def measures(self, wanted: list[Any], decided: list[Any]) -> dict[str, Any]:
        """Shares of in-scope rows that stay in scope, and of out-of-scope rows that are found; None without rows."""
        import numpy as np

        pairs = list(zip(wanted, decided, strict=True))
        inside = [d != self.label for w, d in pairs if w != self.label]
        outside = [d == self.label for w, d in pairs if w == self.label]
        return {
            "in_scope_kept": float(np.mean(inside)) if inside else None,
            "out_of_scope_recall": float(np.mean(outside)) if outside else None,
        }


def _unmeasured(label: str, keep: float) -> str:
    return (
        f"Validation has no row labelled {label!r}: the out-of-scope cut-off keeps {keep:.0%} of the in-scope "
        "rows, but how many out-of-scope texts it finds was not measured."
    )


def _offer(label: str, keep: float, scores: np.ndarray, right: np.ndarray, needed: int) -> str:
    """How rejection is switched on, and what it would cost on validation."""
    from nlptl.evaluation.out_of_scope.fitting import cut_off

    said = (
        f"Validation has no row labelled {label!r}, which would show what rejecting unsure texts gains: the most "
        "probable label is the answer. "
    )
    if len(scores) < needed:
        return (
            f"{said}Rejection (--set decision.reject=always) needs {needed} validation rows; there are {len(scores)}."
        )
    refused = scores < cut_off(scores, keep)
    cost = f"{refused[right].mean():.1%} of the rows answered right" if right.any() else "no row answered right"
    gain = f" and {refused[~right].mean():.1%} of those answered wrong" if not right.all() else ""
    return f"{said}With --set decision.reject=always (keep {keep:.0%}) validation would lose {cost}{gain}."
