"""Another decision policy for a finished run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from nlptl.config.records import validate
from nlptl.config.run import Calibrations, DecisionConfig
from nlptl.errors import ConfigError
from nlptl.inference.predictor import Run, load
from nlptl.registry import POLICIES
from nlptl.storage.paths import user_path
from nlptl.strategies.deciding import decide_again


def decide(
    run: str | Path | Run,
    policy: str | None = None,
    *,
    task: str | None = None,
    floor: float | None = None,
    confidence: float | None = None,
    alerts_per_thousand: float | None = None,
    costs: Mapping[str, float] | None = None,
    coverage: float | None = None,
    sets: Literal["lac", "aps", "raps"] | None = None,
    label: str | None = None,
    keep: float | None = None,
    reject: Literal["auto", "always", "never"] | None = None,
    scorer: str | None = None,
    calibration: Calibrations | None = None,
) -> Run:
    """Fit another decision policy, or another calibration, on what a finished run answered on validation.

    Nothing is trained. The run's `calibration.json`, `decision.json`, `predictions.csv`, card, and what `metrics.json`
    says of decisions change; its model does not. What is not given stays as the run has it.

    Args:
        run: a run folder, or the opened run.
        policy: argmax, threshold, precision, recall, alerts, cost, out_of_scope, abstain, conformal, or one of an
            installed package.
        task: of a run of several tasks.
        floor: precision, recall: of the positive label; abstain: of the share of answers that are right.
        confidence: of precision, recall, alerts and abstain: probability that the promise holds on new rows.
        alerts_per_thousand: alerts: texts of a thousand that may get the positive label.
        costs: cost: GOLD>ANSWER -> cost; other mistakes cost 1.
        coverage: conformal: share of sets that hold the true label.
        sets: conformal: lac, aps or raps.
        label: out_of_scope and abstain: what unsure texts are answered with.
        keep: out_of_scope: share of in-scope rows that stay in scope.
        reject: out_of_scope: auto, always or never.
        scorer: out_of_scope: probability, auto, or a scorer that the run has or that reads logits alone.
        calibration: auto, none, temperature, vector or isotonic.

    Returns:
        The run, opened anew.

    Raises:
        NlptlError: the policy is unknown or cannot be used, a setting is not one that it reads, or no threshold keeps
            what was asked for; then the run stays as it was.
    """
    given = {
        "policy": policy,
        "calibration": calibration,
        "label": label,
        "reject": reject,
        "keep": keep,
        "scorer": scorer,
        "floor": floor,
        "confidence": confidence,
        "alerts_per_thousand": alerts_per_thousand,
        "costs": dict(costs) if costs else None,
        "coverage": coverage,
        "sets": sets,
    }
    asked = {name: value for name, value in given.items() if value is not None}
    if not asked:
        raise ConfigError(f"Say what is to be decided otherwise: --policy with one of {', '.join(POLICIES)}.")
    folder = run.folder if isinstance(run, Run) else user_path(run)
    decide_again(folder, validate(DecisionConfig, asked, "The decision"), task)
    return load(folder, progress=False)
