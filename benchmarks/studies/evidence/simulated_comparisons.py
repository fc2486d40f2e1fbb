"""Simulated comparisons: how often equal methods are called different, real differences are found, and bands hold.

Nothing is trained: answers are drawn. Rows differ in how hard they are, the same for each method; seeds differ in luck,
more so with few labels, part of it shared by all methods, as the same draw of rows is. The verdicts are those of
`nlptl compare`: every pair of methods at every size, over seeds and rows, corrected for their number.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

TITLE = "Simulated comparisons: are equal methods called different?"
Row = dict[str, Any]
SIMULATIONS, BANDS, ROWS = 200, 50, 500
FIRST = "method 0"
LUCK = (0.06, 0.03, 0.015, 0.008)
"""Standard deviation over seeds of the share of right rows, at each size."""
SCENARIOS: dict[str, tuple[float, ...]] = {
    "two methods": (1, 1),
    "five methods": (1, 1, 1, 1, 1),
    "five methods, two vary three times as much": (1, 1, 1, 3, 3),
    "three methods, two vary four times as much": (1, 4, 4),
}
"""Name -> how much each method's own luck is multiplied by."""
GAINS = (0.0, 0.1)
"""By how much the first method is better, of its share of right rows; 0: all are equal."""


def cases(quick: bool) -> list[Row]:
    """Every scenario with three and five seeds and each gain; quick: a few draws of two methods."""
    if quick:
        return [{"scenario": "two methods", "seeds": 3, "gain": 0.0, "simulations": 20, "seed": 0}]
    return [
        {"scenario": name, "seeds": seeds, "gain": gain, "simulations": SIMULATIONS, "seed": 0}
        for name in SCENARIOS
        for seeds in (3, 5)
        for gain in GAINS
    ]


def measure(root: Path, case: Row) -> Row:
    """Shares of simulations with a false verdict, and of the first method's pairs that are found better."""
    from nlptl.comparison.curves import point
    from nlptl.comparison.verdicts import pairs_of
    from nlptl.evaluation.significance import BETTER, WORSE, over_rows

    factors, equal = SCENARIOS[case["scenario"]], not case["gain"]
    false = naive = held = points = found = sought = 0
    for draw in range(case["simulations"]):
        rng = np.random.default_rng([case["seed"], draw])
        answered, truth = drawn(rng, factors, case["seeds"], case["gain"])
        pairs = pairs_of(answered)
        false += any(pair.found.outcome in (BETTER, WORSE) for pair in pairs if equal or pair.first != FIRST)
        outcomes = [pair.found.outcome for pair in pairs if pair.first == FIRST and not equal]
        found, sought = found + outcomes.count(BETTER), sought + len(outcomes)
        naive += equal and over_rows(answered[0].right[0], answered[1].right[0]).outcome in (BETTER, WORSE)
        for each in answered if equal and draw < BANDS else []:
            low, high = point(each.size, each.rows, "accuracy", np.stack(list(each.right.values())), []).band
            held, points = held + (low <= truth[each.method.name] <= high), points + 1
    return {
        "false": false / case["simulations"],
        "one_seed": naive / case["simulations"] if equal else None,
        "found": found / sought if sought else None,
        "bands_hold": held / points if points else None,
    }


def drawn(rng: np.random.Generator, factors: tuple[float, ...], seeds: int, gain: float) -> tuple[list[Any], Row]:
    """Answers of each method at each size, and the share of right rows that each method has in truth."""
    from nlptl.comparison.methods import Method
    from nlptl.comparison.verdicts import Answered

    # Between 0.3 and 0.6, so that luck and gain leave room, and the truth is known exactly.
    hard = 0.3 + 0.3 * rng.beta(2, 1, ROWS)
    truth = {f"method {i}": 0.3 + 0.3 * 2 / 3 + (gain if i == 0 else 0.0) for i in range(len(factors))}
    found = []
    for place, luck in enumerate(LUCK):
        shared = rng.normal(0, luck / 2, seeds)
        for i, factor in enumerate(factors):
            own = np.clip(shared + rng.normal(0, luck * factor / 2, seeds), -0.3, 0.3)
            level = hard[None] + own[:, None] + (gain if i == 0 else 0.0)
            right = (rng.random((seeds, ROWS)) < level).astype(float)
            by_seed = dict(enumerate(right))
            method = Method(f"method {i}", "transfer", "", {})
            found.append(
                Answered(method, str(8 * 4**place), 16.0 * 4**place, by_seed, dict.fromkeys(by_seed, (0.5, 0.0)))
            )
    return found, truth


def table(rows: list[Row]) -> str:
    """A line per scenario, number of seeds and gain."""
    from scipy.stats import binomtest

    head = (
        "methods",
        "seeds",
        "the first is better by",
        "false verdicts",
        "one seed's rows alone",
        "found",
        "bands hold",
    )
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    for row in rows:
        count = round(row["false"] * row["simulations"])
        interval = binomtest(count, row["simulations"]).proportion_ci()
        cells = (
            row["scenario"],
            str(row["seeds"]),
            f"{100 * row['gain']:.0f} points",
            f"{100 * row['false']:.1f} ({100 * interval.low:.1f} to {100 * interval.high:.1f})",
            *("-" if row[name] is None else f"{100 * row[name]:.1f}" for name in ("one_seed", "found", "bands_hold")),
        )
        lines.append(f"| {' | '.join(cells)} |")
    said = (
        f"Percent of {rows[0]['simulations']} simulations at {len(LUCK)} sizes and {ROWS} test rows. False verdicts: "
        "any among all pairs and sizes, 95 % interval; the level is 5. One seed's rows alone: a false difference by "
        "McNemar's test, for a single pair. Found: percent of the real differences. Bands hold: percent around "
        "the truth."
    )
    over = [row for row in rows if row["false"] > 0.05]
    verdict = "No scenario exceeds 5 %." if not over else f"{len(over)} of {len(rows)} scenarios exceed 5 %."
    return "\n".join([*lines, "", said, "", f"- {verdict}"])
