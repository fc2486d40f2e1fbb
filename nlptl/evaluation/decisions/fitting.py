"""How a task's decision policy is fitted, and opened again from `decision.json`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nlptl.errors import ArtifactError, ConfigError
from nlptl.evaluation.decisions.argmax import Argmax, EveryLabel
from nlptl.evaluation.decisions.out_of_scope import OutOfScope
from nlptl.evaluation.decisions.policy import Decision
from nlptl.registry import POLICIES
from nlptl.tasks import TaskSpec

if TYPE_CHECKING:
    import numpy as np

    from nlptl.evaluation.out_of_scope.fitting import FittedScope


def fit_decision(
    task: TaskSpec, probabilities: np.ndarray, targets: np.ndarray, scope: FittedScope | None = None
) -> Decision:
    """Fit the task's policy on validation.

    Args:
        task: labels and policy.
        probabilities: (N, C) of validation rows.
        targets: (N,) ids, or (N, C) 0/1.
        scope: a fitted scorer and its cut-off, which then decide what is out of scope.

    Raises:
        ConfigError: an unknown policy, or one that gave something that could not be opened again.
    """
    name = task.decision.policy
    kind: type[Decision] = POLICIES.get(name)
    decision = kind.fit(task, probabilities, targets) if scope is None else OutOfScope.by_scorer(task, scope, targets)
    if decision.policy not in (name, EveryLabel.policy, Argmax.policy):
        raise ConfigError(
            f"The decision policy {name!r} ({kind.__module__}.{kind.__qualname__}) calls itself {decision.policy!r}. "
            f"Its class must say: policy = {name!r}"
        )
    return decision


def decide(
    decision: Decision, probabilities: np.ndarray, labels: list[str], scope: np.ndarray | None = None
) -> tuple[list[Any], np.ndarray]:
    """What a policy answers, given the scores of the run's scorer where it has one; as `Decision.apply`.

    Args:
        decision: fitted.
        probabilities: (N, C) float32.
        labels: C names in id order.
        scope: (N,), higher is more in scope; None: the run has no scorer.
    """
    if isinstance(decision, OutOfScope):
        return decision.apply(probabilities, labels, scope)
    return decision.apply(probabilities, labels)


def open_decision(values: dict[str, Any]) -> Decision:
    """The fitted policy that a `decision.json` describes.

    Raises:
        ArtifactError: no known policy, or its values are damaged.
    """
    name = values.get("policy")
    if name == EveryLabel.policy:
        return EveryLabel.from_json(values)
    if not isinstance(name, str) or name not in POLICIES:
        known = ", ".join(POLICIES)
        raise ArtifactError(
            f"decision.json holds no known policy: {name!r}. Known here: {known}. If another package brought it, "
            "install that package."
        )
    kind: type[Decision] = POLICIES.get(name)
    return kind.from_json(values)
