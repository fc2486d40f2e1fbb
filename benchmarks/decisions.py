"""The scores from which decision policies are fitted: fraud-text and chatbot-intent on their bundled samples.

    python benchmarks/decisions.py

One run of each task on frozen features with seed 0, without the refit, so that the model has not learned from the
validation rows that are shown. It notes every row's score on validation and test (the probability of fraud, or of the
most probable label but out_of_scope), the fitted threshold, and what deciding by it is worth on each split. The figures
of `docs/concepts/decisions.md` are drawn from it.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from measuring import HERE
from records import Row, own_cache, surroundings, write

TASKS = ("fraud-text", "chatbot-intent")
MODE = "feature_extraction"
SETTINGS = {"training.refit": False, "runtime.progress": False}
SPLITS = ("validation", "test")
RESULTS = HERE / "results" / "decisions.json"


def main() -> None:
    """Train, note, write."""
    rows: list[Row] = []
    for task in TASKS:
        with own_cache():
            rows.append({"task": task, **measure(task), **surroundings(("nlptl", "torch", "transformers"))})
    write(RESULTS, rows)
    for row in rows:
        print({name: value for name, value in row.items() if name != "scores"})


def measure(task: str) -> dict[str, Any]:
    """Scores, threshold and reports of one run."""
    import nlptl
    from nlptl.tasks import load_task

    spec = load_task(task)
    with tempfile.TemporaryDirectory() as folder:
        run = nlptl.train(task, mode=MODE, output=Path(folder) / "run", settings=SETTINGS)
        metrics, labels = run.metrics, run.labels
        apart = spec.positive_label or spec.decision.label
        scores = {}
        for split in SPLITS:
            table = pd.read_csv(spec.folder / spec.data["sample"].files[split])
            probabilities, place = run.predict_proba(table["text"].tolist()), labels.index(apart)
            others = np.delete(probabilities, place, axis=1)
            score = probabilities[:, place] if spec.positive_label else others.max(1)
            is_it = (table["label"] == apart).tolist()
            scores[split] = [[round(float(p), 6), int(known)] for p, known in zip(score, is_it, strict=True)]
    return {
        "mode": MODE,
        "seed": 0,
        "label": apart,
        "threshold": metrics["test"]["decided"]["threshold"],
        "rows": {split: metrics[split]["rows"] for split in SPLITS},
        "decided": {split: metrics[split]["decided"] for split in SPLITS},
        "most_probable": {split: {m: metrics[split][m] for m in ("accuracy", "macro_f1")} for split in SPLITS},
        "per_class": {split: metrics[split]["per_class"].get(apart) for split in SPLITS},
        "scores": scores,
    }


if __name__ == "__main__":
    main()
