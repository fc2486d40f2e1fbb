"""Learning curves of all methods on public data sets: who is ahead from how many labels on, and at what cost.

A case is one comparison (`nlptl.compare`) of a data set: all its methods, sizes and three seeds, on the same rows. The
cases of TF-IDF and the frozen encoder alone take minutes; those of all methods take hours on two cores.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

TITLE = "Learning curves: from how many labels on does transfer pay?"
Row = dict[str, Any]
LABELS = {"label_map": {"ham": "legitimate", "spam": "fraud"}, "settings": {"data.duplicates": "drop"}}
DATASETS: dict[str, dict[str, Any]] = {
    "sst2": {"task": "sentiment", "target": "accuracy=0.85"},
    "banking77": {"task": "chatbot-intent", "target": "accuracy=0.9"},
    "clinc150": {"task": "chatbot-intent", "target": "accuracy=0.9"},
    "sms_spam": {"task": "fraud-text", "target": "macro_f1=0.95", **LABELS},
    "ling_spam": {"task": "fraud-text", "target": "macro_f1=0.95", **LABELS},
}
CHEAP, EVERY = "tfidf,feature_extraction", "tfidf,scratch,feature_extraction,lora,full"
DRAWN, ALL_SIZES = "8,32,128,512", "8,32,128,512,all"
SEEDS = 3


def cases(quick: bool) -> list[Row]:
    """Each data set with the cheap methods on drawn rows, then with every method at every size; quick: two of sst2."""
    if quick:
        return [
            {"dataset": "sst2", "methods": "naive_bayes,feature_extraction", "sizes": "8,32", "seeds": 1, "seed": 0}
        ]
    return [
        {"dataset": name, "methods": methods, "sizes": sizes, "seeds": SEEDS, "seed": 0}
        for methods, sizes in ((CHEAP, DRAWN), (EVERY, ALL_SIZES))
        for name in DATASETS
    ]


def measure(root: Path, case: Row) -> Row:
    """Curves, verdicts and costs of one comparison; the power law is asked for a target, for the sake of its check."""
    import nlptl

    facts = DATASETS[case["dataset"]]
    asked = {key: facts[key] for key in ("label_map", "target") if key in facts}
    with tempfile.TemporaryDirectory() as folder:
        found = nlptl.compare(
            facts["task"],
            methods=case["methods"],
            sizes=case["sizes"],
            seeds=case["seeds"],
            seed=case["seed"],
            data=source(root / case["dataset"]),
            output=folder,
            settings={"runtime.progress": False, **facts.get("settings", {})},
            **asked,
        )
    if found is None or found.failed:
        raise RuntimeError(f"cells failed: {found and found.failed}")
    kept = ("metric", "labels", "test", "curves", "costs", "crossovers", "negative_transfer", "labels_needed")
    clear = [pair["sentence"] for pair in found.facts["pairs"] if pair["outcome"] in ("better", "worse")]
    counted = {"rows_of": found.facts["sizes"], "clear": clear, "pairs": len(found.facts["pairs"])}
    return {**{name: found.facts[name] for name in kept}, **counted}


def source(folder: Path) -> Any:
    """What to read: the folder with its splits; the only file; or parts of one table."""
    import pandas as pd

    if (folder / "train.csv").is_file():
        return folder
    parts = [pd.read_csv(path, keep_default_na=False) for path in sorted(folder.glob("*.csv"))]
    return pd.concat(parts, ignore_index=True)


def table(rows: list[Row]) -> str:
    """A table per comparison, and beside it where it crosses, what is clear, and how the hidden size was predicted."""
    return "\n\n".join(_said(row) for row in rows)


def _said(row: Row) -> str:
    sizes = [size["name"] for size in row["rows_of"]]
    lines = [
        f"**{row['dataset']}**: {row['metric']} on {row['test']['rows']} test rows in percent, mean (95 % band over "
        f"{row['seeds']} seeds and test rows); {row['labels']} labels.",
        "",
        f"| {' | '.join(['method', *sizes])} |",
        f"|{'---|' * (len(sizes) + 1)}",
    ]
    for method in row["methods"].split(","):
        points = {each["size"]: each for each in row["curves"] if each["method"] == method}
        cells = [_point(points.get(size["size"])) for size in row["rows_of"]]
        lines.append(f"| {' | '.join([f'`{method}`', *cells])} |")
    said = [each["sentence"] for each in row["crossovers"]] + row["negative_transfer"]
    said.append(f"{len(row['clear'])} of {row['pairs']} pairs differ clearly. {' '.join(row['clear'])}".strip())
    said += [each["sentence"] for each in row["labels_needed"]]
    for method in row["methods"].split(","):
        last = [cost for cost in row["costs"] if cost["method"] == method][-1]
        said.append(
            f"{method} at {last['size']}: learned in {last['learning_seconds']:.1f} s; 1000 predictions in "
            f"{last['seconds_per_thousand']:.2f} s; {last['bytes_with_checkpoint'] / 1e6:.1f} MB."
        )
    return "\n".join([*lines, "", *(f"- {each}" for each in said)])


def _point(point: Row | None) -> str:
    if point is None:
        return "-"
    return "{:.1f} ({:.1f} to {:.1f})".format(*(100 * point[name] for name in ("mean", "low", "high")))
