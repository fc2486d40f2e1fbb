"""`nlptl discover` on intent data whose labels it does not see: how well its groups agree with them."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from studies import mean_and_spread

TITLE = "Groups found without labels against the true intents"
Row = dict[str, Any]

DATASETS = ("banking77", "clinc150")
FEW = 600


def cases(quick: bool) -> list[Row]:
    """Data set x share set aside as noise x seed."""
    return [
        {"dataset": dataset, "noise": noise, "rows": FEW if quick else None, "seed": seed}
        for seed in range(1 if quick else 3)
        for noise in ((0.0,) if quick else (0.0, 0.05))
        for dataset in DATASETS
    ]


def measure(root: Path, case: Row) -> Row:
    """Adjusted mutual information of groups and labels: 0 as by chance, 1 where they agree."""
    import pandas as pd
    from sklearn.metrics import adjusted_mutual_info_score

    import nlptl

    frame = pd.read_csv(root / case["dataset"] / "train.csv", keep_default_na=False).drop_duplicates("text")
    if case["rows"]:
        frame = frame.sample(case["rows"], random_state=0)
    with tempfile.TemporaryDirectory() as folder:
        found = nlptl.discover(
            texts=list(frame["text"]),
            output=Path(folder) / "found",
            noise=case["noise"],
            seed=case["seed"],
            progress=False,
        )
    gold = dict(zip(frame["text"], frame["label"], strict=True))
    truth = [gold[text] for text in found.texts]
    labels = [label or "(none)" for label in found.labels]
    inside = [i for i, label in enumerate(found.labels) if label is not None]
    return {
        "ami": float(adjusted_mutual_info_score(truth, labels)),
        "ami_grouped": float(adjusted_mutual_info_score([truth[i] for i in inside], [labels[i] for i in inside])),
        "groups": len(found.groups),
        "labels": len(set(truth)),
        "grouped_share": len(inside) / len(truth),
    }


def table(rows: list[Row]) -> str:
    """Data set x noise share."""
    lines = [
        "| data set | set aside | groups (true intents) | adjusted mutual information, all | grouped texts only |",
        "|---|---|---|---|---|",
    ]
    for dataset, noise in sorted({(row["dataset"], row["noise"]) for row in rows}):
        chosen = [row for row in rows if (row["dataset"], row["noise"]) == (dataset, noise)]
        counts = ", ".join(str(row["groups"]) for row in chosen)
        lines.append(
            f"| {dataset} | {noise:.0%} | {counts} ({chosen[0]['labels']}) | "
            f"{mean_and_spread([row['ami'] for row in chosen])} | "
            f"{mean_and_spread([row['ami_grouped'] for row in chosen])} |"
        )
    lines += ["", "In hundredths, mean ± standard deviation over seeds; texts set aside count as one group more."]
    return "\n".join(lines)
