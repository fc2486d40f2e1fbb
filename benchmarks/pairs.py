"""What learns from pairs of texts: do two questions ask for the same thing?

    python benchmarks/pairs.py --data-root DATA

DATA holds banking77/train.csv and test.csv (text,label). A pair is two of its questions, `same` where they have the
same intent; half of the pairs are. Training pairs are made of train's questions, test pairs of test's, so no question
stands on both sides. Mode full, mode feature_extraction, and logistic regression on TF-IDF learn from the same pairs.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
from measuring import HERE
from records import Row, own_cache, read, surroundings, write

RESULTS = HERE / "results" / "pairs.json"
METHODS = ("logistic_regression", "feature_extraction", "full")
SEEDS = (0, 1, 2)
PAIRS = {"train": 1000, "test": 500}


def main() -> None:
    """Measure what is not there yet, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-root", type=Path, metavar="DIR", help="folder that holds banking77/")
    parser.add_argument("--table-only", action="store_true", help="measure nothing, print what is there")
    asked = parser.parse_args()
    rows = read(RESULTS)
    if not asked.table_only:
        if asked.data_root is None:
            parser.error("--data-root is needed to measure")
        for seed in SEEDS:
            for method in METHODS:
                if not any((row["method"], row["seed"]) == (method, seed) for row in rows):
                    rows.append(measure(method, seed, asked.data_root / "banking77"))
                    write(RESULTS, rows)
    for method in METHODS:
        scores = [100 * row["test_accuracy"] for row in rows if row["method"] == method]
        if scores:
            spread = f" ± {statistics.stdev(scores):.1f}" if len(scores) > 1 else ""
            print(f"| {method} | {statistics.mean(scores):.1f}{spread} | {len(scores)} seed(s) |")


def measure(method: str, seed: int, corpus: Path) -> Row:
    """One training on pairs drawn with the seed; the test pairs are the same for all seeds."""
    import nlptl

    task = nlptl.TaskSpec(
        name=f"same-question-{method}-{seed}".replace("_", "-"),
        description="Do two questions ask for the same thing?",
        labels=["different", "same"],
        text_columns=["question", "other"],
    )
    nlptl.register_task(task)
    train, test = pairs_of(corpus / "train.csv", PAIRS["train"], seed), pairs_of(corpus / "test.csv", PAIRS["test"], 0)
    with tempfile.TemporaryDirectory() as folder, own_cache():
        given = {"data": {"train": train, "test": test}, "seed": seed, "output": Path(folder) / "run"}
        quiet = {"settings": {"runtime.progress": False}}
        if method in ("full", "feature_extraction"):
            run = nlptl.train(task.name, mode=method, **given, **quiet)
        else:
            run = nlptl.train_baseline(task.name, model=method, **given, **quiet)
        metrics = run.metrics
    return {
        "method": method,
        "seed": seed,
        "pairs": {"train": len(train), "test": len(test)},
        "test_accuracy": metrics["test"]["accuracy"],
        "seconds": round(metrics["time"]["total_seconds"], 1),
        **surroundings(("nlptl", "torch", "transformers")),
    }


def pairs_of(file: Path, rows: int, seed: int) -> pd.DataFrame:
    """Pairs of the questions of a file, half of them of one intent: columns question, other, label."""
    table, rng = pd.read_csv(file), np.random.default_rng(seed)
    texts, intents = table["text"].to_numpy(), table["label"].to_numpy()
    found = []
    for row in range(rows):
        one = int(rng.integers(len(texts)))
        same = row % 2 == 0
        fits = np.flatnonzero((intents == intents[one]) == same)
        found.append((texts[one], texts[int(rng.choice(fits[fits != one]))], "same" if same else "different"))
    return pd.DataFrame(found, columns=["question", "other", "label"])


if __name__ == "__main__":
    main()
