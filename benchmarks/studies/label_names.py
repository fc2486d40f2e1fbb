"""Labels' names as training texts (`data.label_names`): with and without them, on development rows.

This study chose the default. So it reads train files alone: rows that it measures on are cut off them, and its seeds
begin at 1000, where reports use 0 and up.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from studies import Comparison, compared, mean_and_spread

TITLE = "Labels' names as training texts"
Row = dict[str, Any]
DATASETS: dict[str, dict[str, Any]] = {
    "banking77": {"task": "chatbot-intent", "shots": (2, 10)},
    "clinc150": {"task": "chatbot-intent", "shots": (2, 10)},
    "sst2": {"task": "sentiment", "shots": (8, 64)},
}
FROZEN, FULL = "feature_extraction", "full"
DEVELOPMENT, POOL = 700, 4000
DRAWS = {FROZEN: 3, FULL: 3}


def cases(quick: bool) -> list[Row]:
    """Data set x rows per label x mode x with or without, draw by draw; quick: one draw of sst2.

    Mode full takes minutes where there are many rows, and has the fewer rows alone.
    """
    chosen = {"sst2": {"shots": (8,)}} if quick else DATASETS
    return [
        {"dataset": name, "shots": shots, "mode": mode, "label_names": names, "seed": 1000 + draw}
        for mode in ((FROZEN,) if quick else (FROZEN, FULL))
        for draw in range(1 if quick else DRAWS[mode])
        for name, facts in chosen.items()
        for shots in (facts["shots"] if mode == FROZEN else facts["shots"][:1])
        for names in (False, True)
    ]


def measure(root: Path, case: Row) -> Row:
    """Accuracy on development rows of one run with default settings; in mode full, that is `contrastive` up to 50."""
    import nlptl

    with tempfile.TemporaryDirectory() as folder:
        draw(root / case["dataset"] / "train.csv", case["seed"], Path(folder))
        run = nlptl.train(
            DATASETS[case["dataset"]]["task"],
            data=folder,
            mode=case["mode"],
            shots=case["shots"],
            seed=case["seed"],
            output=Path(folder) / "run",
            settings={"data.label_names": case["label_names"], "runtime.progress": False},
        )
        metrics = run.metrics
    return {"accuracy": metrics["test"]["accuracy"], "seconds": metrics["time"]["total_seconds"]}


def draw(file: Path, seed: int, folder: Path) -> None:
    """Cut development rows and the rows that shots are drawn from off a train file."""
    import pandas as pd
    from sklearn.model_selection import train_test_split

    every = pd.read_csv(file, keep_default_na=False).drop_duplicates("text")
    rest, measured = train_test_split(every, test_size=DEVELOPMENT, random_state=seed, stratify=every["label"])
    pool, _ = train_test_split(rest, train_size=POOL, random_state=seed, stratify=rest["label"])
    pool.to_csv(folder / "train.csv", index=False)
    measured.to_csv(folder / "test.csv", index=False)


def table(rows: list[Row]) -> str:
    """A line per data set, rows per label and mode; each pair tested over the draws that both have."""
    head = ("data", "mode", "without", "with the names", "draws")
    lines, comparisons = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"], []
    for place in dict.fromkeys((row["dataset"], row["shots"], row["mode"]) for row in rows):
        here = [row for row in rows if (row["dataset"], row["shots"], row["mode"]) == place]
        without, with_names = (
            {r["seed"]: r["accuracy"] for r in here if r["label_names"] is on} for on in (False, True)
        )
        shared = sorted(without.keys() & with_names.keys())
        first, second = [with_names[seed] for seed in shared], [without[seed] for seed in shared]
        name = f"{place[0]}, {place[1]} per label"
        cells = (name, f"`{place[2]}`", mean_and_spread(second), mean_and_spread(first), str(len(shared)))
        lines.append(f"| {' | '.join(cells)} |")
        if shared:
            comparisons.append(Comparison(f"{name}, {place[2]}: with the names", first, "without", second))
    lines.append("\nAccuracy on development rows in percent, mean ± sample standard deviation over draws.\n")
    return "\n".join([*lines, *(f"- {said}" for said in compared(comparisons))])
