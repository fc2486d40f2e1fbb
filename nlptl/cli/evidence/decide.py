"""`nlptl decide`: another decision policy for a finished run."""

from __future__ import annotations

from typing import Annotated

from nlptl.cli.help import HOW
from nlptl.cli.options import RunArgument, TaskName, option, out
from nlptl.errors import ConfigError


def decide(
    run: RunArgument,
    policy: Annotated[str | None, option(panel=HOW, among="policies", help="<policies>.")] = None,
    floor: Annotated[
        float | None,
        option(
            panel=HOW,
            metavar="SHARE",
            help="precision, recall: of the positive label, between 0 and 1. abstain: of the answers that are right.",
        ),
    ] = None,
    confidence: Annotated[
        float | None,
        option(panel=HOW, metavar="SHARE", help="Probability that the promise holds on new texts; 0.9 unless given."),
    ] = None,
    alerts: Annotated[
        float | None,
        option("--alerts", panel=HOW, metavar="N", help="alerts: texts of a thousand that may get the positive label."),
    ] = None,
    cost: Annotated[
        list[str] | None,
        option(
            panel=HOW,
            metavar="GOLD>ANSWER=COST",
            help="cost: of a mistake, once for each; those not named cost 1. Quote it, since shells read >.",
            show_default=False,
        ),
    ] = None,
    coverage: Annotated[
        float | None, option(panel=HOW, metavar="SHARE", help="conformal: sets that hold the true label; 0.9.")
    ] = None,
    sets: Annotated[str | None, option(panel=HOW, among="sets", help="conformal: how sets are made; lac.")] = None,
    label: Annotated[
        str | None, option(panel=HOW, metavar="NAME", help="abstain, out_of_scope: the answer to unsure texts.")
    ] = None,
    keep: Annotated[
        float | None, option(panel=HOW, metavar="SHARE", help="out_of_scope: in-scope texts that stay in scope.")
    ] = None,
    reject: Annotated[
        str | None, option(panel=HOW, among="rejections", help="out_of_scope: whether unsure texts are refused.")
    ] = None,
    scorer: Annotated[
        str | None, option(panel=HOW, among="scorers", help="out_of_scope: what is compared with the cut-off.")
    ] = None,
    calibration: Annotated[
        str | None, option(panel=HOW, among="calibrations", help="How probabilities are made of logits.")
    ] = None,
    task: TaskName = None,
) -> None:
    """Decide otherwise with a trained run: fit another policy on its validation answers, without training.

    Thresholds that are asked to keep something (precision, recall, alerts, abstain) are tested, so that they keep it on
    new texts with the stated confidence; where none can, the command says so, and the run stays as it was. The test
    rows only report.

    Examples:

      nlptl decide RUN --policy precision --floor 0.95

      nlptl decide RUN --policy alerts --alerts 20

      nlptl decide RUN --policy cost --cost "fraud>legitimate=20"

      nlptl decide RUN --policy conformal --coverage 0.95 --sets aps
    """
    from nlptl.reports.tables import decisions_table
    from nlptl.verbs import decide as verbs

    given = {
        "floor": floor,
        "confidence": confidence,
        "alerts_per_thousand": alerts,
        "costs": dict(map(_cost, cost)) if cost else None,
        "coverage": coverage,
        "sets": sets,
        "label": label,
        "keep": keep,
        "reject": reject,
        "scorer": scorer,
        "calibration": calibration,
    }
    again = verbs.decide(run, policy, task=task, **given)  # type: ignore[arg-type]
    out.print(decisions_table(again.task(task).metrics if task else again.metrics))
    out.print(f"Decided anew in {again.folder}; its model stays as it was.", highlight=False)


def _cost(text: str) -> tuple[str, float]:
    pair, _, value = text.rpartition("=")
    try:
        return pair, float(value)
    except ValueError:
        raise ConfigError(f"--cost {text!r} is not GOLD>ANSWER=COST, such as 'fraud>legitimate=20'.") from None
