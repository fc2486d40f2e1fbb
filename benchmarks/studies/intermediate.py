"""Other labelled data first (`train --via`): beside going straight, on the same draws of rows."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from pretrained import train_and_test

from studies import Comparison, compared, mean_and_spread

TITLE = "Via other labelled data"
Row = dict[str, Any]
DOMAINS = ("books", "dvd", "electronics", "kitchen")
WAYS: dict[str, dict[str, Any]] = {
    "sst2": {"task": "sentiment", "via": "amazon_multidomain", "files": DOMAINS, "shots": (8,)},
    "banking77": {"task": "chatbot-intent", "via": "clinc150", "files": ("train",), "shots": (10, 5, 30)},
}
DRAWS = {8: 5, 10: 5, 5: 3, 30: 3}
"""By rows per label."""


def cases(quick: bool) -> list[Row]:
    """Draw by draw, so that an early stop leaves whole sets; quick: one draw of the smallest."""
    found = [
        {"dataset": name, "shots": shots, "seed": seed}
        for seed in range(max(DRAWS.values()))
        for name, facts in WAYS.items()
        for shots in facts["shots"]
        if seed < DRAWS[shots]
    ]
    return [{"dataset": "banking77", "shots": 5, "seed": 0}] if quick else found


def measure(root: Path, case: Row) -> Row:
    """Test accuracy via the source and straight, of one run with default settings; the seed draws the rows."""
    import pandas as pd

    import nlptl

    facts = WAYS[case["dataset"]]
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / f"{facts['via']}.csv"
        parts = [pd.read_csv(root / facts["via"] / f"{name}.csv", keep_default_na=False) for name in facts["files"]]
        pd.concat(parts).drop_duplicates("text").to_csv(source, index=False)
        run = nlptl.train(
            facts["task"],
            data=train_and_test(root / case["dataset"]),
            via=source,
            seed=case["seed"],
            output=Path(folder) / "run",
            settings={"data.shots": case["shots"], "runtime.progress": False},
        )
        metrics = run.metrics
    (told,), compared_with = metrics["via"]["sources"], metrics["via"]["comparison"]
    return {
        "via": compared_with["via"]["test"],
        "straight": compared_with["straight"]["test"],
        "p": compared_with["p"],
        **{name: told[name] for name in ("objective", "rows", "interpolation", "head", "losses")},
        "seconds": metrics["time"]["total_seconds"],
    }


def table(rows: list[Row]) -> str:
    """A line per data set and rows per label; each pair tested over its draws."""
    head = ("data", "via", "straight", "via it", "taken over", "draws")
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    comparisons: dict[str, list[Comparison]] = {}  # each data set asks a question of its own
    for place in dict.fromkeys((row["dataset"], row["shots"]) for row in sorted(rows, key=lambda row: row["shots"])):
        here = [row for row in rows if (row["dataset"], row["shots"]) == place]
        first, second = [row["via"] for row in here], [row["straight"] for row in here]
        name, source = f"{place[0]}, {place[1]} per label", WAYS[place[0]]["via"]
        taken = ", ".join("with its head" if row["head"] else f"{row['interpolation']:.0%}" for row in here)
        cells = (name, source, mean_and_spread(second), mean_and_spread(first), taken, str(len(here)))
        lines.append(f"| {' | '.join(cells)} |")
        comparisons.setdefault(place[0], []).append(Comparison(f"{name}: via {source}", first, "straight", second))
    lines.append("\nTest accuracy in percent, mean ± sample standard deviation over draws of rows.\n")
    return "\n".join([*lines, *(f"- {said}" for of in comparisons.values() for said in compared(of))])
